"""Taking readers' events: checked, committed, and only then acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from hepatic import boxes
from hepatic.errors import BadInputError, ConflictError
from hepatic.geometry import Grid
from hepatic.harvest.book import review_of
from hepatic.harvest.events import Event, EventType, Verdict, plain_text, read_event
from hepatic.harvest.proposals import Proposed, numbered
from hepatic.harvest.reading import Reading, last_reading, readings_of
from hepatic.harvest.review_rows import events_where, write_event
from hepatic.harvest.rules import Rules
from hepatic.harvest.study import Box, ProposedStudy
from hepatic.harvest.verdicts import cards_of
from hepatic.store.connection import Connection, SharedDatabase

MOST_EVENTS = 1000
"""Events in one request: a page that was offline for a day sends fewer."""

Status = Literal["stored", "known", "refused"]


@dataclass(frozen=True)
class Taken:
    """What became of an event.

    Attributes:
        id: of the event, as the client wrote it.
        status: ``stored``, and on disk; ``known``, it was stored before; ``refused``.
        reason: why it was refused, in words.
        state: of the reading after it; None where it belongs to none.
        finished: whether it ended a reading.
    """

    id: str
    status: Status
    reason: str = ""
    state: dict[str, Any] | None = None
    finished: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what a client is told."""
        told: dict[str, Any] = {"id": self.id, "status": self.status}
        if self.reason:
            told["reason"] = self.reason
        if self.state is not None:
            told["state"] = self.state
        return told


class StaleError(ConflictError):
    """A page has not seen what its reader has decided elsewhere; both are told.

    Attributes:
        stored: what is in the store and was not seen.
        sent: what the page wanted to add.
        etag: of what is stored: with it, the page says that it has seen that.
    """

    def __init__(self, stored: list[dict[str, Any]], sent: list[dict[str, Any]], etag: str) -> None:
        super().__init__(
            "the review",
            expected="the state that your page has seen",
            came=f"{len(stored)} newer events of yours, from another page",
            fix="Look at both, then send what is to hold without If-Match, or with the new ETag.",
        )
        self.stored, self.sent, self.etag = stored, sent, etag

    def __reduce__(self) -> tuple[object, ...]:
        return StaleError, (self.stored, self.sent, self.etag)


