"""A job that somebody waits for."""

from __future__ import annotations

from fastapi import HTTPException

from server.executor import WorkCancelledError
from server.jobs.job import Job, stopped
from server.jobs.runner import Jobs


async def succeeded(jobs: Jobs, job: Job, what: str, *, told: str = "") -> Job:
    """Wait for the end of a job and return it as it is then.

    Args:
        jobs: where it is kept.
        job: the job.
        what: what a client calls it, such as ``training``.
        told: how the sentence ends where it failed; with its own error by default.

    Raises:
        HTTPException: it failed.
        WorkCancelledError: it was stopped, or the server is stopping.
    """
    ended = await jobs.ended(job.id)
    if ended.state == "failed":
        raise HTTPException(500, f"The {what} failed{told or f'. {ended.error}'}")
    if ended.state != "succeeded":
        raise WorkCancelledError(stopped(ended, what))
    return ended
