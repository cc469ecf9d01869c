"""A job: work that outlives the request that asked for it, and the server that began it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled"})
STATES: tuple[State, ...] = ("queued", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row of the table, as it was when it was read. Times are seconds since 1970, UTC.

    Attributes:
        number: in the order they were asked for.
        id: what clients know it by.
        kind: train, batch_infer, scoring, propose or know.
        spec: what to do; without paths of this machine.
        priority: smaller goes first among those of its kind.
        state: where it is.
        attempt: how often it was begun; one that its server gave back does not count, and trying it again counts anew.
        claims: how often it was claimed at all; never goes back, and so tells who holds it now from who held it before.
        max_attempts: how often it may be.
        owner: who runs it, or ran it last.
        lease_until: another may take it over after this.
        device: where it runs.
        progress: 0 to 1.
        seconds_left: estimate, None where nothing is known.
        items: how many items it goes through; 0 where it has none.
        items_done: how many went well.
        items_failed: how many did not.
        cancel: whether somebody has asked to stop it.
        error: why it failed or stopped.
        result: what came of it.
        asked_by: who asked, empty where nobody said.
        created: when it was asked for.
        started: when the last attempt began.
        ended: when it ended.
        revision: goes up with every change of any job.
    """

    number: int
    id: str
    kind: str
    spec: Mapping[str, Any]
    priority: int
    state: State
    attempt: int
    claims: int
    max_attempts: int
    owner: str
    lease_until: float
    device: str
    progress: float
    seconds_left: float | None
    items: int
    items_done: int
    items_failed: int
    cancel: bool
    error: str
    result: Any
    asked_by: str
    created: float
    started: float | None
    ended: float | None
    revision: int

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it, unless somebody tries it again."""
        return self.state in ENDED

    @property
    def begun_before(self) -> bool:
        """Whether it was claimed before it was claimed this time, however that ended."""
        return self.claims > 1

    @property
    def subject(self) -> str:
        """The model or method it is about."""
        return str(self.spec.get("model") or self.spec.get("method") or "")

    def as_json(self) -> dict[str, Any]:
        """Return what ``/jobs`` tells of it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "state": self.state,
            "cancelling": self.cancel and not self.has_ended,
            "progress": round(self.progress, 4),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "items": {"total": self.items, "done": self.items_done, "failed": self.items_failed}
            if self.items
            else None,
            "attempt": self.attempt,
            "max_attempts": self.max_attempts,
            "device": self.device,
            "asked_by": self.asked_by,
            "request": dict(self.spec),
            "error": self.error,
            "result": self.result,
            "created": as_text(self.created),
            "started": as_text(self.started),
            "ended": as_text(self.ended),
        }


def stopped(job: Job, what: str) -> str:
    """Say to who waited for a job why nothing has come of it."""
    if job.has_ended:
        return f"The {what} was stopped."
    return f"The server is stopping; the {what} goes on at its next start."


def as_text(time: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
