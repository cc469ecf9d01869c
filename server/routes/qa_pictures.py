"""``/qa/api/v1/studies/...``: pictures of studies and candidates for readers; patient data, which nobody keeps."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from typing import Annotated, Any
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hepatic.errors import NotFoundError
from hepatic.harvest.pictures import GoneError, Pictures
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepared_cache import load_prepared
from hepatic.harvest.study import ProposedStudy
from hepatic.harvest.window import WINDOWS
from hepatic.io.dicom_capture import capture
from hepatic.io.dicom_source import DicomSource
from server.harvest import Harvest
from server.services import Services, ServicesDep

router = APIRouter(prefix="/qa/api/v1/studies/{study}", tags=["QA"])

_NOT_KEPT = {"Cache-Control": "no-store"}
_AGAIN_S = "30"
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "a PNG of 8-bit greys"}}

_drawing: WeakKeyDictionary[Harvest, Pictures] = WeakKeyDictionary()
_lock = threading.Lock()


def pictures_of(services: ServicesDep) -> Pictures:
    """Return what draws the studies of this server."""
    with _lock:
        if services.harvest not in _drawing:
            proposals, cache = services.harvest.store.proposals, prepared_folder(services.spec.data_dir)
            _drawing[services.harvest] = Pictures(
                lambda uid: [known.study for known in proposals.all_of(uid)] or [proposals.latest(uid).study],
                lambda study: load_prepared(cache, study.content),
            )
        return _drawing[services.harvest]


def _images_of(services: Services, study: str) -> ProposedStudy | None:
    """Return a study whose images are classified, with those of every proposal; None where it is another."""
    every = [known.study for known in services.harvest.store.proposals.all_of(study)]
    if not every or every[-1].kind != "classification":
        return None
    candidates = {one.uid: one for proposed in every for one in proposed.candidates}
    return replace(every[-1], candidates=tuple(candidates.values()))


PicturesDep = Annotated[Pictures, Depends(pictures_of)]
ContentQuery = Annotated[str, Query(description="of the prepared study that was proposed on; the last by default")]
WindowQuery = Annotated[str, Query(description="preset: " + ", ".join(WINDOWS))]


@router.get(
    "/layout",
    summary="Where everything is on the pictures of a study",
    response_model=None,
    responses={
        503: {"description": "The pictures made room for others and are made again; Retry-After says when to ask"}
    },
)
async def layout(services: ServicesDep, pictures: PicturesDep, study: str, content: ContentQuery = "") -> Response:
    """Phases, windows, the layout of each candidate's picture and of the whole slices; no scores, no models.

    Of images that are classified: frames, their times, key frames and boxes that were drawn, on each card.
    ``anew`` says that what the candidates were proposed on is gone, and that a newer preparation is drawn in its place.
    """
    proposed = await run_in_threadpool(_images_of, services, study)
    if proposed is not None:
        return JSONResponse(await services.class_cards.layout(proposed), headers=_NOT_KEPT)
    try:
        return JSONResponse(await run_in_threadpool(pictures.layout, study, content), headers=_NOT_KEPT)
    except GoneError:
        if not await run_in_threadpool(services.harvest_jobs.prepare_again, study):
            raise
        told = "The pictures of this study made room for others and are being made again, which takes minutes."
        raise HTTPException(503, told, {"Retry-After": _AGAIN_S}) from None


@router.get(
    "/candidates/{candidate}/card.png",
    summary="A candidate in all phases, key slice and neighbours",
    response_class=Response,
    responses=_PNG,
)
async def card(
    services: ServicesDep,
    pictures: PicturesDep,
    study: str,
    candidate: str,
    window: WindowQuery = "liver",
    content: ContentQuery = "",
    frame: Annotated[int | None, Query(ge=0, le=1_000_000, description="of an image: this frame alone")] = None,
) -> Response:
    """A row for each phase and one with the whole slice, a column for each slice; the layout says what is where.

    Of an image that is classified: the still, or the key frames of a cine.
    """
    proposed = await run_in_threadpool(_images_of, services, study)
    if proposed is None:
        png = await run_in_threadpool(pictures.card, study, candidate, window, content)
    else:
        image = next((one for one in proposed.candidates if one.uid == candidate), None)
        if image is None:
            raise NotFoundError("the candidate", expected="one of the study", came="another", fix="Reload the page.")
        png = await services.class_cards.picture(image, frame)
    return Response(png, media_type="image/png", headers=_NOT_KEPT)


@router.get(
    "/candidates/{candidate}/card.dcm",
    summary="The same as a DICOM secondary capture",
    response_class=Response,
    responses={200: {"content": {"application/dicom": {}}, "description": "in the study of the reference series"}},
)
def captured_card(
    services: ServicesDep,
    pictures: PicturesDep,
    study: str,
    candidate: str,
    window: WindowQuery = "liver",
    content: ContentQuery = "",
) -> Response:
    """Of a study of lesions whose reference series is DICOM; it is made for who asks, and sent nowhere."""
    proposed = services.harvest.store.proposals.latest(study).study
    if proposed.kind != "detection":
        raise NotFoundError("the card", expected="a study of lesions", came="another", fix="Ask for card.png.")
    drawn = Image.open(io.BytesIO(pictures.card(study, candidate, window, content)))
    reference = services.host.image_path(proposed.image_ids[proposed.reference])
    made = capture(
        np.asarray(drawn),
        DicomSource.read(reference).datasets[0],
        description="Candidates, in all phases",
        about=f"Candidate {candidate}: a row for each phase, a column for each slice",
    )
    data = io.BytesIO()
    made.save_as(data, enforce_file_format=True)
    return Response(data.getvalue(), media_type="application/dicom", headers=_NOT_KEPT)


@router.get("/stack.png", summary="Whole slices of a phase, below each other", response_class=Response, responses=_PNG)
def stack(
    pictures: PicturesDep,
    study: str,
    phase: str,
    window: WindowQuery = "liver",
    first: Annotated[int, Query(ge=0, le=100_000, description="index k of the first slice")] = 0,
    content: ContentQuery = "",
) -> Response:
    """At most 8 of them from ``first`` on, all on the study's grid."""
    return Response(pictures.stack(study, phase, window, first, content), media_type="image/png", headers=_NOT_KEPT)
