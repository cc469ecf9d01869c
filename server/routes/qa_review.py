"""``/qa/api/v1``: progress for everybody; for reviewers, proposals, trainings, disputes, and known cases."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from starlette.responses import JSONResponse, Response

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.events import event_id, plain_text, read_box, read_said
from hepatic.harvest.known_classes import known_classes
from hepatic.harvest.verdicts import judged
from server.access.roles import Role
from server.access.user import UserDep
from server.harvest import settled_json
from server.harvest_report import disputed, progress_of, rejection_json, snapshot_json
from server.jobs.table import JobRunningError
from server.routes.qa import NO_STORE, ReaderDep
from server.services import ServicesDep

router = APIRouter(prefix="/qa/api/v1", tags=["QA"])

Asked = Annotated[dict[str, Any] | None, Body()]


@router.get("/progress", summary="How the harvest goes")
def progress(services: ServicesDep, user: UserDep, reader: ReaderDep) -> dict[str, Any]:
    """Counts, minutes, time per click, agreement, versions of the detector, hard negatives; docs/qa.md names them.

    Other readers, who asked for what, and which candidates still fire are told to reviewers only.
    """
    try:
        model = services.proposers.detector().model
    except NotFoundError:
        model = ""
    names = user.role >= Role.REVIEWER
    return progress_of(
        services.harvest.store,
        services.host,
        services.jobs,
        reader=reader,
        model=model,
        classifiers=services.proposers.classifiers(),
        names=names,
    )


@router.post("/propose", summary="Let a detector, or a classifier, look at studies")
def propose(services: ServicesDep, reader: ReaderDep, body: Asked = None) -> dict[str, Any]:
    """Those in ``studies``, by default all CT studies, or all of ultrasound for a classifier, by ``model``.

    Answers with the job, see ``/jobs``.
    """
    given = body or {}
    studies = given.get("studies")
    if studies is not None and not (isinstance(studies, list) and len(studies) <= 100_000):
        raise HTTPException(422, "studies: expected a list of StudyInstanceUIDs.")
    named = None if studies is None else [plain_text(uid, "studies", needed=True) for uid in studies]
    model = plain_text(given.get("model"), "model")
    return services.harvest_jobs.propose(named, model=model, asked_by=reader).as_json()


@router.post(
    "/train",
    summary="Train the detector, or a classifier, on what readers said",
    responses={429: {"description": "Another training runs"}},
)
def train(services: ServicesDep, reader: ReaderDep, body: Asked = None) -> dict[str, Any]:
    """On a snapshot of all that is finished; ``model`` and the rest as ``POST /train/{model}``. Answers with the job.

    What the snapshot holds is final from now on. The new model is served if it is not worse on the patients that test,
    and the studies are proposed anew then.
    """
    given = dict(body or {})
    model = plain_text(given.pop("model", None), "model")
    try:
        return services.harvest_training.train(services.training, given, model=model, asked_by=reader).as_json()
    except JobRunningError as busy:
        raise HTTPException(429, str(busy)) from busy


@router.get("/snapshots", summary="What trainings learnt from")
def snapshots(services: ServicesDep) -> dict[str, Any]:
    """Every snapshot with its counts, the oldest first."""
    return {"snapshots": [snapshot_json(one) for one in services.harvest.store.snapshots.all()]}


@router.post("/snapshots", summary="Write down what is finished")
def take_snapshot(services: ServicesDep, reader: ReaderDep) -> dict[str, Any]:
    """What a training learns from. It is final from then on; if nothing has changed, the last one is told again."""
    return snapshot_json(services.harvest_training.snapshot(asked_by=reader))


@router.get("/adjudication", summary="What readers disagree about", response_model=None)
def adjudication(services: ServicesDep) -> Response:
    """Candidates in conflict or that readers are unsure of, with what each said, once enough have read the study."""
    store = services.harvest.store
    return JSONResponse({"candidates": disputed(list(store.book.reviews().values()), store)}, headers=NO_STORE)


@router.post("/adjudication", summary="Settle what readers disagree about")
def adjudicate(
    services: ServicesDep,
    reader: ReaderDep,
    body: Annotated[
        dict[str, Any],
        Body(examples=[{"id": str(uuid.UUID(int=1)), "study": "1.2", "candidate": "2.25.1", "verdict": "true"}]),
    ],
) -> dict[str, Any]:
    """``verdict`` is true or false; of an image its class, or false where none fits, which then trains nothing.

    ``id`` is a UUID of your making: sent twice, it settles once.

    Where readers named different primary tumours, ``"primary": true`` in place of ``verdict`` says that it is this one.
    """
    study = plain_text(body.get("study"), "study", needed=True)
    candidate = plain_text(body.get("candidate"), "candidate", needed=True)
    id, said = event_id(body.get("id")), body.get("verdict")
    store = services.harvest.store
    if said is None and body.get("primary") is True:
        event = store.adjudicate_primary(id, study, candidate, reader)
    else:
        verdict = read_said(plain_text(said, "verdict", needed=True, longest=64))
        event = store.adjudicate(id, study, candidate, verdict, reader)
        services.class_labels.keep(study)
    held = next(own for one, own in judged(store.review(event.study)) if one.uid == event.candidate)
    return {"study": event.study, "candidate": event.candidate, **settled_json(held)}


@router.post("/batch-reject", summary="Reject many candidates at once, or see which these would be")
def batch_reject(services: ServicesDep, reader: ReaderDep, body: Asked = None) -> dict[str, Any]:
    """Those of the newest model that nobody has judged and that score below ``threshold``.

    By default as far as known cases say is safe; a higher threshold is refused. Nothing is rejected unless ``apply`` is
    true and ``id`` is a UUID of your making, by which ``DELETE`` takes it back.
    """
    given = body or {}
    threshold = given.get("threshold")
    if threshold is not None and (
        isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1
    ):
        raise BadInputError(
            "threshold", expected="a score from 0 to 1", came=ascii(threshold)[:40], fix="Leave it out."
        )
    batches = services.harvest.store.batches
    if given.get("apply") is not True:
        return rejection_json(batches.preview(threshold))
    return rejection_json(batches.reject(reader, id=event_id(given.get("id")), threshold=threshold))


@router.delete("/batch-reject/{batch}", summary="Take a rejection of many back")
def undo_batch(services: ServicesDep, reader: ReaderDep, batch: str) -> dict[str, Any]:
    """409 once a training has learnt from it."""
    return {"undone": services.harvest.store.batches.undo(event_id(batch), reader)}


@router.get("/known", summary="Known cases", response_model=None)
def known(services: ServicesDep) -> Response:
    """Studies whose lesions or classes are known, which measure their readers; never told to readers."""
    found: list[dict[str, Any]] = []
    for one in services.harvest.store.book.reviews().values():
        if one.known_classes is not None:
            found.append({"study": one.uid, "classes": dict(one.known_classes)})
        elif one.known is not None:
            found.append({"study": one.uid, "boxes": [list(b) for b in one.known], "primary": one.known_primary})
    return JSONResponse({"known": found}, headers=NO_STORE)


@router.post("/known", summary="Take final labels for the truth")
def know_labels(services: ServicesDep, reader: ReaderDep) -> dict[str, Any]:
    """Studies whose reference series has a final label become known cases, the largest lesion their primary one.

    Answers with the job. Boxes that were saved as a reading of their study are left out.
    """
    return services.harvest_jobs.know(asked_by=reader).as_json()


@router.put("/known/{study}", summary="Say which lesions a study truly has, or which class its images")
def know(
    services: ServicesDep,
    study: str,
    body: Annotated[dict[str, Any], Body(examples=[{"boxes": [[10, 20, 30, 40, 50, 60]], "primary": 0}])],
) -> dict[str, Any]:
    """``boxes`` in LPS millimetres of the study's frame, none for a study without lesions; null forgets them.

    Of images that are classified, ``class`` of them all, or ``classes``: by candidate or image; null forgets them. The
    study may be named without its question where the classes tell which is meant.
    """
    store = services.harvest.store
    if "classes" in body or "class" in body:
        said = body.get("classes", body.get("class"))
        uid, classes = known_classes(store.reviews_of("classification"), plain_text(study, "study"), _classes(said))
        store.know_classes(uid, None if said is None else classes)
        return {"study": uid, "known": said is not None}
    boxes, primary = body.get("boxes"), body.get("primary", 0)
    review = store.review(plain_text(study, "study"))
    try:
        read = None if boxes is None else [read_box(box) for box in boxes]
        if isinstance(primary, bool) or not isinstance(primary, int) or not 0 <= primary < max(1, len(read or ())):
            raise ValueError
        if len(read or ()) > 1000:
            raise ValueError
    except (TypeError, ValueError):
        raise BadInputError(
            "boxes",
            expected="a list of [x, y, z, x, y, z] in millimetres, the lower corner first, and primary, a place in it",
            came="something else",
            fix="Correct them.",
        ) from None
    store.know(review.uid, read, primary=primary)
    return {"study": review.uid, "known": read is not None}


def _classes(said: Any) -> str | dict[str, str]:
    """Return a class, or classes by image; none for None."""
    named = {} if said is None else said
    if isinstance(named, str):
        return plain_text(named, "class", needed=True, longest=64)
    if isinstance(named, dict) and len(named) <= 10_000 and all(isinstance(name, str) for name in named.values()):
        return named
    raise BadInputError(
        "classes", expected="a class, or classes by image or candidate", came=ascii(said)[:40], fix="Correct it."
    )
