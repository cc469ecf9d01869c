"""``/cases/api/v1``: ultrasound images, what models say of them, and what readers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from hepatic.engine.eligibility import NOTE, SAID
from hepatic.store.images import Image
from hepatic.store.label import FINAL
from server.cases import readings
from server.cases.cases import Drawn
from server.cases.pictures import CURVE_LEFT, CURVE_PX, CURVE_RIGHT, span_s
from server.cases.warnings import warnings_of
from server.routes.ohif import study_page
from server.routes.qa import NO_STORE, ReaderDep
from server.services import Services, ServicesDep

router = APIRouter(prefix="/cases/api/v1/images", tags=["Cases"])


@dataclass(frozen=True)
class Answered:
    """What a model says of an image.

    Attributes:
        image: its id.
        model: its name.
        params: of the answer.
    """

    image: str
    model: str
    params: Mapping[str, Any]


async def answered(
    services: ServicesDep,
    image: str,
    model: str,
    roi: Annotated[str, Query(max_length=80, description="box of the lesion: left,top,right,bottom in pixels")] = "",
    roi_frame: Annotated[
        int | None, Query(ge=-1, le=1_000_000, description="on which that box was drawn; left out, the onset of echo")
    ] = None,
    frame: Annotated[int, Query(ge=0, le=1_000_000, description="for models that look at one frame")] = 0,
    frame_seconds: Annotated[
        float, Query(ge=0, le=60, description="from frame to frame, where the cine does not say")
    ] = 0.0,
) -> Answered:
    """Ask a model; options left alone are not passed on."""
    found = await run_in_threadpool(services.cases.image, image)
    given = {"roi": roi, "frame": frame, "frame_seconds": frame_seconds}
    chosen = {name: value for name, value in given.items() if value}
    if roi_frame is not None:
        chosen["roi_frame"] = roi_frame
    params = await services.cases.answer(found.id, model, chosen)
    return Answered(found.id, model, params)


AnsweredDep = Annotated[Answered, Depends(answered)]


class Reading(BaseModel):
    """What a reader says of an image."""

    id: str = Field("", max_length=64, description="a name for this saying: sent again, it is not kept again")
    seen: int = Field(ge=0, description="version of the reading that was seen, 0 for none")
    classes: dict[str, str] = Field({}, description="class by note; an empty text takes one back")
    boxes: list[tuple[float, float, float, float]] | None = Field(
        None, description="of all lesions: left, top, right, bottom in pixels; left out to keep what is drawn"
    )
    frames: list[Annotated[int, Field(ge=0, le=1_000_000)]] | None = Field(
        None, description="on which each box was drawn; one that lies on several, and comes back as told, keeps them"
    )
    frame: int = Field(0, ge=0, le=1_000_000, description="on which all were drawn, where frames are left out")


@router.get("", summary="The ultrasound images")
def images(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> dict[str, Any]:
    """In the order of their files, with the classes that are noted and whether a reader has said something."""
    found = services.cases.images()
    page = found[offset : offset + limit]
    notes = _notes(services)
    read = {label.image_id: label for label in services.cases.store.labels.heads(tag=FINAL)}
    return {
        "count": len(found),
        "images": [
            {
                **_about(one),
                "classes": {note: str(one.info[note]) for note in notes if one.info.get(note)},
                "read_by": read[one.id].author if one.id in read else None,
            }
            for one in page
        ],
    }


@router.get("/{image}", summary="One image, and what was said of it", response_model=None)
async def case(request: Request, services: ServicesDep, reader: ReaderDep, image: str) -> Response:
    """Its size and times, the models that fit it, the reading that counts, and who said what before.

    ``reading.boxes`` are as they were drawn, each on its own of ``reading.frames``; ``reading.beside`` are the same on
    the other image, where contrast and B-mode lie side by side; ``reading.unreadable`` says why what was drawn cannot
    be shown, if so. ``viewer`` is where OHIF opens the study, below this server's root, if it can.
    """
    cases = services.cases
    found = await run_in_threadpool(cases.image, image)
    opened = await cases.opened(found.id)
    told = await run_in_threadpool(_case, services, found, opened.about["frames"])
    head = await run_in_threadpool(readings.latest, cases.store, found.id)
    drawn = await cases.drawn(head, opened)
    boxes, frames = [one.box for one in drawn.boxes], [one.frame for one in drawn.boxes]
    told["reading"] |= {
        "boxes": boxes,
        "beside": opened.beside(boxes),
        "frames": frames,
        "frame": frames[0] if boxes else None,
        "unreadable": drawn.unreadable,
    }
    about = {name: value for name, value in opened.about.items() if name not in ("affine", "pair")}
    viewer = study_page(request, found.study_uid)
    return JSONResponse({**told, "reader": reader, "picture": about, "viewer": viewer}, headers=NO_STORE)


@router.get("/{image}/eligibility", summary="Whether an image is fit to learn from", response_model=None)
async def eligibility(services: ServicesDep, image: str) -> Response:
    """By the lists of paper 002: ``flags`` speak against it, ``said`` is a reader's word, which counts more.

    A reader says it as a class of the note ``eligibility`` (``PUT reading``).
    """
    found = await run_in_threadpool(services.cases.image, image)
    models = services.cases.models(frames=2).values()
    notes = {str(about["note"]): about.get("absent") for about in models if about.get("note")}
    return JSONResponse(await services.cases.eligibility(found.id, notes), headers=NO_STORE)


@router.get("/{image}/models/{model}", summary="What a model says of an image", response_model=None)
async def answer(services: ServicesDep, answered: AnsweredDep) -> Response:
    """Probabilities and the class that follows, what it looked at, warnings; not the heat map and curve themselves."""
    params, model = answered.params, answered.model
    curves = params.get("time_intensity")
    about = services.cases.models(frames=2)[model]
    told = {key: value for key, value in params.items() if key not in ("attention", "time_intensity", "label_names")}
    axis = curves and dict(zip(("from_s", "to_s"), span_s(curves), strict=True))
    return JSONResponse(
        {
            **told,
            "model": model,
            "has_attention": "attention" in params,
            "curve": axis and {"width": CURVE_PX[0], "left": CURVE_LEFT, "right": CURVE_RIGHT, **axis},
            "warnings": warnings_of(params, absent=about.get("absent")),
        },
        headers=NO_STORE,
    )


@router.put(
    "/{image}/reading",
    summary="Say what you see",
    responses={409: {"description": "Somebody has said something since; look again"}},
)
async def save(services: ServicesDep, reader: ReaderDep, image: str, body: Reading) -> dict[str, Any]:
    """Classes and boxes become the next version of the image's final label, under your name, and train models."""
    cases = services.cases
    found = await run_in_threadpool(cases.image, image)
    opened = await cases.opened(found.id)
    boxes = None if body.boxes is None else [list(box) for box in body.boxes]
    drawn = Drawn(())
    if boxes and body.frames is not None:
        drawn = await cases.drawn(await run_in_threadpool(readings.latest, cases.store, found.id), opened)

    def keep() -> int:
        return readings.save(
            cases.store,
            found.id,
            known=_notes(services),
            by=reader,
            seen=body.seen,
            folder=services.scratch.dir,
            classes=body.classes,
            boxes=boxes,
            frames=[body.frame] * len(boxes or ()) if body.frames is None else body.frames,
            drawn=drawn.boxes,
            grid=opened.grid,
            event=body.id,
        ).version

    return {"version": await run_in_threadpool(keep)}


