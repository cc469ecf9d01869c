"""Sends what waits in the outbox (STOW-RS): once, and again only where it is certain that the PACS has it not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hepatic.errors import BadInputError, HepaticError, NotFoundError
from hepatic.io.dicom_instance import Reference
from hepatic.pacs.error import PacsDownError, PacsError
from hepatic.pacs.outbox import Due, Entry, Outbox
from hepatic.pacs.stow import Stored

logger = logging.getLogger(__name__)

MOST_REFUSALS = 4
MOST_FAILURES = 12
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0
_GATEWAY_ANSWERS = (407, 408, 502, 504)
"""With which what lies before a PACS says that nothing comes through."""


@dataclass(frozen=True)
class Made:
    """A DICOM object that is ready to be sent.

    Attributes:
        name: what tells it from the others of the same result.
        file: that holds it; it is deleted when it is no longer needed.
        reference: its UIDs.
    """

    name: str
    file: Path
    reference: Reference


class NotNowError(HepaticError):
    """The objects of a result cannot be made at the moment, for no reason of its own."""


class Pacs(Protocol):
    """What sending takes of a ``PacsClient``."""

    def has_instance(self, study_uid: str, series_uid: str, sop_uid: str) -> bool: ...  # noqa: D102
    def store(self, instances: Iterable[Path]) -> Stored: ...  # noqa: D102


class Sender:
    """Sends; one at a time. Not for several threads.

    A PACS that is down, or cannot search or store, is tried again after 5 s, 10 s and so on up to ten minutes, and at
    once with what is new; each time with another object first, those that have not failed yet before the others: it may
    be the object that keeps it from answering. An object that it refuses is tried four times in the same rhythm, and
    then no more; one that it fails to store (500) twelve times, and so is one at which it breaks or falls silent
    although another was sent since it failed last, or which it cannot be asked for at once although it could before:
    that one brings it down. Where it breaks at all objects and goes on answering, its storing is off, and they wait.

    Args:
        outbox: the record.
        pacs: where to.
        due: gives every result that the PACS should have; None where nothing has changed since it was asked last.
        make: makes the objects of one; raises BadInputError where there are none of it, NotNowError to be asked again.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        outbox: Outbox,
        pacs: Pacs,
        *,
        due: Callable[[], Iterable[Due] | None],
        make: Callable[[Entry], Sequence[Made]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox, self._pacs, self._due, self._make, self._clock = outbox, pacs, due, make, clock
        self._failures, self._pause_until = 0, 0.0
        self._asked: Reference | None = None
        self.trouble = ""
        """Why nothing is sent at the moment; empty where nothing is wrong."""

    def look(self) -> None:
        """Send what is new, and what it is time to try again; returns where the PACS cannot be asked."""
        due = self._due()
        if due is not None and self._outbox.take(due):
            self.hurry()
        if self._clock() < self._pause_until:
            return
        ready = self._outbox.ready(now=self._clock())
        if not ready:
            self.trouble = ""
        for entry in ready:
            self._asked = None
            try:
                self._send(entry)
            except NotNowError:
                return
            except PacsError as failure:
                if isinstance(failure, PacsDownError) or failure.answered in _GATEWAY_ANSWERS:
                    self._broke(entry, failure)
                    return
                most = MOST_REFUSALS if 400 <= failure.answered < 500 else MOST_FAILURES
                self._refused(entry, str(failure), most=most)
            except HepaticError as failure:  # its files are gone, the disk is full: it may work later
                self._refused(entry, str(failure))
            self._failures, self.trouble = 0, ""

    def hurry(self) -> None:
        """Wait no longer for a PACS that was down."""
        self._failures, self._pause_until = 0, 0.0

    def _send(self, entry: Entry) -> None:
        try:
            made = self._make(entry)
        except NotFoundError:
            raise
        except BadInputError as reason:
            logger.info("a result is not sent to the PACS: %s", reason)
            self._outbox.settle(entry, "left_out", str(reason))
            return
        try:
            self._outbox.write_down(entry, {one.name: one.reference for one in made})
            missing = [one for one in made if not self._has(one.reference)]
            self._asked = missing[0].reference if missing else None
            stored = self._pacs.store([one.file for one in missing]) if missing else Stored((), {})
        finally:
            for one in made:
                one.file.unlink(missing_ok=True)
        if stored.failed:
            self._refused(entry, f"The PACS did not take it: {', '.join(sorted(set(stored.failed.values())))}.")
        else:
            self._outbox.settle(entry, "sent")

    def _has(self, one: Reference) -> bool:
        try:
            return self._pacs.has_instance(one.study_uid, one.series_uid, one.sop_uid)
        except PacsError as failure:
            if 400 <= failure.answered < 500:
                raise
            raise PacsDownError(failure.status, failure.told) from failure  # it is not the object's fault

    def _broke(self, entry: Entry, failure: PacsError) -> None:
        """Tell whether it was the object at which nothing came back; else it waits, with all others."""
        told, is_said = str(failure), isinstance(failure, PacsDownError) and failure.answered
        if not is_said and self._outbox.has_sent_since(entry):
            self._refused(entry, told, most=MOST_FAILURES)
            return
        if not is_said and self._is_down_now():
            self._refused(entry, told, most=MOST_FAILURES)
        else:
            self._outbox.put_last(entry, told)
        self._pause(told)

    def _is_down_now(self) -> bool:
        """Whether the PACS no longer answers what it has just answered, before an object was sent."""
        if self._asked is None:
            return False
        try:
            self._has(self._asked)
        except PacsError:
            return True
        return False

    def _refused(self, entry: Entry, told: str, *, most: int = MOST_REFUSALS) -> None:
        if entry.attempts + 1 >= most:
            logger.warning("the PACS is sent a result no more: %s", told)
            self._outbox.settle(entry, "refused", told)
        else:
            self._outbox.postpone(entry, told, until=self._clock() + _wait_s(entry.attempts))

    def _pause(self, told: str) -> None:
        if not self._failures:
            logger.warning("results wait for the PACS: %s", told)
        self._pause_until = self._clock() + _wait_s(self._failures)
        self._failures += 1
        self.trouble = told


def _wait_s(failures: int) -> float:
    return float(min(_FIRST_WAIT_S * 2**failures, _LONGEST_WAIT_S))
