"""A job while this process runs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from hepatic.errors import HepaticError
from server.jobs.job import Job
from server.jobs.table import JobTable

Reason = Literal["cancelled", "closing", "lost"]
"""Why a job is to stop: somebody asked, the server stops, or another server has taken it over."""


class JobStoppedError(HepaticError):
    """The work ended because it was told to."""


class JobFailedError(HepaticError):
    """The job cannot be done; the message says why, to a person."""


class JobInterruptedError(HepaticError):
    """What ran the job was killed; the job may be begun again."""


class Held:
    """What the work of a job is given: the job, where it runs, and whom to tell. From any thread.

    Args:
        job: as it was claimed.
        table: where it is kept.
    """

    def __init__(self, job: Job, table: JobTable) -> None:
        self.job, self.table = job, table
        self.began = time.monotonic()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._reason: Reason | None = None
        self._actions: list[Callable[[], None]] = []
        self._lines: list[str] = []
        self._progress: tuple[float, float | None] | None = None
        self._settled = 0

    @property
    def reason(self) -> Reason | None:
        """Why it is to stop; None while it may go on."""
        return self._reason

    def wait(self, timeout_s: float) -> bool:
        """Wait so long, or until it is to stop; return whether it is."""
        return self._stopping.wait(timeout_s)

    def check(self) -> None:
        """Raise JobStoppedError if it is to stop."""
        if self._stopping.is_set():
            raise JobStoppedError("The job was stopped.")

    def on_stop(self, action: Callable[[], None]) -> None:
        """Call this when it is to stop; now, if it is already."""
        with self._lock:
            if not self._stopping.is_set():
                self._actions.append(action)
                return
        action()

    def stop(self, reason: Reason) -> None:
        """Tell the work to stop; the first reason counts."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._reason = reason
            self._stopping.set()
            actions, self._actions = self._actions, []
        for action in actions:
            action()

    def line(self, text: str) -> None:
        """Note a line of output."""
        with self._lock:
            self._lines.append(text)

    def advance(self, progress: float, seconds_left: float | None = None) -> None:
        """Note how far it is, 0 to 1; without an estimate, the time that is left follows from the time it took."""
        progress = min(1.0, max(0.0, progress))
        if seconds_left is None and progress > 0:
            seconds_left = (time.monotonic() - self.began) / progress * (1 - progress)
        with self._lock:
            self._progress = (progress, seconds_left)

    def settle(self, item: str, result: Any, *, ok: bool = True) -> None:
        """Keep what came of one item; see ``Leases.settle``."""
        self.table.leases.settle(self.job, item, result, ok=ok)
        with self._lock:
            self._settled += 1
            now = self.job.items_done + self.job.items_failed + self._settled
            each = (time.monotonic() - self.began) / self._settled
            self._progress = (now / self.job.items, each * (self.job.items - now))

    def flush(self) -> bool:
        """Write down what was noted; return whether there was something."""
        with self._lock:
            lines, self._lines = self._lines, []
            progress, self._progress = self._progress, None
        if not lines and progress is None:
            return False
        self.table.leases.tell(
            self.job,
            lines,
            progress=None if progress is None else progress[0],
            seconds_left=None if progress is None else progress[1],
        )
        return True


Work = Callable[[Held], Any]
"""Does a job and returns its result, fit for JSON. Raises JobStoppedError once it was told to stop and has stopped."""
