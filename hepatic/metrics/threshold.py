"""From which score candidates are shown, chosen on gold data: every card more is a chance to slip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError

FEWEST_LESIONS = 20
"""Lesions hit by a candidate that it takes to choose a score by which candidates are shown or rejected."""


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it does on the gold studies it was chosen on.

    Attributes:
        score: candidates from it on are shown.
        sensitivity: share of the lesions that a shown candidate hits.
        sensitivity_without: the same if every candidate were shown.
        cards: candidates per study that are shown.
        cards_without: the same if every candidate were shown.
        lesions, studies: on how many it was chosen.
    """

    score: float
    sensitivity: float
    sensitivity_without: float
    cards: float
    cards_without: float
    lesions: int
    studies: int


def choose_threshold(
    studies: Sequence[tuple[NDArray[np.floating], NDArray[np.bool_]]], *, keep: float = 0.98
) -> Threshold:
    """Return the largest threshold that keeps the sensitivity asked for.

    Args:
        studies: of each gold study the candidates' scores (N,) and which candidate hits which lesion (N, M), as
            ``hepatic.boxes.hits`` gives it; studies without lesions count for the cards.
        keep: share of the sensitivity without any threshold that must remain, above 0 to 1.

    Raises:
        BadInputError: ``keep`` is out of range, shapes do not fit, or no candidate hits any lesion.
    """
    if not 0 < keep <= 1:
        raise BadInputError("keep", expected="a share above 0 and up to 1", came=f"{keep}", fix="0.98 keeps 98 %.")
    best: list[float] = []
    for scores, hit in studies:
        if hit.ndim != 2 or len(scores) != len(hit):
            raise BadInputError(
                "gold study",
                expected="one row of hits per score",
                came=f"{len(scores)} scores and hits of shape {hit.shape}",
                fix="Use hepatic.boxes.hits.",
            )
        best += [float(np.max(scores[column], initial=-np.inf)) for column in hit.T]
    found = np.sort(np.array([score for score in best if np.isfinite(score)]))[::-1]
    if not len(found):
        raise BadInputError(
            "gold studies",
            expected="candidates that hit a lesion",
            came=f"none over {len(best)} lesions",
            fix="Train the detector before choosing a threshold.",
        )
    score = float(found[int(np.ceil(keep * len(found) - 1e-9)) - 1])
    everything = np.concatenate([np.asarray(scores, np.float64) for scores, _ in studies])
    return Threshold(
        score=score,
        sensitivity=float((found >= score).sum()) / len(best),
        sensitivity_without=len(found) / len(best),
        cards=float((everything >= score).sum()) / len(studies),
        cards_without=len(everything) / len(studies),
        lesions=len(best),
        studies=len(studies),
    )
