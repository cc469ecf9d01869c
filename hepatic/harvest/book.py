"""All studies under review as they stand, derived from what the store holds and kept up with it."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hepatic.harvest.events import Event, EventType, read_box
from hepatic.harvest.proposals import Proposed, all_of
from hepatic.harvest.reading import Reading, last_reading, readings_of
from hepatic.harvest.review_rows import events_where
from hepatic.harvest.study import Box, ProposedStudy
from hepatic.store.connection import Connection, SharedDatabase


@dataclass(frozen=True, eq=False)
class Review:
    """One study under review.

    Attributes:
        uid: StudyInstanceUID.
        proposals: the oldest first; the last one holds.
        readings: of every reader, in the order they were begun.
        known: boxes of its true lesions, LPS millimetres, where they are known; None where they are not.
        adjudicated: the events by which reviewers settled what readers disagreed about.
        known_primary: which of ``known`` is the primary tumour.
        known_classes: class of its images by candidate, where it is known; then ``known`` is empty, not None.
        primary_settled: the event by which a reviewer last said which candidate is the primary tumour.
    """

    uid: str
    proposals: tuple[Proposed, ...]
    readings: tuple[Reading, ...]
    known: tuple[Box, ...] | None
    adjudicated: tuple[Event, ...] = ()
    known_primary: int = 0
    primary_settled: Event | None = None
    known_classes: Mapping[str, str] | None = None

    @property
    def latest(self) -> Proposed:
        """The proposal that holds."""
        return self.proposals[-1]

    @property
    def study(self) -> ProposedStudy:
        """What it proposes."""
        return self.latest.study

    def as_of(self, number: int) -> Review:
        """Return it without the proposals that came after one of them."""
        return replace(self, proposals=tuple(one for one in self.proposals if one.number <= number))

    def proposal(self, number: int) -> Proposed:
        """Return one of its proposals."""
        return next(one for one in self.proposals if one.number == number)

    def of(self, reader: str) -> list[Reading]:
        """Return a reader's readings, the first first; rejections of many at once are none."""
        mine = (one for one in self.readings if one.reader == reader and one.kind != "batch")
        return sorted(mine, key=lambda one: one.round)

    def last_of(self, reader: str) -> Reading | None:
        """Return the one of a reader's readings that they go on with (``last_reading``)."""
        return last_reading(self.of(reader))


class Book:
    """Every study of a review store; what nobody has touched is not read again.

    Args:
        database: of ``open_reviews``.
    """

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._reviews: dict[str, Review] = {}
        self._seen = (0, 0, 0, 0)

    def reviews(self) -> Mapping[str, Review]:
        """Return all studies by UID, in the order they were first proposed, as they are now."""
        return self.reviews_upto()[0]

    def reviews_upto(self) -> tuple[Mapping[str, Review], int]:
        """Return all studies, and the number of the last event that they hold."""
        with self._lock, self._database.moment() as connection:
            self._catch_up(connection)
            return dict(self._reviews), self._seen[2]

    def review(self, uid: str) -> Review | None:
        """Return one study, None if it was never proposed."""
        return self.reviews().get(uid)

    def _catch_up(self, connection: Connection) -> None:
        tables = ("proposal", "reading", "event", "known")
        key = {"event": "seq"}
        newest = tuple(
            int(connection.execute(f"SELECT coalesce(max({key.get(t, 'number')}), 0) FROM {t}").fetchone()[0])  # noqa: S608
            for t in tables
        )
        if newest == self._seen:
            return
        touched: dict[str, None] = {}
        for table, since in zip(tables, self._seen, strict=True):
            order = key.get(table, "number")
            query = f"SELECT study FROM {table} WHERE {order} > ? GROUP BY study ORDER BY min({order})"  # noqa: S608
            touched |= dict.fromkeys(uid for (uid,) in connection.execute(query, (since,)))
        for uid in touched:
            review = review_of(connection, uid)
            if review is not None:
                self._reviews[uid] = review
        self._seen = (newest[0], newest[1], newest[2], newest[3])


def review_of(connection: Connection, uid: str) -> Review | None:
    """Return one study as it stands, None if it was never proposed."""
    proposals = tuple(all_of(connection, uid))
    if not proposals:
        return None
    of_type = "study = ? AND type = ?"
    settled = events_where(connection, of_type, uid, EventType.ADJUDICATE.value)
    primaries = events_where(connection, of_type, uid, EventType.ADJUDICATE_PRIMARY.value)
    known, primary, classes = _known(connection, uid)
    readings = tuple(readings_of(connection, uid))
    return Review(uid, proposals, readings, known, tuple(settled), primary, next(iter(primaries[-1:]), None), classes)


def _known(connection: Connection, uid: str) -> tuple[tuple[Box, ...] | None, int, Mapping[str, str] | None]:
    row = connection.execute("SELECT boxes FROM known WHERE study = ? ORDER BY number DESC LIMIT 1", (uid,)).fetchone()
    told = None if row is None else json.loads(row[0])
    if told is None:
        return None, 0, None
    return tuple(read_box(box) for box in told["boxes"]), int(told["primary"]), told.get("classes")


def by_reader(reviews: Iterable[Review]) -> dict[str, list[Reading]]:
    """Return the readings of each reader, in the order they were begun."""
    found: dict[str, list[Reading]] = defaultdict(list)
    for review in reviews:
        for reading in review.readings:
            if reading.kind != "batch":
                found[reading.reader].append(reading)
    return {reader: sorted(found[reader], key=lambda one: (one.at, one.study)) for reader in sorted(found)}
