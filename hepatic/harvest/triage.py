"""Which study to read next: the one that is expected to take the least time, from what earlier clicks taught."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from hepatic.harvest.book import Review
from hepatic.harvest.events import Verdict
from hepatic.harvest.rules import Rules

FEWEST_CLICKS = 30
"""Below so many verdicts on a model's candidates its scores are taken as they are."""

READING_MINUTES = 1.0
"""What reading a study's candidates takes until it was measured here; paper 001's figure."""


@dataclass(frozen=True)
class Calibration:
    """From a detector's scores to chances that a reader accepts, never falling with the score.

    Attributes:
        scores: sorted.
        chances: of each.
        clicks: verdicts it was made from; 0 takes scores as chances.
    """

    scores: tuple[float, ...] = ()
    chances: tuple[float, ...] = ()
    clicks: int = 0

    def __call__(self, scores: Sequence[float]) -> list[float]:
        """Return the chances of some scores."""
        if not self.clicks:
            return [min(1.0, max(0.0, score)) for score in scores]
        return [float(chance) for chance in np.interp(scores, self.scores, self.chances)]


def calibrated(scores: Sequence[float], accepted: Sequence[bool]) -> Calibration:
    """Fit chances to what readers said, by isotonic regression; the identity where they said too little.

    The two ends are drawn in by half a verdict each, so that no chance is 0 or 1 because of a few clicks.
    """
    if len(scores) < FEWEST_CLICKS or len(set(accepted)) < 2:
        return Calibration()
    order = np.argsort(np.asarray(scores, np.float64), kind="stable")
    sorted_scores = np.asarray(scores, np.float64)[order]
    fitted = np.asarray(isotonic_regression(np.asarray(accepted, np.float64)[order]).x)
    edge = 0.5 / len(scores)
    unique, first = np.unique(sorted_scores, return_index=True)
    means = [float(part.mean()) for part in np.split(fitted, first[1:])]
    return Calibration(
        tuple(float(score) for score in unique), tuple(float(c) for c in np.clip(means, edge, 1 - edge)), len(scores)
    )


def calibrate(reviews: Iterable[Review], model_hash: str) -> Calibration:
    """Calibrate a model's scores by the verdicts, true or false, that readers gave on its own candidates."""
    scores, accepted = [], []
    for review in reviews:
        for proposed in review.proposals:
            if proposed.model_hash != model_hash:
                continue
            by_uid = {candidate.uid: candidate.score for candidate in proposed.study.candidates}
            for reading in review.readings:
                for event in reading.decisions if reading.kind == "first" else ():
                    if event.candidate in by_uid and event.verdict in (Verdict.TRUE, Verdict.FALSE) and not event.tag:
                        scores.append(by_uid[event.candidate])
                        accepted.append(event.verdict is Verdict.TRUE)
    return calibrated(scores, accepted)


def chance_of_a_hit(scores: Sequence[float], calibration: Calibration) -> float:
    """Return P = 1 - prod(1 - p_i): the chance that some candidate of a study is a lesion."""
    return 1.0 - float(np.prod([1.0 - chance for chance in calibration(scores)])) if scores else 0.0


def expected_minutes(chance: float, *, rules: Rules, reading_minutes: float = READING_MINUTES) -> float:
    """Return what a study is expected to take: reading it, and boxing it by hand where no candidate hits.

    A study that is better boxed at once (``rules.straight_to_boxing``) takes no reading.
    """
    boxing = (1.0 - chance) * rules.manual_minutes
    return boxing if chance < rules.straight_to_boxing else reading_minutes + boxing