class Reviews:
    """What readers have said, in one review store.

    Args:
        database: of ``open_reviews``.
        rules: by which studies are read.
        clock: seconds since 1970.
    """

    def __init__(self, database: SharedDatabase, rules: Rules, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._rules, self._clock = database, rules, clock

    def take(
        self,
        given: Sequence[Any],
        reader: str,
        *,
        may_box: bool = True,
        if_match: str | None = None,
        device: str = "",
    ) -> tuple[list[Taken], str]:
        """Take events of one reader, in their order. They are on disk when this returns.

        Each is taken or refused by itself: one that is wrong does not keep the others out.

        Args:
            given: as the page sent them, see ``read_event``.
            reader: who logged in.
            may_box: whether their role lets them draw boxes and save labels.
            if_match: the tag that the page was last told for this study (``etag``); None to take them anyhow.
            device: for those that name none.

        Returns:
            What became of each, and the tag of the studies that they belong to.

        Raises:
            BadInputError: too many, or ``if_match`` and events of several studies.
            StaleError: the reader has decided something since, on another page.
        """
        if len(given) > MOST_EVENTS:
            raise BadInputError(
                "events", expected=f"at most {MOST_EVENTS} at a time", came=str(len(given)), fix="Send them in parts."
            )
        read: list[Event | Taken] = []
        for one in given:
            try:
                event = read_event(one)
                event = replace(event, reader=reader, may_label=may_box, device=event.device or device)
                read.append(replace(event, at=self._clock()))
            except BadInputError as wrong:
                read.append(Taken(_told_id(one), "refused", str(wrong)))
        events = [one for one in read if isinstance(one, Event)]
        studies = list(dict.fromkeys(event.study for event in events))
        with self._database.write() as connection:
            if if_match is not None:
                _check_seen(connection, events, studies, reader, if_match)
            desk = _Desk(connection, reader, self._rules, may_box=may_box)
            taken = [desk.take(one) if isinstance(one, Event) else one for one in read]
            tag = _etag(connection, studies, reader)
        return taken, tag

    def etag(self, study: str, reader: str) -> str:
        """Return a tag that changes whenever this reader's events of a study do."""
        with self._database.read() as connection:
            return _etag(connection, [study], reader)

    def reading(self, study: str, reader: str) -> Reading | None:
        """Return the last reading of a study by a reader, None if there was none."""
        with self._database.read() as connection:
            return last_reading(readings_of(connection, study, reader=reader))

    def readings(self, study: str) -> list[Reading]:
        """Return all readings of a study."""
        with self._database.read() as connection:
            return readings_of(connection, study)


class _Desk:
    """Takes the events of one transaction one by one."""

    def __init__(self, connection: Connection, reader: str, rules: Rules, *, may_box: bool) -> None:
        self._connection, self._reader, self._rules, self._may_box = connection, reader, rules, may_box
        self._mine: dict[str, list[Reading]] = {}

    def take(self, event: Event) -> Taken:
        before = self._connection.execute("SELECT reader FROM event WHERE id = ?", (event.id,)).fetchone()
        found = self._reading(event)
        if before is not None:
            if before[0] != self._reader:
                return Taken(event.id, "refused", "That id was used before, by somebody else: make another.")
            return Taken(event.id, "known", state=None if found is None else state_of(*found))
        if found is None:
            return Taken(event.id, "refused", "You have not begun to read that study: ask for it with POST lease.")
        reading, proposed = found
        reason = _refusal(event, reading, proposed.study, may_box=self._may_box)
        if not reason and event.type is EventType.FINISH:
            reason = self._unfinished(reading)
        if reason:
            return Taken(event.id, "refused", reason, state_of(reading, proposed))
        event = replace(event, round=reading.round, model_hash=proposed.model_hash)
        event = replace(event, seq=write_event(self._connection, event))
        reading.take(event)
        finished = event.type is EventType.FINISH
        if finished:
            self._connection.execute("DELETE FROM lease WHERE study = ? AND reader = ?", (event.study, self._reader))
        return Taken(event.id, "stored", state=state_of(reading, proposed), finished=finished)

    def _unfinished(self, reading: Reading) -> str:
        """Why a reading cannot end yet, in words: candidates that were shown have no verdict. Empty if it can.

        Only a study that is boxed by hand can end without them.
        """
        review = review_of(self._connection, reading.study)
        if review is None or reading.kind == "boxing":
            return ""
        shown = cards_of(review, self._rules, proposal=reading.proposal)
        left = sum(uid not in reading.verdicts for uid in shown)
        return f"{left} of {len(shown)} candidates have no verdict yet: give them one first." if left else ""

    def _reading(self, event: Event) -> tuple[Reading, Proposed] | None:
        """Return the reading that an event is of: the one it undoes something in, or the one they go on with."""
        if event.study not in self._mine:
            self._mine[event.study] = readings_of(self._connection, event.study, reader=self._reader)
        mine = [one for one in self._mine[event.study] if one.kind != "batch"]
        undone = [one for one in mine if event.type is EventType.UNDO and one.can_undo(event.of)]
        found = last_reading(undone or mine)
        return None if found is None else (found, numbered(self._connection, found.proposal))


def state_of(reading: Reading, proposed: Proposed) -> dict[str, Any]:
    """Return how far a reading is, as its reader may know it."""
    return {
        "study": reading.study,
        "round": reading.round,
        "candidates": len(proposed.study.candidates),
        "decided": len(reading.verdicts),
        "verdicts": {uid: str(event.verdict) for uid, event in reading.verdicts.items()},
        "primary": reading.primary.candidate if reading.primary else None,
        "missed": reading.missed is not None,
        "boxes": [{"event": event.id, "box": list(event.box or ())} for event in reading.boxes],
        "finished": reading.finished is not None,
        "finalised": reading.finalised,
    }


def _told_id(given: Any) -> str:
    """The id that a client gave an event that is none, as far as it can be sent back."""
    with suppress(BadInputError):
        return plain_text(given.get("id"), "id") if isinstance(given, dict) else ""
    return ""


def _refusal(event: Event, reading: Reading, study: ProposedStudy, *, may_box: bool) -> str:
    """Why an event cannot be taken, in words; empty if it can."""
    if reading.finalised:
        return "Your reading of that study is final: it was used, or its scores were shown to you."
    known = {candidate.uid for candidate in study.candidates}
    if event.candidate and event.candidate not in known:
        return "That candidate is not one of those that you were shown."
    if event.type is EventType.UNDO:
        return "" if reading.can_undo(event.of) else "There is no such event of yours that could be undone."
    if event.type is EventType.REOPEN:
        return "" if reading.finished else "You have not finished that study."
    if reading.finished:
        return "You have finished that study: undo that, or reopen it, first."
    if event.verdict is not None and event.verdict not in verdicts_of(study):
        return f"{ascii(event.verdict.value)[:40]} cannot be said of that: say " + ", ".join(verdicts_of(study)) + "."
    if study.kind == "classification" and event.type in (EventType.BOX, EventType.PRIMARY, EventType.MISSED):
        return "Of images that are classified only classes are said here: draw boxes on the case page."
    if event.type is EventType.BOX:
        if not may_box:
            return "To draw boxes takes the role annotator."
        if event.box is None or not _lies_in(event.box, study):
            return "That box does not lie within the study."
    return ""


def verdicts_of(study: ProposedStudy) -> tuple[str, ...]:
    """Return what may be said of the candidates of a study."""
    return (*study.classes, Verdict.UNSURE) if study.kind == "classification" else tuple(Verdict)


def _lies_in(box: Box, study: ProposedStudy) -> bool:
    """Whether a box lies within the study's volume, to 10 mm."""
    import numpy as np

    i, j, k = study.size
    whole = boxes.from_voxels([[0, 0, 0, k, j, i]], Grid(study.size, np.asarray(study.affine, np.float64)))[0]
    return bool((np.asarray(box[:3]) >= whole[:3] - 10).all() and (np.asarray(box[3:]) <= whole[3:] + 10).all())


def _etag(connection: Connection, studies: Sequence[str], reader: str) -> str:
    last = 0
    for study in studies:
        row = connection.execute(
            "SELECT max(seq) FROM event WHERE study = ? AND reader = ?", (study, reader)
        ).fetchone()
        last = max(last, row[0] or 0)
    return f'"{last}"'


def _check_seen(
    connection: Connection, events: Sequence[Event], studies: Sequence[str], reader: str, if_match: str
) -> None:
    if len(studies) > 1:
        raise BadInputError(
            "If-Match", expected="events of one study with it", came=str(len(studies)), fix="Send them study by study."
        )
    sent = {event.id for event in events}
    if if_match.strip() == "*" or not studies:
        return
    seen = -1
    with suppress(ValueError):
        seen = int(if_match.strip().removeprefix("W/").strip('"')[:18])
    rows = events_where(connection, "study = ? AND reader = ? AND seq > ?", studies[0], reader, seen)
    unseen = [event for event in rows if event.id not in sent]
    if unseen:
        told = ([event.as_json() for event in unseen], [event.as_json() for event in events])
        raise StaleError(*told, _etag(connection, studies, reader))
