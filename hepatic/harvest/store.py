"""The review store of one data folder: proposals, leases, events, and what follows from them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.harvest.batch_reject import BatchReject
from hepatic.harvest.book import Book, Review
from hepatic.harvest.events import Event, EventType, Said, Verdict
from hepatic.harvest.leases import Lease, Leases, Wish
from hepatic.harvest.parts import Part
from hepatic.harvest.proposals import Proposals, all_of, unknown_study
from hepatic.harvest.queue import Place, queue_of, reader_state, waits, wishes
from hepatic.harvest.reading import Kind, Reading, readings_of
from hepatic.harvest.review_database import open_reviews
from hepatic.harvest.review_rows import events_where, write_event
from hepatic.harvest.reviews import Reviews
from hepatic.harvest.rules import Rules
from hepatic.harvest.snapshots import HARVEST, Snapshot, Snapshots
from hepatic.harvest.study import Box, StudyKind
from hepatic.harvest.verdicts import judged

FOLDER = HARVEST
"""Below the data folder."""


class ReviewStore:
    """Everything about reviews below one folder. Safe to share between threads and processes.

    Args:
        folder: for the store's file and the snapshots; made if it is not there.
        rules: by which studies are read and verdicts are used.
        clock: seconds since 1970.
        url: of a PostgreSQL database that several servers share, instead of the store's file.

    Raises:
        StorageError: the store cannot be opened, read or written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: Rules | None = None,
        clock: Callable[[], float] = time.time,
        url: str = "",
    ) -> None:
        self.folder, self.rules, self.clock = folder, rules or Rules(), clock
        self.database = open_reviews(folder, url)
        self.proposals = Proposals(self.database, clock=clock)
        self.leases = Leases(self.database, seconds=self.rules.lease_s, clock=clock)
        self.reviews = Reviews(self.database, self.rules, clock=clock)
        self.book = Book(self.database)
        self.batches = BatchReject(self.database, self.book, self.rules, clock=clock)
        self.snapshots = Snapshots(self.database, folder, clock=clock)

    def close(self) -> None:
        """Close the connections nobody is using."""
        self.database.close()

    def review(self, uid: str) -> Review:
        """Return a study under review; NotFoundError if it was never proposed."""
        found = self.book.review(uid)
        if found is None:
            raise unknown_study(uid)
        return found

    def reviews_of(self, kind: StudyKind | None) -> dict[str, Review]:
        """Return the studies under review of one kind, of every kind for None."""
        reviews = self.book.reviews().items()
        return {uid: review for uid, review in reviews if kind in (None, review.study.kind)}

    def queue(self, reader: str, *, may_box: bool = False, kind: StudyKind | None = None) -> list[Place]:
        """Return every study for one reader, of a kind if it is said; those that they can be given first."""
        return queue_of(reader, self.reviews_of(kind), self.leases.held(), rules=self.rules, may_box=may_box)

    def lease(
        self, reader: str, study: str | None = None, *, may_box: bool = False, kind: StudyKind | None = None
    ) -> Lease | None:
        """Give a reader a study: the one asked for, or else the one that is best read next; None if none is left.

        With ``kind``, only one of that kind is best read next.

        Raises:
            NotFoundError: it was never proposed.
            ConflictError: another is reading it, or it needs no reading of theirs.
        """
        places = self.queue(reader, may_box=may_box, kind=None if study else kind)
        if study is None:

            def still(review: Review, wish: Wish) -> bool:
                return waits(reader_state(reader, review, None, rules=self.rules, may_box=may_box), wish)

            wanted = wishes(reader, places, self.reviews_of(kind), rules=self.rules)
            return self.leases.claim(reader, wanted, still=still)
        place = next((one for one in places if one.review.uid == study), None)
        if place is None:
            raise unknown_study(study)
        kinds: dict[str, Kind | None] = {"boxing": "boxing", "finished": None}
        return self.take(reader, Wish(study, kinds.get(place.state, "first")), may_box=may_box)

    def take(self, reader: str, wish: Wish, *, may_box: bool = False) -> Lease:
        """Give a reader this study.

        Raises:
            ConflictError: another is reading it, or it needs no reading of theirs.
        """

        def still(review: Review, wish: Wish) -> bool:
            state = reader_state(reader, review, None, rules=self.rules, may_box=may_box)
            if state != "finished" and not waits(state, wish):
                raise ConflictError(
                    "the study",
                    expected="one that is still to be read",
                    came="one that enough readers have read",
                    fix="Take another from the queue.",
                )
            return True

        return self.leases.claim_one(reader, wish, still=still)

    def upcoming(
        self, reader: str, *, may_box: bool = False, most: int = 3, kind: StudyKind | None = None
    ) -> list[str]:
        """Return the studies that a reader would be given next, so that their pictures can be fetched."""
        places = self.queue(reader, may_box=may_box, kind=kind)
        found = [wish.study for wish in wishes(reader, places, self.reviews_of(kind), rules=self.rules)]
        return list(dict.fromkeys(found))[:most]

    def finalise(self, study: str, reader: str) -> None:
        """Close the finished readings of a reader, so that nothing of them can be undone any more."""
        self._finalise([study], lambda reading: reading.reader == reader)

    def finalise_all(self, studies: Iterable[str]) -> None:
        """Close every finished reading of some studies: what they said has been used."""
        self._finalise(studies, lambda reading: True)

    def snapshot(
        self,
        *,
        asked_by: str = "",
        drawn: Mapping[str, Part] | None = None,
        labels: Sequence[Mapping[str, Any]] = (),
    ) -> Snapshot:
        """Write down what a training is to learn from; every finished reading in it is final from then on.

        Args:
            asked_by: who wants it.
            drawn: on which side of the split trainings on labels have put patients already.
            labels: what classifiers learn from, ``NotedClass.as_json`` of each image.

        Raises:
            BadInputError: nothing has been finished yet.
        """
        reviews, upto = self.book.reviews_upto()
        taken = self.snapshots.take(reviews, upto, self.rules, asked_by=asked_by, drawn=drawn, labels=labels)
        self._finalise(reviews, lambda reading: reading.last_seq <= upto)
        return taken

    def adjudicate(self, id: str, study: str, candidate: str, verdict: Said, reviewer: str) -> Event:
        """Settle what readers disagree about, or are unsure of. It is on disk when this returns.

        Args:
            id: UUID of the client's making; the same one twice is stored once.
            study, candidate: which; of any proposal.
            verdict: true or false; of an image, its class, or false where none of them fits.
            reviewer: who.

        Raises:
            BadInputError: the verdict is none of these.
            NotFoundError: there is no such candidate.
        """
        asked = self.review(study).study
        may_say = (*asked.classes, Verdict.FALSE) if asked.classes else (Verdict.TRUE, Verdict.FALSE)
        if verdict not in may_say:
            raise BadInputError(
                "verdict",
                expected=" or ".join(may_say),
                came=ascii(verdict.value)[:40],
                fix="Decide, or leave it open.",
            )
        event = Event(id=id, type=EventType.ADJUDICATE, study=study, candidate=candidate, verdict=verdict)
        return self._settle(event, reviewer)

    def adjudicate_primary(self, id: str, study: str, candidate: str, reviewer: str) -> Event:
        """Settle which lesion of a study is the primary tumour. It is on disk when this returns.

        Args:
            id, study, candidate, reviewer: as ``adjudicate``.

        Raises:
            BadInputError: that candidate does not hold as a lesion.
            NotFoundError: there is no such candidate.
        """
        review = self.review(study)
        proposed = {one.uid for proposal in review.proposals for one in proposal.study.candidates}
        lesions = {one.uid for one, own in judged(review) if own.verdict is Verdict.TRUE}
        if candidate in proposed - lesions:
            raise BadInputError(
                "the primary tumour",
                expected="a candidate that readers, or a reviewer, called a true lesion",
                came="another",
                fix="Settle first that it is one.",
            )
        return self._settle(Event(id=id, type=EventType.ADJUDICATE_PRIMARY, study=study, candidate=candidate), reviewer)

    def know(self, study: str, boxes: Sequence[Box] | None, *, primary: int = 0, source: str = "gold") -> None:
        """Say which lesions a study truly has, so that it measures its readers; None says that it is not known.

        Args:
            study: which; it need not have been proposed yet.
            boxes: LPS millimetres in the study's frame; none if it has no lesion.
            primary: which of them is the primary tumour.
            source: where it is known from.
        """
        self._know(study, None if boxes is None else {"boxes": [list(b) for b in boxes], "primary": primary}, source)

    def know_classes(self, study: str, classes: Mapping[str, str] | None, *, source: str = "gold") -> None:
        """Say which class images of a study truly show, by candidate; None says that it is not known.

        Raises:
            NotFoundError: there is no such study or candidate.
            BadInputError: a class is not one of the study's.
        """
        proposed = self.review(study).study
        for candidate, name in (classes or {}).items():
            if candidate not in {one.uid for one in proposed.candidates}:
                raise _unknown_candidate(candidate)
            if name not in proposed.classes:
                expected = " or ".join(proposed.classes) or "no class: this study is not classified"
                raise BadInputError("a class", expected=expected, came=ascii(name)[:40], fix="Correct it.")
        self._know(study, None if classes is None else {"boxes": [], "primary": 0, "classes": dict(classes)}, source)

    def _know(self, study: str, told: Mapping[str, Any] | None, source: str) -> None:
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO known (study, boxes, source, at) VALUES (?, ?, ?, ?)",
                (study, json.dumps(told), source, self.clock()),
            )

    def _settle(self, event: Event, reviewer: str) -> Event:
        """Write a reviewer's word down, once, and close the readings of the study."""
        with self.database.write() as connection:
            known = events_where(connection, "id = ?", event.id)
            if known:
                return known[0]
            proposals = all_of(connection, event.study)
            if not proposals:
                raise unknown_study(event.study)
            found = [p for p in proposals if event.candidate in {one.uid for one in p.study.candidates}]
            if not found:
                raise _unknown_candidate(event.candidate)
            event = replace(event, model_hash=found[-1].model_hash, reader=reviewer, at=self.clock())
            write_event(connection, event)
        self.finalise_all([event.study])
        return event

    def _finalise(self, studies: Iterable[str], of: Callable[[Reading], bool]) -> None:
        reviews = self.book.reviews()
        open_ones = [
            uid
            for uid in studies
            if uid in reviews
            if any(one.finished and not one.finalised and of(one) for one in reviews[uid].readings)
        ]
        if not open_ones:
            return
        with self.database.write() as connection:
            # Derived again: a reader may have undone something since, and would be locked out of an unfinished reading.
            now = [reading for uid in open_ones for reading in readings_of(connection, uid)]
            for one in now:
                if not one.finished or one.finalised or not of(one):
                    continue
                write_event(
                    connection,
                    Event(
                        id=str(uuid.uuid4()),
                        type=EventType.FINALISE,
                        study=one.study,
                        reader=one.reader,
                        round=one.round,
                        at=self.clock(),
                    ),
                )


def _unknown_candidate(came: str) -> NotFoundError:
    return NotFoundError("the candidate", expected="one of the study's", came=ascii(came)[:80], fix="Reload the page.")
