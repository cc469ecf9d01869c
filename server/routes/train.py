"""``/train``: start, follow and stop trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from starlette.concurrency import run_in_threadpool

from server.access.user import User, UserDep
from server.executor import WorkCancelledError
from server.jobs.job import Job
from server.jobs.waited import succeeded
from server.names import check_listed
from server.params import asker, cleaned
from server.services import Services, ServicesDep

router = APIRouter(prefix="/train", tags=["Train"])

Params = Annotated[dict[str, Any] | None, Body()]


@router.get("/", summary="The training that runs, or the last one", response_model=None)
def status(services: ServicesDep, all: bool = False, check_if_running: bool = False) -> Any:
    """With ``check_if_running``, answer 200 while one runs and 404 otherwise."""
    training = services.training
    found = training.records() if all else training.running() if check_if_running else training.latest()
    if not found:
        raise HTTPException(404, "No training is running." if check_if_running else "There was no training yet.")
    return found


@router.post("/", summary="Start several trainings, one after the other")
async def start_several(
    services: ServicesDep, user: UserDep, params: Params = None, run_sync: bool = False
) -> dict[str, Any]:
    """The body names the trainers, ``{"model": {...}}``; an empty body, or one without names, starts all."""
    trainers = services.host.trainers
    named = {name: options for name, options in (params or {}).items() if isinstance(options, dict)}
    for name in named:
        _check(services, name)
    common = {key: value for key, value in (params or {}).items() if key not in named}
    answers: dict[str, Any] = {}
    jobs: dict[str, Job] = {}
    for name in named or trainers:
        jobs[name] = await _submitted(services, user, name, {**common, **named.get(name, {})}, enqueue=True)
        answers[name] = {"result": await run_in_threadpool(services.training.record, jobs[name]), "detail": None}
    if run_sync:
        for name, job in jobs.items():
            try:
                answers[name]["result"] = await _result(services, job)
            except (HTTPException, WorkCancelledError) as failure:  # of this one; the others are told as well
                told = failure.detail if isinstance(failure, HTTPException) else str(failure)
                answers[name] = {"result": None, "detail": told}
    return answers


@router.post("/{model}", summary="Start a training", response_model=None)
async def start(
    services: ServicesDep,
    user: UserDep,
    model: str,
    params: Params = None,
    run_sync: bool = False,
    enqueue: bool = False,
) -> Any:
    """Answer with its record, or with ``run_sync`` with what the trainer returned; 429 while another runs."""
    _check(services, model)
    job = await _submitted(services, user, model, params, enqueue=enqueue)
    return await _result(services, job) if run_sync else await run_in_threadpool(services.training.record, job)


@router.delete("/", summary="Stop the training that runs, and drop those that wait", response_model=None)
def stop(services: ServicesDep) -> dict[str, Any] | None:
    """Answer with the record of the one that was stopped; null if there was none."""
    job = services.training.stop()
    return None if job is None else services.training.record(job)


def _check(services: Services, model: str) -> None:
    check_listed("the trainer", model, services.host.trainers, fix="GET /info/ lists the trainers.")


async def _submitted(
    services: Services, user: User, model: str, params: Mapping[str, Any] | None, *, enqueue: bool
) -> Job:
    who = asker(user, params)

    def submit() -> Job:
        request = services.harvest_training.with_snapshot({**cleaned(params), "model": model}, asked_by=who)
        return services.training.submit(request, enqueue=enqueue, asked_by=who)

    return await run_in_threadpool(submit)


async def _result(services: Services, job: Job) -> Any:
    return (await succeeded(services.jobs, job, "training", told="; GET /train/ shows its last lines.")).result
