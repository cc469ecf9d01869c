"""The durable table of jobs: one SQLite file, claimed and changed by any number of threads and processes.

What a call has returned from is on the disk.
"""
# ruff: noqa: S608 - queries are put together from constants

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatic.errors import ConflictError, NotFoundError
from hepatic.store.database import Database
from server.jobs.job import Job
from server.jobs.leases import TAIL_LINES, Leases
from server.jobs.rows import COLUMNS, JOBS, NEXT, job_of, marks


@dataclass(frozen=True)
class Item:
    """One item of a job that has been gone through."""

    item: str
    ok: bool
    result: Any


class JobRunningError(ConflictError):
    """As many jobs of a kind wait or run as may, and this one was not to wait for them."""


class JobTable:
    """All jobs of one data folder.

    Args:
        path: the SQLite file; its folder must be on a local disk.
        clock: seconds since 1970.

    Raises:
        StorageError: it cannot be opened, read or written.

    Attributes:
        leases: of those that run.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = Database(path, JOBS), clock
        self.leases = Leases(self._database, clock)

    # Asking

    def add(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        items: Sequence[str] = (),
        priority: int = 0,
        max_attempts: int = 3,
        asked_by: str = "",
        at_most: int | None = None,
    ) -> Job:
        """Put a job into the queue; it is there after a power cut once this returns.

        Args:
            kind: who runs it.
            spec: what to do, as JSON.
            items: what it goes through one by one; each is named once.
            priority: smaller goes first among those of its kind.
            max_attempts: how often it may be begun.
            asked_by: who wants it.
            at_most: how many jobs of its kind may wait and run with it, where there is a limit.

        Raises:
            JobRunningError: so many do already.
        """
        id = str(uuid.uuid4())
        with self._database.write() as connection:
            if at_most is not None and _count(connection, kind, ("queued", "running")) >= at_most:
                raise JobRunningError(
                    "the job",
                    expected="no other of its kind to be running",
                    came="one that runs",
                    fix="Wait for it, stop it, or ask with enqueue=true.",
                )
            cursor = connection.execute(
                "INSERT INTO job (id, kind, spec, priority, max_attempts, items, asked_by, created, revision) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT ifnull(max(revision), 0) + 1 FROM job))",
                (id, kind, json.dumps(dict(spec)), priority, max_attempts, len(items), asked_by, self._clock()),
            )
            connection.executemany(
                "INSERT INTO job_item (job, item, place) VALUES (?, ?, ?)",
                ((cursor.lastrowid, item, place) for place, item in enumerate(items)),
            )
            return _one(connection, "id = ?", id)

    def cancel(self, id: str) -> Job:
        """Stop a job: one that waits is cancelled now, one that runs is to be stopped by its owner.

        Raises:
            NotFoundError: there is no such job.
        """
        with self._database.write() as connection:
            job = _one(connection, "id = ?", id)
            connection.execute(
                "UPDATE job SET state = 'cancelled', cancel = 1, error = 'Stopped on request.', ended = ?, "
                f"seconds_left = NULL, {NEXT} WHERE id = ? "
                "AND (state = 'queued' OR (state = 'running' AND lease_until < ?))",
                (self._clock(), id, self._clock()),
            )
            connection.execute(
                f"UPDATE job SET cancel = 1, {NEXT} WHERE id = ? AND state = 'running' AND cancel = 0", (id,)
            )
            return _one(connection, "number = ?", job.number)

    def retry(self, id: str) -> Job:
        """Put a job that failed or was cancelled back into the queue; what it has done already is kept.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has not ended, or it succeeded and no item of it failed.
        """
        with self._database.write() as connection:
            job = _one(connection, "id = ?", id)
            if job.state not in ("failed", "cancelled") and not (job.state == "succeeded" and job.items_failed):
                raise ConflictError(
                    "the job",
                    expected="one that failed or was cancelled",
                    came=f"one that {'has ' if job.has_ended else 'is '}{job.state}",
                    fix="Ask for a new one.",
                )
            connection.execute(
                "UPDATE job_item SET state = 'waiting' WHERE job = ? AND state = 'failed'", (job.number,)
            )
            connection.execute(
                "UPDATE job SET state = 'queued', attempt = 0, cancel = 0, error = '', result = 'null', ended = NULL, "
                f"items_failed = 0, progress = CASE WHEN items THEN CAST(items_done AS REAL) / items ELSE 0 END, "
                f"{NEXT} WHERE number = ?",
                (job.number,),
            )
            return _one(connection, "number = ?", job.number)

    # Looking

    def get(self, id: str) -> Job:
        """Return a job by its id, or by the beginning of it that no other shares.

        Raises:
            NotFoundError: there is none, or several.
        """
        with self._database.read() as connection:
            if len(id) < 36 and len(id) >= 4:
                rows = connection.execute(
                    "SELECT id FROM job WHERE id >= ? AND id < ? LIMIT 2", (id, id + "~")
                ).fetchall()
                id = rows[0][0] if len(rows) == 1 else id
            return _one(connection, "id = ?", id)

    def jobs(
        self,
        *,
        kind: str = "",
        states: Sequence[str] = (),
        limit: int = 50,
        offset: int = 0,
    ) -> list[Job]:
        """Return jobs, newest first."""
        where, values = _where(kind, states)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM job WHERE {where} ORDER BY number DESC LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return [job_of(row) for row in rows]

    def count(self, *, kind: str = "", states: Sequence[str] = ()) -> int:
        """Return how many jobs there are."""
        with self._database.read() as connection:
            return _count(connection, kind, states)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are by kind and state, for the metrics."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT kind, state, count(*) FROM job GROUP BY kind, state").fetchall()
        return {(kind, state): count for kind, state, count in rows}

    def changed_since(self, revision: int, *, limit: int = 200) -> list[Job]:
        """Return the jobs that have changed since, in the order they did."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM job WHERE revision > ? ORDER BY revision LIMIT ?", (revision, limit)
            ).fetchall()
        return [job_of(row) for row in rows]

    def revision(self) -> int:
        """Return the newest revision of any job."""
        with self._database.read() as connection:
            (newest,) = connection.execute("SELECT ifnull(max(revision), 0) FROM job").fetchone()
        return int(newest)

    def lines(self, job: Job, *, after: int = 0, last: int = TAIL_LINES) -> list[tuple[int, str]]:
        """Return the last lines of a job's output with their numbers, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT number, line FROM job_line WHERE job = ? AND number > ? ORDER BY number DESC LIMIT ?",
                (job.number, after, last),
            ).fetchall()
        return [(number, line) for number, line in reversed(rows)]

    def waiting_items(self, job: Job) -> list[str]:
        """Return the items that have not been gone through, in their order."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT item FROM job_item WHERE job = ? AND state = 'waiting' ORDER BY place", (job.number,)
            ).fetchall()
        return [item for (item,) in rows]

    def settled_items(self, job: Job, *, failed_only: bool = False, limit: int = -1) -> list[Item]:
        """Return the items that have been gone through, in their order, with what came of them."""
        states = ("failed",) if failed_only else ("done", "failed")
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT item, state, result FROM job_item WHERE job = ? AND state IN ({marks(states)}) "
                "ORDER BY place LIMIT ?",
                (job.number, *states, limit),
            ).fetchall()
        return [Item(item, state == "done", json.loads(result)) for item, state, result in rows]

    # Housekeeping

    def prune(self, kind: str, *, keep: int, forget: Callable[[str], None] | None = None) -> int:
        """Forget all but the newest jobs of a kind that have ended; return how many were forgotten.

        Args:
            kind: of job.
            keep: how many to keep.
            forget: removes what else there is of a job, by its id; if it fails, the rows stay too.
        """
        with self._database.write() as connection:
            old = (
                "SELECT number FROM job WHERE kind = ? AND state IN ('succeeded', 'failed', 'cancelled') "
                "ORDER BY number DESC LIMIT -1 OFFSET ?"
            )
            if forget is not None:
                for (id,) in connection.execute(f"SELECT id FROM job WHERE number IN ({old})", (kind, keep)).fetchall():
                    forget(id)
            for table, column in (("job_item", "job"), ("job_line", "job"), ("job", "number")):
                gone = connection.execute(f"DELETE FROM {table} WHERE {column} IN ({old})", (kind, keep)).rowcount
        return gone

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


def _count(connection: sqlite3.Connection, kind: str, states: Sequence[str]) -> int:
    where, values = _where(kind, states)
    (count,) = connection.execute(f"SELECT count(*) FROM job WHERE {where}", values).fetchone()
    return int(count)


def _where(kind: str, states: Sequence[str]) -> tuple[str, list[str]]:
    parts, values = ["1"], []
    if kind:
        parts.append("kind = ?")
        values.append(kind)
    if states:
        parts.append(f"state IN ({marks(states)})")
        values += states
    return " AND ".join(parts), values


def _one(connection: sqlite3.Connection, where: str, value: str | int) -> Job:
    row = connection.execute(f"SELECT {COLUMNS} FROM job WHERE {where}", (value,)).fetchone()
    if row is None:
        raise NotFoundError(
            "the job", expected="the id of a job", came="one that is not there", fix="GET /jobs lists them."
        )
    return job_of(row)
