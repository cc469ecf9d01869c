"""``/scoring``: scores that tell which image is worth labelling next."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from starlette.concurrency import run_in_threadpool

from hepatic.errors import NotFoundError
from server import worker
from server.access.user import UserDep
from server.executor import Priority
from server.notes import write
from server.params import cleaned
from server.services import INFERENCE_TIMEOUT_S, Services, ServicesDep

router = APIRouter(prefix="/scoring", tags=["Scoring"])


@router.get("/", summary="How far background scoring is")
def status(services: ServicesDep, check_if_running: bool = False) -> dict[str, Any]:
    """Answer 404 when there was no round yet, or with ``check_if_running`` when none runs."""
    told = services.scoring.status()
    if told is None or (check_if_running and told["status"] != "RUNNING"):
        raise HTTPException(404, "No scoring is running.")
    return told


@router.post("/", summary="Begin a new round of background scoring")
def start(services: ServicesDep, user: UserDep) -> dict[str, Any]:
    """Unlabelled images are scored one by one, behind everything interactive."""
    services.scoring.restart(asked_by=user.name)
    return services.scoring.status() or {}


@router.post("/{method}", summary="Run one scoring method now", response_model=None)
async def run(services: ServicesDep, method: str, params: Annotated[dict[str, Any] | None, Body()] = None) -> Any:
    """Answer with what the method returned."""
    if method not in services.host.scoring_methods:
        raise NotFoundError(
            "the scoring method",
            expected=", ".join(sorted(services.host.scoring_methods)) or "a method",
            came="a name that is not among them",
            fix="GET /info/ lists them.",
        )
    asked = {**cleaned(params), "method": method}
    named = (params or {}).get("images")
    if isinstance(named, list):
        asked["images"] = await run_in_threadpool(lambda: [services.host.image_id(str(image)) for image in named])
    future = services.executor.submit(worker.score, asked, priority=Priority.BATCH, timeout_s=INFERENCE_TIMEOUT_S)
    scored: worker.Scored = await asyncio.shield(asyncio.wrap_future(future))
    await run_in_threadpool(_keep, services, scored)
    return scored.result


def _keep(services: Services, scored: worker.Scored) -> None:
    with services.host.storing() as datastore:
        write(scored.notes, datastore)


@router.delete("/", summary="Stop background scoring")
def stop(services: ServicesDep) -> dict[str, Any] | None:
    """An image that is being scored is finished."""
    services.scoring.stop()
    return services.scoring.status()
