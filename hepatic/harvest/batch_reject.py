"""Rejecting many candidates at once: only below a score that known cases say is safe, seen before, undone at will."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.harvest.agreement import truth
from hepatic.harvest.book import Book, Review
from hepatic.harvest.events import Event, EventType, Verdict
from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.parts import testing_patients
from hepatic.harvest.proposals import numbered
from hepatic.harvest.review_rows import events_where, write_event
from hepatic.harvest.rules import Rules
from hepatic.harvest.verdicts import State, settled
from hepatic.metrics.threshold import FEWEST_LESIONS
from hepatic.store.connection import SharedDatabase

MAY_LOSE = 0.02
"""Share of candidates on lesions that may lie below it."""

TAG = "batch:"


@dataclass(frozen=True)
class SafeScore:
    """Below which score candidates may be rejected unseen.

    Attributes:
        score: the threshold; 0 where too little is known.
        lesions: candidates on lesions of known cases that it was chosen on.
        lost: how many of them lie below it.
        reason: why there is none, in words; empty where there is one.
    """

    score: float
    lesions: int
    lost: int
    reason: str = ""


@dataclass(frozen=True)
class Rejection:
    """What a rejection would do, or has done.

    Attributes:
        batch: names it; empty for a preview.
        model_hash: of the model whose candidates these are.
        threshold: those scored below it.
        safe: what was known of thresholds.
        candidates: (study, candidate) of each.
    """

    batch: str
    model_hash: str
    threshold: float
    safe: SafeScore
    candidates: tuple[tuple[str, str], ...]


def safe_score(
    reviews: Iterable[Review], model_hash: str, *, testing: Collection[str], may_lose: float = MAY_LOSE
) -> SafeScore:
    """Choose the threshold on known cases: the highest below which at most that share of true candidates lies.

    Args:
        reviews: all there are.
        model_hash: of the model whose scores count.
        testing: PatientIDs that no model learns from; a model is surer of what it was trained on than of new studies.
        may_lose: the share.
    """
    scores = []
    for review in reviews:
        if review.known is None or review.latest.model_hash != model_hash or review.study.patient_id not in testing:
            continue
        true = truth(review, review.latest.number)
        scores += [candidate.score for candidate in review.study.candidates if true[candidate.uid]]
    scores.sort()
    if len(scores) < FEWEST_LESIONS:
        return SafeScore(
            0.0,
            len(scores),
            0,
            f"Known cases of test patients hold {len(scores)} candidates on lesions of this model; "
            f"{FEWEST_LESIONS} are needed.",
        )
    lost = int(may_lose * len(scores))
    return SafeScore(scores[lost], len(scores), lost)


class BatchReject:
    """Rejects candidates of one review store, many at once.

    Args:
        database: of ``open_reviews``.
        book: over it.
        rules: by which studies are read.
        clock: seconds since 1970.
    """

    def __init__(
        self, database: SharedDatabase, book: Book, rules: Rules, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self._book, self._rules, self._clock = database, book, rules, clock

    def preview(self, threshold: float | None = None) -> Rejection:
        """Say what would be rejected: candidates of the newest model that nobody has judged.

        Args:
            threshold: those scored below it; by default as far as is safe.
        """
        reviews = [one for one in self._book.reviews().values() if one.study.kind == "detection"]
        newest = max(reviews, key=lambda review: review.latest.number, default=None)
        model_hash = newest.latest.model_hash if newest is not None else ""
        with self._database.read() as connection:
            testing = testing_patients(connection)
        safe = safe_score(reviews, model_hash, testing=testing)
        below = safe.score if threshold is None else threshold
        found = [
            (review.uid, candidate.uid)
            for review in reviews
            if review.latest.model_hash == model_hash and review.known is None
            for candidate in review.study.candidates
            if candidate.score < below and settled(review, self._rules)[candidate.uid].state is State.UNREVIEWED
        ]
        return Rejection("", model_hash, below, safe, tuple(found))

    def reject(self, reviewer: str, *, id: str, threshold: float | None = None) -> Rejection:
        """Reject what ``preview`` says, as the reviewer's decisions, tagged so that they are told apart and undone.

        Args:
            reviewer: who.
            id: UUID of the client's making; asking twice with the same one rejects once.
            threshold: as ``preview``.

        Raises:
            BadInputError: the threshold is not safe, or known cases are too few to tell.
        """
        tag = TAG + id
        with self._database.read() as connection:
            before = [e for e in events_where(connection, "tag = ?", tag) if e.type is EventType.DECIDE]
        told = self.preview(threshold)
        if before:
            done = tuple((event.study, event.candidate) for event in before)
            return Rejection(id, before[0].model_hash, told.threshold, told.safe, done)
        if told.safe.reason or told.threshold > told.safe.score:
            raise BadInputError(
                "threshold",
                expected=told.safe.reason or f"at most {told.safe.score:.4f}, which known cases say is safe",
                came=f"{told.threshold:.4f}",
                fix="Mark more known cases, or choose a lower threshold.",
            )
        with self._database.write() as connection:
            for study in dict.fromkeys(study for study, _ in told.candidates):
                reading = open_reading(connection, reviewer, Wish(study, "batch"), self._clock())
                proposed = numbered(connection, reading.proposal)
                shown = {candidate.uid for candidate in proposed.study.candidates}
                for uid in (candidate for of, candidate in told.candidates if of == study and candidate in shown):
                    write_event(connection, _event(EventType.DECIDE, study, reviewer, reading.round, tag, self._clock(),
                                                   candidate=uid, model_hash=proposed.model_hash))  # fmt: skip
        return Rejection(id, told.model_hash, told.threshold, told.safe, told.candidates)

    def undo(self, id: str, reviewer: str) -> int:
        """Take a rejection back; return how many decisions that were.

        Raises:
            NotFoundError: there is no such rejection.
            ConflictError: it was used to train, or for something else that made it final.
        """
        tag = TAG + id
        with self._database.write() as connection:
            found = events_where(connection, "tag = ?", tag)
            if not found:
                raise NotFoundError("the batch", expected="one that was rejected", came=id, fix="Look at its id.")
            undone = {event.of for event in found}
            left = [event for event in found if event.type is EventType.DECIDE and event.id not in undone]
            final = connection.execute("SELECT coalesce(max(seq), 0) FROM snapshot").fetchone()[0]
            if any(event.seq <= final for event in left):
                raise ConflictError(
                    "the batch",
                    expected="one that was not used yet",
                    came="one that a training has learnt from",
                    fix="Read the studies in question and decide otherwise: what a reader says goes before it.",
                )
            for event in left:
                write_event(
                    connection,
                    _event(EventType.UNDO, event.study, event.reader, event.round, tag, self._clock(), of=event.id),
                )
        return len(left)


def _event(
    type: EventType,
    study: str,
    reader: str,
    round: int,
    tag: str,
    at: float,
    *,
    candidate: str = "",
    model_hash: str = "",
    of: str = "",
) -> Event:
    return Event(
        id=str(uuid.uuid4()),
        type=type,
        study=study,
        candidate=candidate,
        model_hash=model_hash,
        reader=reader,
        round=round,
        verdict=Verdict.FALSE if type is EventType.DECIDE else None,
        of=of,
        device="batch",
        tag=tag,
        at=at,
    )
