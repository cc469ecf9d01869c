"""A reading: one reader's way through one study, once; what holds of it is derived from its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from hepatic.harvest.events import SLICER, Event, EventType, Said
from hepatic.harvest.review_rows import events_where
from hepatic.harvest.study import Box
from hepatic.store.connection import Connection

Kind = Literal["first", "repeat", "boxing", "batch"]

_LONGEST_LOOK_S = 300.0
"""A look of more than five minutes was a break: it counts as so much."""


@dataclass
class Reading:
    """What a reader has said in one reading, as it stands.

    Attributes:
        study, reader, round: which.
        proposal: number of the proposal whose candidates were shown.
        kind: ``first``; ``repeat``, a hidden one that measures the reader; ``boxing``, of a study that was sent to be
            boxed by hand; ``batch``, a rejection of many at once.
        verdicts: the event that decided each candidate.
        primary: the event that named the primary lesion.
        missed: the event that said that a lesion was missed.
        boxes: of lesions drawn by hand.
        corrected: boxes drawn in place of a candidate's.
        finished: the event that ended it.
        finalised: whether it can no longer be changed.
        last_seq: number of its last event.
    """

    study: str
    reader: str
    round: int
    proposal: int
    kind: Kind
    at: float
    verdicts: dict[str, Event] = field(default_factory=dict)
    primary: Event | None = None
    missed: Event | None = None
    boxes: list[Event] = field(default_factory=list)
    corrected: dict[str, Box] = field(default_factory=dict)
    finished: Event | None = None
    finalised: bool = False
    last_seq: int = 0
    _events: dict[str, Event] = field(default_factory=dict)
    _undone: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        """Take in an event of this reading; in the order of their numbers."""
        self.last_seq = max(self.last_seq, event.seq)
        if event.type is EventType.FINALISE:
            self.finalised = True
            return
        self._events[event.id] = event
        if event.type is EventType.UNDO:
            undone = self._events[event.of]
            self._undone.add(event.of)
            if undone.type is not EventType.FINISH:
                self.finished = None
            self._derive()
        else:
            self._apply(event)

    def as_of(self, moment: float) -> Reading:
        """Return it as it stood then, seconds since 1970."""
        then = Reading(self.study, self.reader, self.round, self.proposal, self.kind, self.at)
        for event in takewhile(lambda event: event.at <= moment, self._events.values()):
            then.take(event)
        return then

    def can_undo(self, id: str) -> bool:
        """Whether an event is one of this reading that holds."""
        event = self._events.get(id)
        return event is not None and id not in self._undone and event.type not in (EventType.UNDO, EventType.REOPEN)

    def verdict(self, candidate: str) -> Said | None:
        """Return what was decided of a candidate."""
        event = self.verdicts.get(candidate)
        return None if event is None else event.verdict

    @property
    def seconds(self) -> float:
        """Time that its clicks took, each from card to decision, overlapping looks once; 0 where nobody timed them.

        Undone ones count, for they took time too.
        """
        looks = sorted(
            (event.shown_at, event.shown_at + min(event.seconds, _LONGEST_LOOK_S))
            for event in self._events.values()
            if not event.tag and event.shown_at is not None and event.seconds is not None
        )
        total, until = 0.0, 0.0
        for start, end in looks:
            total += max(0.0, end - max(start, until))
            until = max(until, end)
        return total

    @property
    def clicks(self) -> int:
        """How many decisions were made by click or key, undone ones too."""
        made = (event for event in self._events.values() if event.type is EventType.DECIDE)
        return sum(not event.tag and event.device != SLICER for event in made)

    @property
    def decisions(self) -> list[Event]:
        """The decisions that hold."""
        return list(self.verdicts.values())

    def _derive(self) -> None:
        finished = self.finished
        self.verdicts, self.boxes, self.corrected = {}, [], {}
        self.primary = self.missed = None
        for event in self._events.values():
            if event.id not in self._undone and event.type is not EventType.UNDO:
                self._apply(event)
        self.finished = finished if finished is not None and finished.id not in self._undone else None

    def _apply(self, event: Event) -> None:
        if event.type is EventType.DECIDE:
            self.verdicts[event.candidate] = event
        elif event.type is EventType.PRIMARY:
            self.primary = event if event.candidate else None
        elif event.type is EventType.MISSED:
            self.missed = event
        elif event.type is EventType.BOX and event.box is not None:
            if event.candidate:
                self.corrected[event.candidate] = event.box
            else:
                self.boxes.append(event)
        elif event.type is EventType.FINISH:
            self.finished = event
        elif event.type is EventType.REOPEN:
            self.finished = None


def readings_of(connection: Connection, study: str, *, reader: str | None = None) -> list[Reading]:
    """Return the readings of a study, in the order they were begun; all readers', or those of one."""
    query = "SELECT study, reader, round, proposal, kind, at FROM reading WHERE study = ?"
    parameters: list[object] = [study]
    if reader is not None:
        query, parameters = query + " AND reader = ?", [study, reader]
    rows = connection.execute(f"{query} ORDER BY at, reader, round", parameters).fetchall()
    return derived((Reading(*row) for row in rows), events_where(connection, "study = ?", study))


def last_reading(readings: Iterable[Reading]) -> Reading | None:
    """Return the one of a reader's readings of a study that they go on with, or would open again; None without any.

    That is the one that is not finished, or else the latest but for hidden repeats, which change nothing. Rejections of
    many at once are none.
    """
    mine = (one for one in readings if one.kind != "batch")
    return max(mine, key=lambda one: (one.finished is None, one.kind != "repeat", one.round), default=None)


def derived(readings: Iterable[Reading], events: Sequence[Event]) -> list[Reading]:
    """Give readings their events, in the order of their numbers."""
    by_key = {(one.study, one.reader, one.round): one for one in readings}
    for event in events:
        found = by_key.get((event.study, event.reader, event.round))
        if found is not None:
            found.take(event)
    return list(by_key.values())
