"""``/train``: start, follow and stop trainings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException

from hepatic.errors import NotFoundError
from server.params import cleaned
from server.services import Services, ServicesDep
from server.training import TrainingFailedError, TrainingRunningError

router = APIRouter(prefix="/train", tags=["Train"])

Params = Annotated[dict[str, Any] | None, Body()]


@router.get("/", summary="The training that runs, or the last one", response_model=None)
def status(services: ServicesDep, all: bool = False, check_if_running: bool = False) -> Any:
    """With ``check_if_running``, answer 200 while one runs and 404 otherwise."""
    records = services.training.records
    found = records.all() if all else records.running() if check_if_running else records.latest()
    if not found:
        raise HTTPException(404, "No training is running." if check_if_running else "There was no training yet.")
    return found


@router.post("/", summary="Start several trainings, one after the other")
async def start_several(services: ServicesDep, params: Params = None, run_sync: bool = False) -> dict[str, Any]:
    """The body names the trainers, ``{"model": {...}}``; an empty body, or one without names, starts all."""
    trainers = services.host.trainers
    named = {name: options for name, options in (params or {}).items() if isinstance(options, dict)}
    for name in named:
        _checked(services, name)
    common = {key: value for key, value in (params or {}).items() if key not in named}
    answers: dict[str, Any] = {}
    futures: list[Future[Any]] = []
    for name in named or trainers:
        record, future = services.training.submit(
            _request(services, name, {**common, **named.get(name, {})}), enqueue=True
        )
        answers[name] = {"result": record, "detail": None}
        futures.append(future)
    if run_sync:
        for name, future in zip(answers, futures, strict=True):
            answers[name]["result"] = await _result(future)
    return answers


@router.post("/{model}", summary="Start a training", response_model=None)
async def start(
    services: ServicesDep, model: str, params: Params = None, run_sync: bool = False, enqueue: bool = False
) -> Any:
    """Answer with its record, or with ``run_sync`` with what the trainer returned; 429 while another runs."""
    _checked(services, model)
    try:
        record, future = services.training.submit(_request(services, model, params), enqueue=enqueue)
    except TrainingRunningError as busy:
        raise HTTPException(429, str(busy)) from busy
    return await _result(future) if run_sync else record


@router.delete("/", summary="Stop the training that runs, and drop those that wait", response_model=None)
def stop(services: ServicesDep) -> dict[str, Any] | None:
    """Answer with the record of the one that was stopped; null if there was none."""
    return services.training.stop()


def _checked(services: Services, model: str) -> None:
    if model not in services.host.trainers:
        raise NotFoundError(
            "the trainer",
            expected=", ".join(sorted(services.host.trainers)) or "a trainer",
            came="a name that is not among them",
            fix="GET /info/ lists the trainers.",
        )


def _request(services: Services, model: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    request = {**cleaned(params), "model": model}
    bundle_dir = services.host.app.bundle_path(model)
    if bundle_dir:
        request["bundle_path"] = str(bundle_dir)
    return request


async def _result(future: Future[Any]) -> Any:
    try:
        return await asyncio.shield(asyncio.wrap_future(future))
    except TrainingFailedError as failed:
        raise HTTPException(500, "The training failed; GET /train/ shows its last lines.") from failed
