"""Jobs in the words of MONAI Label's task records, which its clients know."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from server.jobs.job import Job, State
from server.jobs.table import JobTable

STATUS: dict[State, str] = {
    "queued": "SUBMITTED", "running": "RUNNING", "succeeded": "DONE", "failed": "ERROR", "cancelled": "STOPPED",
}  # fmt: skip

TAIL_LINES = 20
"""Lines of output a record carries."""


def local_text(time: float) -> str:
    """Return a time in MONAI Label's format, in this machine's zone."""
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def monai_record(table: JobTable, job: Job, *, result: Any = None) -> dict[str, Any]:
    """Return a job as a client knows it. ``details`` is never empty: 3D Slicer takes its last line.

    Args:
        table: where it is kept, and its output.
        job: the job.
        result: what came of it, as the client knows it; the job's own by default.
    """
    lines = [line for _, line in table.lines(job)]
    waiting = "Waiting to start." if job.state == "queued" else "Starting."
    details = [*lines[-TAIL_LINES:], *([job.error] if job.error and job.error not in lines[-1:] else [])]
    record: dict[str, Any] = {
        "id": job.id,
        "status": STATUS[job.state],
        "request": dict(job.spec),
        "start_ts": local_text(job.started or job.created),
        "details": details[-TAIL_LINES:] or [waiting],
    }
    if job.ended is not None:
        record["end_ts"] = local_text(job.ended)
    result = job.result if result is None else result
    if result is not None:
        record["result"] = result
    return record
