"""``/batch/infer``: run a model on many images of the datastore, in the background."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from starlette.concurrency import run_in_threadpool

from server.access.user import UserDep
from server.jobs.batch import KIND, Images
from server.jobs.job import Job
from server.jobs.waited import succeeded
from server.monai_record import monai_record
from server.params import asker
from server.services import Services, ServicesDep

router = APIRouter(prefix="/batch", tags=["Infer"])


@router.get("/infer", summary="The batch inference that runs, or the last one", response_model=None)
def status(services: ServicesDep, all: bool = False, check_if_running: bool = False) -> Any:
    """With ``check_if_running``, answer 200 while one runs and 404 otherwise."""
    table = services.jobs.table
    if all:
        records = [_record(services, job) for job in reversed(table.jobs(kind=KIND, limit=-1))]
        if records:
            return records
        raise HTTPException(404, "There was no batch inference yet.")
    running = table.jobs(kind=KIND, states=("running",))
    found = running or ([] if check_if_running else table.jobs(kind=KIND, limit=1))
    if not found:
        raise HTTPException(404, "No batch inference is running.")
    return _record(services, found[-1], with_results=True)


@router.post("/infer/{model}", summary="Run a model on many images", response_model=None)
async def start(
    services: ServicesDep,
    user: UserDep,
    model: str,
    images: Images = Images.ALL,
    params: Annotated[dict[str, Any] | None, Body()] = None,
    run_sync: bool = False,
    enqueue: bool = False,
) -> Any:
    """Each result is saved as a label with the tag ``original``, or ``label_tag``, unless ``save_label`` is off.

    Answer with its record, or with ``run_sync`` with the result of each image; 429 while another runs, unless it is to
    ``enqueue``.
    """
    job = await run_in_threadpool(
        services.batch.submit, model, images, params, enqueue=enqueue, asked_by=asker(user, params)
    )
    if not run_sync:
        return await run_in_threadpool(_record, services, job)
    ended = await succeeded(services.jobs, job, "batch inference")
    return await run_in_threadpool(services.batch.results, ended)


@router.delete("/infer", summary="Stop the batch inference that runs, and drop those that wait", response_model=None)
def stop(services: ServicesDep) -> dict[str, Any] | None:
    """Answer with the record of the one that was stopped; null if there was none. What is done already stays."""
    job = services.jobs.cancel_all(KIND)
    return None if job is None else _record(services, job)


def _record(services: Services, job: Job, *, with_results: bool = False) -> dict[str, Any]:
    result = services.batch.results(job) if with_results and job.has_ended else None
    return monai_record(services.jobs.table, job, result=result)
