"""``/scoring``: scores that tell which image is worth labelling next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from starlette.concurrency import run_in_threadpool

from server.access.user import UserDep
from server.jobs.job import Job
from server.jobs.waited import succeeded
from server.names import check_listed
from server.params import asker, cleaned
from server.services import Services, ServicesDep

router = APIRouter(prefix="/scoring", tags=["Scoring"])

Params = Annotated[dict[str, Any] | None, Body()]


@router.get("/", summary="How far scoring is", response_model=None)
def status(services: ServicesDep, all: bool = False, check_if_running: bool = False) -> Any:
    """Answer 404 when there was none yet, or with ``check_if_running`` when none runs."""
    scoring = services.scoring
    found = scoring.records() if all else scoring.running() if check_if_running else scoring.status()
    if not found:
        raise HTTPException(404, "No scoring is running." if check_if_running else "There was no scoring yet.")
    return found


@router.post("/", summary="Run all scoring methods")
async def start(services: ServicesDep, user: UserDep, params: Params = None, run_sync: bool = False) -> dict[str, Any]:
    """Images without a score are scored one by one; methods that choose their images themselves run in one go.

    The body holds options by method, ``{"method": {...}}``.
    """
    methods = services.host.scoring_methods
    options = {
        name: await _options(services, given)
        for name, given in (params or {}).items()
        if name in methods and isinstance(given, dict)
    }
    job = await run_in_threadpool(services.scoring.restart, options, asked_by=asker(user, params))
    if job is None:
        return {name: {"result": None, "detail": "There is nothing to score."} for name in methods}
    told = await _result(services, job) if run_sync else None
    record = await run_in_threadpool(services.scoring.record, job)
    return {
        name: {"result": record if told is None else told[name], "detail": None}
        if name in job.spec["methods"]
        else {"result": None, "detail": "There is nothing to score."}
        for name in methods
    }


@router.post("/{method}", summary="Run one scoring method", response_model=None)
async def run(services: ServicesDep, user: UserDep, method: str, params: Params = None, run_sync: bool = False) -> Any:
    """Answer with its record, or with ``run_sync`` with what the method returned, by image where it goes by image."""
    check_listed("the scoring method", method, services.host.scoring_methods, fix="GET /info/ lists them.")
    options = await _options(services, params or {})
    images = options.pop("images", None)
    job = await run_in_threadpool(services.scoring.submit, method, options, images, asked_by=asker(user, params))
    if run_sync:
        return (await _result(services, job))[method]
    return await run_in_threadpool(services.scoring.record, job)


@router.delete("/", summary="Stop scoring")
def stop(services: ServicesDep) -> dict[str, Any] | None:
    """An image that is being scored is finished; a method that runs in one go is stopped where it is."""
    return services.scoring.stop()


async def _options(services: Services, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for a method, with ``images`` if ids of images are named."""
    options, named = cleaned(given), given.get("images")
    if isinstance(named, list):
        options["images"] = await run_in_threadpool(lambda: [services.host.image_id(str(image)) for image in named])
    return options


async def _result(services: Services, job: Job) -> dict[str, Any]:
    ended = await succeeded(services.jobs, job, "scoring")
    return await run_in_threadpool(services.scoring.results, ended)