@router.delete(
    "/{image}/reading",
    summary="Take back what you said last",
    responses={409: {"description": "There is nothing of yours to take back"}},
)
def undo(
    services: ServicesDep,
    reader: ReaderDep,
    image: str,
    seen: Annotated[int, Query(ge=0, le=1_000_000_000)],
    event: Annotated[str, Query(alias="id", max_length=64, description="a name: sent again, nothing more goes")] = "",
) -> dict[str, Any]:
    """What was said before counts again, as a new ``version``; ``restored`` says which, 0 for nothing."""
    store, found = services.cases.store, services.cases.image(image)
    restored, version = readings.undo(store, found.id, known=_notes(services), by=reader, seen=seen, event=event)
    return {"restored": restored, "version": version}


def _case(services: Services, found: Image, frames: int) -> dict[str, Any]:
    ids = [one.id for one in services.cases.images()]
    place = ids.index(found.id)
    history = readings.history_of(services.cases.store, found.id)
    return {
        **_about(found),
        "place": place + 1,
        "count": len(ids),
        "previous": ids[place - 1] if place else None,
        "next": ids[place + 1] if place + 1 < len(ids) else None,
        "models": [_model(name, about) for name, about in services.cases.models(frames=frames).items()],
        "reading": {
            "version": history[0]["version"] if history else 0,
            "classes": readings.classes_of(services.cases.store, found.id, _notes(services)),
        },
        "history": history,
    }


def _model(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("description", "version", "notes", "note", "classes", "absent")
    return {"name": name, **{key: about.get(key) for key in kept}, "options": sorted(about.get("options", {}))}


def _about(image: Image) -> dict[str, Any]:
    return {
        "image": image.id,
        "patient": image.patient_id,
        "study": image.study_uid,
        "description": image.description,
        "frames": image.size[2] if len(image.size) > 2 else 1,
    }


def _notes(services: Services) -> dict[str, tuple[str, ...]]:
    """Return what can be said of an image, by the note that keeps it: classes of all classifiers, and eligibility."""
    models = services.cases.models(frames=2).values()
    return {NOTE: SAID, **{str(about["note"]): tuple(about["classes"]) for about in models if about.get("note")}}
