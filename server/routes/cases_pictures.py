"""``/cases/api/v1/images/...``: pictures of ultrasound images; patient data, which nobody keeps."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hepatic.errors import NotFoundError
from server.cases.pictures import curve_png, frame_png, heat_png
from server.routes.cases import AnsweredDep
from server.routes.qa import NO_STORE
from server.services import ServicesDep

router = APIRouter(prefix="/cases/api/v1/images/{image}", tags=["Cases"])

_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "a PNG"}}


@router.get("/frames/{frame}.png", summary="A frame", response_class=Response, responses=_PNG)
async def frame(
    services: ServicesDep, image: str, frame: Annotated[int, Path(ge=0, le=1_000_000, description="the first being 0")]
) -> Response:
    """As the scanner shows it, in its own size, burnt-in text included."""
    found = await run_in_threadpool(services.cases.image, image)
    frames = (await services.cases.opened(found.id)).frames
    if frame >= len(frames):
        raise NotFoundError("the frame", expected=f"0 to {len(frames) - 1}", came=str(frame), fix="Choose one of them.")
    return _sent(await run_in_threadpool(frame_png, frames[frame]))


@router.get("/models/{model}/attention.png", summary="Where a model looked", response_class=Response, responses=_PNG)
async def attention(services: ServicesDep, answered: AnsweredDep) -> Response:
    """As large as the frame, to be laid over it: red where little, yellow where most, clear where not at all.

    404 where the model does not tell.
    """
    params = answered.params
    if "attention" not in params:
        raise NotFoundError(
            "attention", expected="a model that tells it", came=f"'{answered.model}'", fix="Choose us_fll."
        )
    size = (await services.cases.opened(answered.image)).size
    return _sent(await run_in_threadpool(heat_png, np.array(params["attention"]), params["region"], size))


@router.get(
    "/models/{model}/curve.png", summary="The time-intensity curve of a lesion", response_class=Response, responses=_PNG
)
async def curve(answered: AnsweredDep) -> Response:
    """Mean grey value in the box and outside of it over the seconds from the onset of echo, which is marked.

    404 where the model does not look at a cine.
    """
    params = answered.params
    if "time_intensity" not in params:
        raise NotFoundError("the curve", expected="a model of cines", came=f"'{answered.model}'", fix="Choose us_ceus.")
    is_drawn = params.get("roi_from") != "whole image"
    return _sent(await run_in_threadpool(curve_png, params["time_intensity"], box_is_drawn=is_drawn))


def _sent(png: bytes) -> Response:
    return Response(png, media_type="image/png", headers=NO_STORE)
