"""``/qa/api/v1``: what a reader's page asks: the queue, a study to read, and where its events go."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, HTTPException, Query, Request
from starlette.responses import JSONResponse, Response

from hepatic.harvest.events import plain_text
from hepatic.harvest.reviews import StaleError
from hepatic.harvest.study import StudyKind
from server.access.roles import Role
from server.access.user import UserDep
from server.harvest import DEFAULT_READER, lease_json
from server.routes.ohif import study_page
from server.services import ServicesDep

router = APIRouter(prefix="/qa/api/v1", tags=["QA"])

NO_STORE = {"Cache-Control": "no-store"}

_EVENTS_EXAMPLE = {
    "events": [
        {
            "id": "0b0f5c1e-5d0c-4f6e-9c39-0d8f2a6f1a11",
            "type": "decide",
            "study": "1.2.840.1",
            "candidate": "2.25.1",
            "verdict": "true",
            "shown_at": 1763730000000,
            "decided_at": 1763730002500,
            "hidden_ms": 0,
            "device": "key",
        }
    ]
}


_ENDS = ("finish", "undo", "reopen")
"""Events after which the classes that hold may be others."""


def _reader(user: UserDep, request: Request) -> str:
    """Who reads: who logged in; where no login is needed, whom the page says (``X-Hepatic-Reader``)."""
    if user.is_known:
        return user.name
    return plain_text(request.headers.get("x-hepatic-reader") or DEFAULT_READER, "X-Hepatic-Reader", longest=64)


ReaderDep = Annotated[str, Depends(_reader)]
"""What a route declares to be told who reads."""

KindQuery = Annotated[
    StudyKind | None,
    Query(description="detection: lesions on CT; classification: ultrasound images; both where it is left out"),
]


@router.get("/queue", summary="The studies that wait for you")
def queue(
    services: ServicesDep,
    user: UserDep,
    reader: ReaderDep,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    kind: KindQuery = None,
) -> dict[str, Any]:
    """Those that you can be given first, in the order in which ``POST lease`` gives them.

    ``state`` is yours: waiting, started, boxing (to be boxed by hand), leased (another has it), finished, done.
    """
    return services.harvest.queue(reader, may_box=user.role >= Role.ANNOTATOR, limit=limit, offset=offset, kind=kind)


@router.post(
    "/lease",
    summary="Take a study to read",
    response_model=None,
    responses={204: {"description": "Nothing is left to read"}},
)
def lease(
    request: Request,
    services: ServicesDep,
    user: UserDep,
    reader: ReaderDep,
    body: Annotated[dict[str, Any] | None, Body(examples=[{}, {"study": "1.2.840.1"}])] = None,
    kind: KindQuery = None,
) -> Response:
    """The one named by ``study``, or the next; yours until ``expires_at``, as long as you do not renew it.

    A study you have begun is given again with what you decided. 409 if another reader has it. ``viewer`` is where OHIF
    opens it, below this server's root, if it can.
    """
    asked = plain_text((body or {}).get("study"), "study") or None
    may_box = user.role >= Role.ANNOTATOR
    held = services.harvest.store.lease(reader, asked, may_box=may_box, kind=kind)
    if held is None:
        return Response(status_code=204)
    told = services.harvest.leased(held, may_box=may_box, kind=kind)
    told["viewer"] = study_page(request, held.study.partition(":")[0])  # without the note of classes
    return JSONResponse(told, headers={**NO_STORE, "ETag": told["etag"]})


@router.post("/lease/{lease}/renew", summary="Go on holding a study")
def renew(services: ServicesDep, reader: ReaderDep, lease: str) -> dict[str, Any]:
    """404 if it was given back, or if another has taken the study over; what you decided is kept all the same."""
    return {"lease": lease_json(services.harvest.store.leases.renew(plain_text(lease, "lease"), reader))}


@router.delete("/lease/{lease}", summary="Give a study back")
def give_back(services: ServicesDep, reader: ReaderDep, lease: str) -> dict[str, Any]:
    """Another may take it from now on; you can come back to it."""
    services.harvest.store.leases.give_back(plain_text(lease, "lease"), reader)
    return {}


@router.post(
    "/events",
    summary="Say what you decided",
    response_model=None,
    responses={409: {"description": "Another page of yours has decided something since; both are told"}},
)
def events(
    services: ServicesDep,
    user: UserDep,
    reader: ReaderDep,
    body: Annotated[dict[str, Any], Body(examples=[_EVENTS_EXAMPLE])],
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Each event is stored on disk once this answers ``stored``, or ``known`` if it was stored before.

    ``type`` is decide (``verdict`` is true, false or unsure; of an image that is classified, one of the study's
    ``classes`` or unsure), undo (``of`` names the event), primary, missed, box (``box`` in LPS millimetres; takes an
    annotator), finish or reopen. One that is ``refused`` says why, and does not keep the others out. With ``If-Match``
    nothing is stored if another page of yours has added events to the study since: 409 tells those and yours.
    """
    given = body.get("events")
    if not isinstance(given, list):
        raise HTTPException(422, 'Send {"events": [...]}.')
    try:
        taken, tag = services.harvest.store.reviews.take(
            given, reader, may_box=user.role >= Role.ANNOTATOR, if_match=if_match
        )
    except StaleError as stale:
        both = {"detail": str(stale), "stored": stale.stored, "sent": stale.sent, "etag": stale.etag}
        return JSONResponse(both, 409, {**NO_STORE, "ETag": stale.etag})
    types = {one.get("id"): one.get("type") for one in given if isinstance(one, dict)}
    ended = {one.state["study"]: None for one in taken if one.state and types.get(one.id) in _ENDS}
    for study in ended:
        services.class_labels.keep(study)
    told = {"results": [one.as_json() for one in taken], "etag": tag}
    return JSONResponse(told, headers={**NO_STORE, "ETag": tag})


@router.get("/studies/{study}", summary="One study as you may know it", response_model=None)
def study(services: ServicesDep, reader: ReaderDep, study: str, reveal: bool = False) -> Response:
    """What you decided of it. ``reveal`` also tells scores, lineage and what others said, once you have finished.

    From then on your reading is final: it can no longer be undone.
    """
    uid = plain_text(study, "study")
    etag = services.harvest.store.reviews.etag(uid, reader)  # before the state: what comes meanwhile was not seen
    return JSONResponse(services.harvest.study(uid, reader, reveal=reveal), headers={**NO_STORE, "ETag": etag})


@router.get(
    "/studies/{study}/boxes",
    summary="The boxes you judge, for 3D Slicer",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "3D Slicer markups, an ROI per box"}},
)
def boxes(services: ServicesDep, reader: ReaderDep, study: str) -> Response:
    """The candidates that you are shown and have not rejected, and the boxes you drew; no scores.

    Remove those that are no lesion, move and add others, and save them as the final label of the study's reference
    series (``PUT /datastore/label``): that is your reading then. 409 if you have not begun to read the study.
    """
    content = services.harvest.boxes(plain_text(study, "study"), reader)
    about = {"Content-Disposition": 'attachment; filename="candidates.mrk.json"'}
    return Response(content, media_type="application/json", headers={**NO_STORE, **about})
