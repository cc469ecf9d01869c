"""The ledger of hard negatives: what was mined, what a training has used, and what the newest model still proposes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from hepatic.boxes import HIT_IOU, iou
from hepatic.harvest.book import Review
from hepatic.harvest.lesson import lesson
from hepatic.harvest.rules import Rules

Fate = Literal["fires", "silent", "untried"]
"""The newest model proposes it again, does not, or is the one that proposed it."""


@dataclass(frozen=True)
class Negative:
    """One hard negative.

    Attributes:
        study, candidate: which.
        model_hash: of the model that proposed it.
        score: that it gave.
        used: whether the training set that is looked at holds it.
        fate: see ``Fate``.
        score_now: of the candidate that the newest model proposes there; None unless it fires.
    """

    study: str
    candidate: str
    model_hash: str
    score: float
    used: bool
    fate: Fate
    score_now: float | None


def ledger(
    reviews: Iterable[Review], rules: Rules, *, used: Collection[str], min_iou: float = HIT_IOU
) -> list[Negative]:
    """Return every hard negative (see ``hepatic.harvest.lesson``), study by study.

    Args:
        reviews: all studies.
        rules: by which they were read.
        used: UIDs of the candidates in the training set.
        min_iou: from which overlap on a candidate of the newest model counts as the same place.
    """
    found = []
    for review in reviews:
        proposed = {c.uid: (c, p.model_hash) for p in review.proposals for c in p.study.candidates}
        now = review.study.candidates
        for one in lesson(review, rules).negatives:
            candidate, model_hash = proposed[one.candidate]
            fate: Fate = "untried" if review.latest.model_hash == model_hash else "silent"
            score_now = None
            if fate == "silent" and now:
                overlaps = iou([candidate.box], [c.box for c in now])[0]  # type: ignore[arg-type]
                best = max(
                    (n for n in range(len(now)) if overlaps[n] >= min_iou), key=lambda n: now[n].score, default=None
                )
                if best is not None:
                    fate, score_now = "fires", now[best].score
            found.append(
                Negative(review.uid, one.candidate, model_hash, candidate.score, one.candidate in used, fate, score_now)
            )
    return found


def negatives_in(document: dict[str, object]) -> set[str]:
    """Return the candidates that a snapshot's training studies hold as negatives."""
    studies = document["studies"]
    assert isinstance(studies, list)  # noqa: S101 - check_snapshot has read it
    return {str(one["candidate"]) for study in studies if study["split"] == "train" for one in study["negatives"]}
