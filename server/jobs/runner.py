"""Runs jobs: each kind in slots of its own, one thread each, from the durable table."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hepatic.errors import HepaticError
from server.jobs.changes import Changes
from server.jobs.held import Held, JobFailedError, JobInterruptedError, JobStoppedError, Work
from server.jobs.job import Job
from server.jobs.table import JobTable

logger = logging.getLogger(__name__)

STOPPED = "Stopped on request."

_LOOK_S = 5.0
"""Between two looks for jobs that another process has asked for, or has let go of."""
_TELL_S = 0.25
"""Between two writes of how far a job is."""


class Jobs:
    """The jobs of one server: asked for, run, stopped; what has not ended goes on at the next start.

    Args:
        path: the file with the table.
        lease_s: a job whose server has been silent for so long is another's to take.
        alone: whether no other server can be running jobs of this table, so that leases left over are void.
    """

    def __init__(self, path: Path, *, lease_s: float = 30.0, alone: bool = True) -> None:
        self.table = JobTable(path)
        self.changes = Changes()
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._lease_s = lease_s
        self._changed = threading.Condition()
        self._turn = 0
        self._held: dict[int, Held] = {}
        self._slots: list[tuple[str, Work, str]] = []
        self._threads: list[threading.Thread] = []
        self._forget: dict[str, Callable[[str], None]] = {}
        self._open = True
        if alone and (left := self.table.leases.end_all()):
            logger.info("%d jobs were running when their server ended; they go on", left)

    def serve(
        self, kind: str, work: Work, *, slots: Sequence[str] = ("",), forget: Callable[[str], None] | None = None
    ) -> None:
        """Say who does jobs of a kind; before ``start``.

        Args:
            kind: of job.
            work: does one.
            slots: the device of each slot; so many run at a time.
            forget: removes what is left of an old job besides its rows, by its id.
        """
        if forget is not None:
            self._forget[kind] = forget
        self._slots += [(kind, work, device) for device in slots]

    def slots(self, kind: str) -> int:
        """Return how many jobs of a kind run at a time."""
        return sum(served == kind for served, _, _ in self._slots)

    def start(self) -> None:
        """Begin with what is in the table."""
        if self._threads:
            return
        self._threads = [
            threading.Thread(target=self._drive, args=slot, name=slot[0], daemon=True) for slot in self._slots
        ]
        self._threads.append(threading.Thread(target=self._keep, name="jobs", daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        items: Sequence[str] = (),
        priority: int = 0,
        max_attempts: int = 3,
        asked_by: str = "",
        enqueue: bool = True,
    ) -> Job:
        """Ask for a job; see ``JobTable.add``. Unless it is to ``enqueue``, only if a slot of its kind is free."""
        job = self.table.add(
            kind,
            spec,
            items=items,
            priority=priority,
            max_attempts=max_attempts,
            asked_by=asked_by,
            at_most=None if enqueue else self.slots(kind),
        )
        self._notify()
        return job

    def cancel(self, id: str, *, wait_s: float = 10.0) -> Job:
        """Stop a job; see ``JobTable.cancel``.

        Args:
            id: the job.
            wait_s: how long to wait for one that runs to be really stopped.

        Returns:
            The job; it runs on if it could not be stopped in that time, and is marked as to be stopped.
        """
        job = self.table.cancel(id)
        with self._changed:
            held = self._held.get(job.number)
        if held is not None:
            held.stop("cancelled")
        self._notify()
        return self.wait(id, wait_s) if wait_s > 0 else job

    def cancel_all(self, kind: str) -> Job | None:
        """Stop the jobs of a kind that run, and drop those that wait.

        Returns:
            The one that ran, or else the first that waited; None if there was nothing to stop.
        """
        active = self.table.jobs(kind=kind, states=("queued", "running"), limit=-1)[::-1]
        for job in active:
            if job.state == "queued":  # first, or they would take the places of those that run
                self.cancel(job.id, wait_s=0)
        stopped = [self.cancel(job.id) for job in active if job.state == "running"]
        stopped += [self.wait(job.id, 10.0) for job in active if job.state == "queued"]
        return stopped[0] if stopped else None

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Wait until a job has ended, or for so long; return it as it is then."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with self._changed:
                turn = self._turn
            job = self.table.get(id)
            left = None if deadline is None else deadline - time.monotonic()
            if job.has_ended or not self._open or (left is not None and left <= 0):
                return job
            self._news(turn, _LOOK_S if left is None else min(left, _LOOK_S))

    async def ended(self, id: str) -> Job:
        """Wait, without holding a thread, until a job has ended or the server stops."""
        with self.changes.listen() as changed:
            while True:
                changed.clear()
                job = await asyncio.to_thread(self.table.get, id)
                if job.has_ended or self.changes.closed:
                    return job
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _LOOK_S)

    def retry(self, id: str) -> Job:
        """Begin a job that failed or was cancelled again, where it stopped; see ``JobTable.retry``."""
        job = self.table.retry(id)
        self._notify()
        return job

    def prune(self, *, keep: int = 1000) -> None:
        """Forget the oldest jobs of each kind that have ended."""
        for kind in {kind for kind, _ in self.table.counts()}:
            self.table.prune(kind, keep=keep, forget=self._forget.get(kind))

    def close(self, timeout_s: float = 15.0) -> None:
        """Stop; what runs is given back to the table and goes on at the next start."""
        with self._changed:
            self._open = False
            held = list(self._held.values())
        for one in held:
            one.stop("closing")
        self._notify()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.changes.close()
        self.table.close()

    def _notify(self) -> None:
        with self._changed:
            self._turn += 1
            self._changed.notify_all()
        self.changes.notify()

    def _news(self, turn: int, timeout_s: float) -> None:
        """Wait until something has changed since that turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn != turn or not self._open, timeout=timeout_s)

    def _drive(self, kind: str, work: Work, device: str) -> None:
        """Body of one slot's thread."""
        while self._open:
            with self._changed:
                turn, holding = self._turn, list(self._held)
            try:
                job = self.table.leases.claim(kind, self.owner, lease_s=self._lease_s, device=device, holding=holding)
            except Exception:  # a full disk, most likely: this thread must not end by it
                logger.exception("jobs cannot be taken; it is tried again")
                job = None
            if job is not None:
                self._run(Held(job, self.table), work)
                continue
            self._news(turn, _LOOK_S)

    def _run(self, held: Held, work: Work) -> None:
        job = held.job
        with self._changed:
            self._held[job.number] = held
            if not self._open:
                held.stop("closing")
        self._notify()
        try:
            if job.begun_before:
                held.line(f"Begun again (attempt {job.attempt} of {job.max_attempts}).")
            self._end(held, work)
        except Exception:  # its lease runs out, and it is taken up again
            logger.exception("what came of job %s could not be written down", job.id)
        finally:
            with self._changed:
                del self._held[job.number]
            self._notify()

    def _end(self, held: Held, work: Work) -> None:
        """Do the work, and write down how it ended."""
        job, result, error = held.job, None, ""
        state = "failed"
        try:
            result = work(held)
            state = "succeeded"
        except JobStoppedError:
            state, error = "cancelled", STOPPED
        except JobInterruptedError as interrupted:
            error = str(interrupted)
            if held.reason is None and job.attempt < job.max_attempts:
                held.line(f"{error} It is begun again.")
                held.flush()
                logger.warning("job %s: %s It is begun again.", job.id, error)
                self.table.leases.give_back(job, counts=True)
                return
        except JobFailedError as failed:
            error = str(failed)
        except Exception as failure:
            logger.exception("job %s failed", job.id)
            error = str(failure) if isinstance(failure, HepaticError) else f"It failed ({type(failure).__name__})."
        if state != "succeeded" and held.reason == "lost":
            return
        if state != "succeeded" and held.reason == "closing":
            held.line("The server is stopping; it goes on at the next start.")
            held.flush()
            self.table.leases.give_back(job)
            return
        if state != "succeeded" and held.reason == "cancelled":
            state, error = "cancelled", STOPPED
        held.flush()
        if not self.table.leases.finish(job, state, result=result, error=error):
            logger.warning("job %s ended here after another server had taken it over", job.id)

    def _keep(self) -> None:
        """Extend the leases of what runs here, and write down how far it is."""
        beaten = 0.0
        while self._open:
            with self._changed:
                self._changed.wait_for(lambda: self._held or not self._open)
            time.sleep(_TELL_S)
            with self._changed:
                held = list(self._held.values())
            try:
                told = [one.flush() for one in held]
                if time.monotonic() - beaten > self._lease_s / 4:
                    beaten = time.monotonic()
                    for one in held:
                        self._beat(one)
            except Exception:
                logger.exception("how far the jobs are could not be written down; it is tried again")
                continue
            if any(told):
                self._notify()

    def _beat(self, held: Held) -> None:
        if self.table.leases.beat(held.job, lease_s=self._lease_s):
            return
        now = self.table.get(held.job.id)
        if now.state == "running" and now.owner == self.owner and now.claims == held.job.claims:
            held.stop("cancelled")
        else:
            held.stop("lost")
