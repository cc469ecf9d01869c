"""``/jobs``: everything that runs in the background, how far it is, and how to stop it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from hepatic.errors import ConflictError
from server.jobs.job import Job, State
from server.jobs.runner import Jobs
from server.routes.jobs_page import jobs_page
from server.scoring import KIND as SCORING
from server.services import ServicesDep

router = APIRouter(prefix="/jobs", tags=["Jobs"])

_BEAT_S = 15.0
"""Between two comments on a stream that has no news, so that proxies keep it open."""
_RECONNECT_MS = 2000
_LIFE_S = 300.0
"""After so long a stream ends, and who listens comes again: a token may have been revoked meanwhile."""
_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

LastEvent = Annotated[str, Header(alias="Last-Event-ID")]


@router.get("", summary="Jobs, newest first", response_model=None)
def jobs(
    request: Request,
    services: ServicesDep,
    kind: str = "",
    state: Annotated[list[State] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> Response:
    """Of one ``kind`` or ``state``, a page at a time; a browser gets them as a page.

    ``kind`` is train, batch_infer, scoring, propose or know.
    """
    if "text/html" in request.headers.get("accept", ""):
        return jobs_page()
    table = services.jobs.table
    found = table.jobs(kind=kind, states=state or (), limit=limit, offset=offset)
    return JSONResponse(
        {
            "jobs": [job.as_json() for job in found],
            "total": table.count(kind=kind, states=state or ()),
            "limit": limit,
            "offset": offset,
        }
    )


@router.get("/events", summary="What happens to jobs, as server-sent events")
async def all_events(services: ServicesDep, last_event_id: LastEvent = "") -> EventSourceResponse:
    """An event ``job`` for each job that waits or runs, and then whenever one changes; it ends with the server.

    It also ends after some minutes, and whoever listens asks again.

    With ``Last-Event-ID``, begin with those that have changed since.
    """
    return _stream(_all_changes(services.jobs, _numbers(last_event_id)[0]))


@router.get("/{id}", summary="One job, with the end of its output")
def job(services: ServicesDep, id: str) -> dict[str, Any]:
    """The id may be shortened as long as it names one job; ``failures`` holds the first items that failed."""
    table = services.jobs.table
    found = table.get(id)
    failed = table.settled_items(found, failed_only=True, limit=20) if found.items_failed else []
    return {
        **found.as_json(),
        "log": [line for _, line in table.lines(found)],
        "failures": {item.item: item.result for item in failed},
    }


@router.delete("/{id}", summary="Stop a job")
def cancel(services: ServicesDep, id: str) -> dict[str, Any]:
    """One that waits is dropped; one that runs is stopped, with everything it started. What has ended stays so."""
    return services.jobs.cancel(services.jobs.table.get(id).id).as_json()


@router.post("/{id}/retry", summary="Begin a job again that failed or was stopped")
def retry(services: ServicesDep, id: str) -> dict[str, Any]:
    """It goes on where it was, if it can: what is done already is kept."""
    found = services.jobs.table.get(id)
    if found.kind == SCORING:
        raise ConflictError(
            "the job",
            expected="a training or a batch inference",
            came="a round of scoring",
            fix="POST /scoring/ instead.",
        )
    return services.jobs.retry(found.id).as_json()


@router.get("/{id}/events", summary="What happens to one job, as server-sent events")
async def events(services: ServicesDep, id: str, last_event_id: LastEvent = "") -> Response:
    """Events ``job`` whenever it changes, and ``log`` with new lines of its output; the stream ends with the job,
    and after some minutes, when whoever listens asks again.

    With ``Last-Event-ID``, begin with what is new since then; 204 if that was the end.
    """
    found = await run_in_threadpool(services.jobs.table.get, id)
    revision, line = _numbers(last_event_id)
    if found.has_ended and last_event_id and revision >= found.revision:
        return Response(status_code=204)  # tells a browser not to ask again
    return _stream(_one_job(services.jobs, found.id, revision, line))


def _stream(events: AsyncIterator[bytes]) -> EventSourceResponse:
    return EventSourceResponse(events, headers=_STREAM_HEADERS)


async def _all_changes(jobs: Jobs, revision: int) -> AsyncIterator[bytes]:
    def begun() -> tuple[int, list[Job]]:
        newest = jobs.table.revision()  # first: what changes from now on is sent, twice rather than never
        return newest, jobs.table.jobs(states=("queued", "running"), limit=200)[::-1]

    until = time.monotonic() + _LIFE_S
    yield format_sse_event(retry=_RECONNECT_MS, comment="jobs")
    if not revision:
        revision, active = await run_in_threadpool(begun)
        for job in active:
            yield _event("job", job.as_json(), str(revision))
    with jobs.changes.listen() as changed:
        while not jobs.changes.closed and time.monotonic() < until:
            changed.clear()
            page = await run_in_threadpool(jobs.table.changed_since, revision)
            for job in page:
                revision = job.revision
                yield _event("job", job.as_json(), str(revision))
            if not page and not await _woken(changed):  # else there may be another page
                yield format_sse_event(comment="still here")


async def _one_job(jobs: Jobs, id: str, revision: int, line: int) -> AsyncIterator[bytes]:
    def now() -> tuple[Job, list[tuple[int, str]]]:
        job = jobs.table.get(id)  # first: an ended job has said all its lines
        return job, jobs.table.lines(job, after=line)

    until = time.monotonic() + _LIFE_S
    yield format_sse_event(retry=_RECONNECT_MS, comment="job")
    with jobs.changes.listen() as changed:
        while not jobs.changes.closed and time.monotonic() < until:
            changed.clear()
            job, lines = await run_in_threadpool(now)
            if lines:
                line = lines[-1][0]
                yield _event("log", [text for _, text in lines], f"{revision}.{line}")
            if job.revision > revision:
                revision = job.revision
                yield _event("job", job.as_json(), f"{revision}.{line}")
            if job.has_ended:
                return
            if not await _woken(changed):
                yield format_sse_event(comment="still here")


async def _woken(changed: asyncio.Event) -> bool:
    """Wait for news; False if there was none for a while."""
    with suppress(TimeoutError):
        await asyncio.wait_for(changed.wait(), _BEAT_S)
    return changed.is_set()


def _event(name: str, data: Any, id: str) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(data, allow_nan=False), id=id)


def _numbers(last_event_id: str) -> tuple[int, int]:
    """Read the revision and the line out of the id of an event; zeros where it is none of ours."""
    revision, _, line = last_event_id.strip().partition(".")
    parsed = [int(part) if part.isascii() and part.isdigit() and len(part) < 19 else 0 for part in (revision, line)]
    return parsed[0], parsed[1]
