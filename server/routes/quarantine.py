"""``/quarantine/api/v1``: pictures that may have burnt-in text, and who lets them leave."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from server.routes.qa import NO_STORE, ReaderDep
from server.services import ServicesDep

router = APIRouter(prefix="/quarantine/api/v1/images", tags=["Quarantine"])

_EDGE = Annotated[int, Field(ge=0, le=1_000_000)]
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "a PNG"}}


class Approving(BaseModel):
    """How a picture may leave."""

    boxes: list[tuple[_EDGE, _EDGE, _EDGE, _EDGE]] = Field(
        [], max_length=200, description="left, top, right, bottom in pixels, one past the last; more to black out"
    )
    as_is: bool = Field(False, description="black out nothing: there is no text in it")


@router.get("", summary="The pictures in quarantine", response_model=None)
def images(
    services: ServicesDep,
    all_of_them: Annotated[bool, Query(alias="all", description="those that are approved, too")] = False,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> Response:
    """Those that say YES to burnt-in text (``said``: yes), or are of a screen and do not say (unknown)."""
    found = services.held.listed(all_of_them=all_of_them)
    return JSONResponse({"count": len(found), "images": found[offset : offset + limit]}, headers=NO_STORE)


@router.get("/{image}", summary="How it stands with a picture", response_model=None)
async def one(services: ServicesDep, image: str) -> Response:
    """Its newest approval, its size, and which share of it would be black."""
    told = await run_in_threadpool(services.held.one, image)
    proposal = await services.held.proposal(told["image_id"])
    about = {name: proposal[name] for name in ("share", "width", "height")}
    return JSONResponse({**told, "proposal": about}, headers=NO_STORE)


@router.get(
    "/{image}/proposal.png", summary="What would be blacked out, in red", response_class=Response, responses=_PNG
)
async def proposal(services: ServicesDep, image: str) -> Response:
    """Over the brightest of all frames, so that no text that any frame shows is missing; patient data."""
    told = await run_in_threadpool(services.held.one, image)
    found = await services.held.proposal(told["image_id"])
    return Response(found["png"], media_type="image/png", headers=NO_STORE)


@router.put(
    "/{image}/approval",
    summary="Let a picture leave",
    response_model=None,
    responses={409: {"description": "It needs no approval"}},
)
async def approve(services: ServicesDep, reader: ReaderDep, image: str, body: Approving) -> Response:
    """What is proposed and the boxes are blacked out in copies, under your name; the picture itself stays as it is."""
    told = await run_in_threadpool(services.held.one, image)
    made = await services.held.approve(told["image_id"], by=reader, boxes=list(body.boxes), as_is=body.as_is)
    return JSONResponse(made, headers=NO_STORE)


@router.delete(
    "/{image}/approval",
    summary="Hold a picture again",
    responses={409: {"description": "What was approved is damaged: it is held already"}},
)
def withdraw(services: ServicesDep, reader: ReaderDep, image: str) -> dict[str, Any]:
    """The record of the approval stays. 404 if it is not approved."""
    services.held.withdraw(services.host.image_id(image), by=reader)
    return {}
