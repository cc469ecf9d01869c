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
from hepatic.pacs.client import Stored
from hepatic.pacs.error import PacsError
from hepatic.pacs.outbox import Due, Entry, Outbox

logger = logging.getLogger(__name__)

MOST_REFUSALS = 4
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 600.0


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

    A PACS that is down is tried again after 5 s, 10 s and so on up to ten minutes; one that refuses an object is asked
    four times in the same rhythm, and then no more.

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
        self.trouble = ""
        """Why nothing is sent at the moment; empty where nothing is wrong."""

    def look(self) -> None:
        """Send what is new, and what it is time to try again; returns where the PACS cannot be asked."""
        due = self._due()
        if due is not None:
            self._outbox.take(due)
        if self._clock() < self._pause_until:
            return
        for entry in self._outbox.ready(now=self._clock()):
            try:
                self._send(entry)
            except NotNowError:
                return
            except PacsError as failure:
                if not _is_refusal(failure):
                    self._pause(failure)
                    return
                self._refused(entry, str(failure))
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
            stored = self._pacs.store([one.file for one in missing]) if missing else Stored((), {})
        finally:
            for one in made:
                one.file.unlink(missing_ok=True)
        if stored.failed:
            self._refused(entry, f"The PACS did not take it: {', '.join(sorted(set(stored.failed.values())))}.")
        else:
            self._outbox.settle(entry, "sent")

    def _has(self, one: Reference) -> bool:
        return self._pacs.has_instance(one.study_uid, one.series_uid, one.sop_uid)

    def _refused(self, entry: Entry, told: str) -> None:
        if entry.attempts + 1 >= MOST_REFUSALS:
            logger.warning("the PACS is sent a result no more: %s", told)
            self._outbox.settle(entry, "refused", told)
        else:
            self._outbox.postpone(entry, told, until=self._clock() + _wait_s(entry.attempts))

    def _pause(self, failure: PacsError) -> None:
        if not self._failures:
            logger.warning("results wait for the PACS: %s", failure)
        self._pause_until = self._clock() + _wait_s(self._failures)
        self._failures += 1
        self.trouble = str(failure)


def _is_refusal(failure: PacsError) -> bool:
    """Whether the PACS answered that it does not want this, rather than that it cannot answer."""
    return 400 <= failure.answered < 500 and failure.answered not in (401, 403, 407, 408, 429)


def _wait_s(failures: int) -> float:
    return float(min(_FIRST_WAIT_S * 2**failures, _LONGEST_WAIT_S))
