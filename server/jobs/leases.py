"""Leases of jobs: who runs which one, and what its owner writes of it.

A job is run by whoever claimed it, for as long as its lease is extended; one whose owner is gone is claimed again when
the lease has run out. Work is therefore done at least once, and its results are kept by job and item, so that doing it
twice changes nothing.
"""
# ruff: noqa: S608 - queries are put together from constants

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hepatic.store.database import Database
from server.jobs.job import Job
from server.jobs.rows import COLUMNS, NEXT, job_of, marks
from server.observe.scrub import for_clients

TAIL_LINES = 200
"""Lines of output that are kept of a job."""

_LONGEST_LINE = 2000
_OWN = "number = ? AND owner = ? AND claims = ? AND state = 'running'"


class Leases:
    """The leases of one table of jobs.

    Args:
        database: the table's.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def claim(
        self, kind: str, owner: str, *, lease_s: float, device: str = "", holding: Sequence[int] = ()
    ) -> Job | None:
        """Take the next job of a kind: one that waits, or one whose owner has let its lease run out.

        One that has been begun as often as it may, or was to be stopped, ends here instead.

        Args:
            kind: of job.
            owner: who takes it.
            lease_s: for how long, without a heartbeat.
            device: where it will run.
            holding: numbers of the jobs this owner runs: not to be taken from itself after the machine was asleep.

        Returns:
            The job, running and owned; None if there is none.
        """
        now = self._clock()
        expired = f"state = 'running' AND lease_until < ? AND number NOT IN ({marks(holding)})"
        with self._database.write() as connection:
            for state, error, which in (
                ("cancelled", "Stopped on request.", "cancel = 1"),
                (
                    "failed",
                    "It was begun as often as it may be, and its server ended each time.",
                    "attempt >= max_attempts",
                ),
            ):
                connection.execute(
                    f"UPDATE job SET state = ?, error = ?, ended = ?, seconds_left = NULL, {NEXT} WHERE number = "
                    f"(SELECT number FROM job WHERE kind = ? AND {expired} AND {which} LIMIT 1)",
                    (state, error, now, kind, now, *holding),
                )
            rows = connection.execute(
                "UPDATE job SET state = 'running', owner = ?, lease_until = ?, device = ?, attempt = attempt + 1, "
                f"claims = claims + 1, started = ?, {NEXT} WHERE number = (SELECT number FROM job WHERE kind = ? "
                f"AND cancel = 0 AND attempt < max_attempts AND (state = 'queued' OR ({expired})) "
                f"ORDER BY priority, number LIMIT 1) RETURNING {COLUMNS}",
                (owner, now + lease_s, device, now, kind, now, *holding),
            ).fetchall()
            return job_of(rows[0]) if rows else None

    def beat(self, job: Job, *, lease_s: float) -> bool:
        """Extend the lease of a running job; False if it is to be stopped, or somebody else's by now."""
        with self._database.write() as connection:
            return _changed(
                connection.execute(
                    f"UPDATE job SET lease_until = ? WHERE {_OWN} AND cancel = 0",
                    (self._clock() + lease_s, *_own(job)),
                )
            )

    def tell(
        self,
        job: Job,
        lines: Iterable[str] = (),
        *,
        progress: float | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Note how far a job is, and lines of its output without paths of this machine; the oldest lines go."""
        told = [for_clients(line)[:_LONGEST_LINE] for line in lines]
        with self._database.write() as connection:
            (last,) = connection.execute(
                "SELECT ifnull(max(number), 0) FROM job_line WHERE job = ?", (job.number,)
            ).fetchone()
            connection.executemany(
                "INSERT INTO job_line VALUES (?, ?, ?)",
                ((job.number, number, line) for number, line in enumerate(told, start=last + 1)),
            )
            connection.execute(
                "DELETE FROM job_line WHERE job = ? AND number <= ?", (job.number, last + len(told) - TAIL_LINES)
            )
            if progress is None:
                connection.execute(f"UPDATE job SET {NEXT} WHERE number = ?", (job.number,))
            else:
                connection.execute(
                    f"UPDATE job SET progress = ?, seconds_left = ?, {NEXT} WHERE {_OWN}",
                    (progress, seconds_left, *_own(job)),
                )

    def settle(self, job: Job, item: str, result: Any, *, ok: bool = True) -> bool:
        """Keep what came of one item; a restart skips it. False if it was kept before, or the job is another's now."""
        with self._database.write() as connection:
            return _changed(
                connection.execute(
                    "UPDATE job SET items_done = items_done + ?, items_failed = items_failed + ?, "
                    f"progress = CAST(items_done + items_failed + 1 AS REAL) / items, {NEXT} WHERE {_OWN} AND EXISTS "
                    "(SELECT 1 FROM job_item WHERE job = job.number AND item = ? AND state = 'waiting')",
                    (int(ok), int(not ok), *_own(job), item),
                )
            ) and _changed(
                connection.execute(
                    "UPDATE job_item SET state = ?, result = ? WHERE job = ? AND item = ?",
                    ("done" if ok else "failed", json.dumps(result), job.number, item),
                )
            )

    def finish(self, job: Job, state: str, *, result: Any = None, error: str = "") -> bool:
        """End a job; False if it is another's by now, or had ended: then nothing is changed.

        Args:
            job: as it was claimed.
            state: succeeded, failed or cancelled. What has succeeded before it could be stopped has succeeded.
            result: what came of it, as JSON.
            error: why, if it did not succeed.
        """
        with self._database.write() as connection:
            return _changed(
                connection.execute(
                    "UPDATE job SET state = ?, result = ?, error = ?, ended = ?, seconds_left = NULL, "
                    f"progress = CASE WHEN ? = 'succeeded' THEN 1 ELSE progress END, {NEXT} WHERE {_OWN}",
                    (state, json.dumps(result), for_clients(error), self._clock(), state, *_own(job)),
                )
            )

    def give_back(self, job: Job, *, counts: bool = False) -> bool:
        """Put a running job back into the queue, for whoever comes next.

        Args:
            job: as it was claimed.
            counts: whether the attempt counts: it does when the job itself came to grief, not when its server stops.
        """
        with self._database.write() as connection:
            return _changed(
                connection.execute(
                    f"UPDATE job SET state = 'queued', attempt = attempt - ?, seconds_left = NULL, {NEXT} "
                    f"WHERE {_OWN} AND cancel = 0",
                    (int(not counts), *_own(job)),
                )
            )

    def end_all(self) -> int:
        """Let the leases of all running jobs run out now, for a server that knows that no other is there."""
        with self._database.write() as connection:
            return connection.execute("UPDATE job SET lease_until = 0 WHERE state = 'running'").rowcount


def _own(job: Job) -> tuple[int, str, int]:
    return job.number, job.owner, job.claims


def _changed(cursor: sqlite3.Cursor) -> bool:
    return cursor.rowcount == 1
