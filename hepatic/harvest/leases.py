"""Leases: who reads which study now. One reader at a time; a lease ends by itself, and then another may take over."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hepatic.errors import ConflictError, NotFoundError
from hepatic.harvest.book import Review, review_of
from hepatic.harvest.proposals import latest
from hepatic.harvest.reading import Kind, Reading, last_reading, readings_of
from hepatic.store.connection import Connection, SharedDatabase

LEASE_S = 600.0


@dataclass(frozen=True)
class Lease:
    """A reader's hold on a study.

    Attributes:
        id: what it is renewed by.
        study, reader, round: of the reading it is for.
        expires: seconds since 1970.
    """

    id: str
    study: str
    reader: str
    round: int
    expires: float


@dataclass(frozen=True)
class Wish:
    """A study that a reader could be given, and what for; None to look at what they have finished."""

    study: str
    kind: Kind | None = "first"


Still = Callable[[Review, Wish], bool]
"""Whether a study, as it stands when it is taken, is still to be given for that."""


class Leases:
    """The leases of one review store.

    Args:
        database: of ``open_reviews``.
        seconds: how long one lasts unless it is renewed.
        clock: seconds since 1970.
    """

    def __init__(
        self, database: SharedDatabase, *, seconds: float = LEASE_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self.seconds, self._clock = database, seconds, clock

    def claim(self, reader: str, wishes: Iterable[Wish], *, still: Still | None = None) -> Lease | None:
        """Take the first of some studies that nobody else is reading; None if they all are being read.

        Who holds a study already keeps it, with a new end. A reading that was begun and not finished is gone on with.

        Args:
            reader: who asks.
            wishes: the studies, the best one first.
            still: asked of each before it is taken, as nobody else writes: whether it is still to be given.
        """
        for wish in wishes:
            with self._database.write() as connection:
                lease = self._claim(connection, reader, wish, still)
            if lease is not None:
                return lease
        return None

    def claim_one(self, reader: str, wish: Wish, *, still: Still | None = None) -> Lease:
        """Take this study.

        Raises:
            ConflictError: another is reading it.
        """
        lease = self.claim(reader, [wish], still=still)
        if lease is None:
            raise ConflictError(
                "the study",
                expected="one that nobody else is reading",
                came="one that another reader has at the moment",
                fix="Take another, or come back when they have finished.",
            )
        return lease

    def renew(self, id: str, reader: str) -> Lease:
        """Let a lease last longer; also one that has ended, as long as nobody has taken the study.

        Raises:
            NotFoundError: it was given back, or another has taken the study over.
        """
        with self._database.write() as connection:
            lease = _lease(connection, "id = ? AND reader = ?", id, reader)
            if lease is None:
                raise NotFoundError(
                    "the lease",
                    expected="one of yours",
                    came="one that was given back or taken over",
                    fix="Ask for the study again. What you have decided is kept.",
                )
            return self._hold(connection, lease)

    def give_back(self, id: str, reader: str) -> None:
        """End a lease; nothing happens if it has ended already."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM lease WHERE id = ? AND reader = ?", (id, reader))

    def held(self) -> dict[str, Lease]:
        """Return the leases that last, by study."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, study, reader, round, expires FROM lease WHERE expires > ?", (self._clock(),)
            ).fetchall()
        return {row[1]: Lease(*row) for row in rows}

    def _claim(self, connection: Connection, reader: str, wish: Wish, still: Still | None) -> Lease | None:
        now = self._clock()
        held = _lease(connection, "study = ?", wish.study)
        if held is not None and held.reader != reader and held.expires > now:
            return None
        review = None if still is None else review_of(connection, wish.study)
        if still is not None and review is not None and not still(review, wish):
            return None
        reading = open_reading(connection, reader, wish, now)
        id = held.id if held is not None and held.reader == reader else str(uuid.uuid4())
        return self._hold(connection, Lease(id, wish.study, reader, reading.round, now))

    def _hold(self, connection: Connection, lease: Lease) -> Lease:
        expires = self._clock() + self.seconds
        connection.execute(
            "INSERT INTO lease (study, id, reader, round, expires) VALUES (?, ?, ?, ?, ?) ON CONFLICT (study) DO "
            "UPDATE SET id = excluded.id, reader = excluded.reader, round = excluded.round, expires = excluded.expires",
            (lease.study, lease.id, lease.reader, lease.round, expires),
        )
        return Lease(lease.id, lease.study, lease.reader, lease.round, expires)


def can_repeat(reading: Reading) -> bool:
    """Whether a hidden repeat of a reading would measure anything: it is finished, and candidates were judged in it."""
    return reading.kind == "first" and reading.finished is not None and bool(reading.verdicts)


def open_reading(connection: Connection, reader: str, wish: Wish, now: float) -> Reading:
    """Return the reading that a reader has begun, or begin one on the last proposal; inside a transaction.

    A hidden repeat is on the proposal on which they judged the study last.
    """
    mine = readings_of(connection, wish.study, reader=reader)
    last = None if wish.kind == "batch" else last_reading(mine)
    if last is not None and (last.finished is None or wish.kind is None):
        return last
    before = [one.proposal for one in mine if can_repeat(one)] if wish.kind == "repeat" else []
    proposal = before[-1] if before else latest(connection, wish.study).number
    if last is not None and wish.kind == "first" and last.kind == "first" and last.proposal == proposal:
        return last  # finished: to look at it again, and to reopen it as long as it is not final
    round = 1 + max((one.round for one in mine), default=0)
    new = Reading(wish.study, reader, round, proposal, wish.kind or "first", now)
    connection.execute(
        "INSERT INTO reading (study, reader, round, proposal, kind, at) VALUES (?, ?, ?, ?, ?, ?)",
        (new.study, new.reader, new.round, new.proposal, new.kind, new.at),
    )
    return new


def shuffled(candidates: Iterable[str], *, study: str, reader: str, round: int) -> list[str]:
    """Return candidates in the order in which this reader sees them: random, and the same whenever it is asked for."""
    seed = hashlib.sha256(f"{study}\0{reader}\0{round}".encode()).digest()
    order = sorted(candidates)
    random.Random(seed).shuffle(order)
    return order


def _lease(connection: Connection, condition: str, *parameters: str) -> Lease | None:
    row = connection.execute(
        f"SELECT id, study, reader, round, expires FROM lease WHERE {condition}",  # noqa: S608 - conditions of this file
        parameters,
    ).fetchone()
    return None if row is None else Lease(*row)
