"""Measures of a detector: is the primary tumour among the best candidates, and at what price (paper 001, table IV)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from monai.metrics import compute_froc_curve_data, compute_froc_score
from numpy.typing import NDArray

from hepatic.boxes import HIT_IOU, Boxes, hits

FROC_AT = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False candidates per study at which sensitivity is averaged (LUNA16's)."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector found in a study, and what is there.

    Attributes:
        boxes: candidates (N, 6), LPS millimetres.
        scores: (N,), larger is surer; need not be sorted.
        lesions: (M, 6), one or more of which is known to be there.
        primary: which row of ``lesions`` is the primary tumour.
        patient_id: intervals resample patients, not studies.
    """

    boxes: Boxes
    scores: NDArray[np.floating]
    lesions: Boxes
    primary: int = 0
    patient_id: str = ""

    @property
    def order(self) -> NDArray[np.intp]:
        """Candidates, the best first; the earlier one of two alike."""
        return np.argsort(-np.asarray(self.scores), kind="stable")


def primary_found(study: Found, *, k: int, min_iou: float = HIT_IOU) -> bool:
    """Whether one of the ``k`` best candidates hits the primary tumour (hit: see ``hepatic.boxes.hits``)."""
    best = np.asarray(study.boxes, np.float64).reshape(-1, 6)[study.order[:k]]
    return bool(hits(best, study.lesions[study.primary : study.primary + 1], min_iou=min_iou).any())


def p1td(studies: Sequence[Found], *, k: int, min_iou: float = HIT_IOU) -> float:
    """P1TD-k: share of studies whose primary tumour is detected among the k best candidates."""
    return float(np.mean([primary_found(study, k=k, min_iou=min_iou) for study in studies]))


@dataclass(frozen=True, eq=False)
class _Scores:
    """Scores of a study's false candidates and of those that found a lesion, and how many lesions there are."""

    wrong: list[float]
    right: list[float]
    lesions: int


def froc(
    studies: Sequence[Found], *, at: Sequence[float] = FROC_AT, min_iou: float = HIT_IOU
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Free-response curve over all lesions.

    Each candidate, the best first, takes one lesion it hits that none has taken; a further candidate on a lesion that
    is taken counts neither for nor against.

    Returns:
        false candidates per study and sensitivity, from the strictest threshold to the laxest, and the mean
        sensitivity at the rates ``at``.
    """
    return _curve([_match(study, min_iou) for study in studies], at)


def froc_interval(
    studies: Sequence[Found],
    *,
    at: Sequence[float] = FROC_AT,
    min_iou: float = HIT_IOU,
    draws: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of the mean sensitivity that ``froc`` returns; see ``bootstrap_interval``."""
    matches = [_match(study, min_iou) for study in studies]
    patients = [study.patient_id for study in studies]
    values = [_curve([matches[n] for n in drawn], at)[2] for drawn in _draw(patients, draws=draws, seed=seed)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.generic], patients: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a mean over studies: patients are drawn with replacement, each with all their studies.

    Args:
        values: (N,), one per study, such as ``primary_found``, or its difference between two models.
        patients: (N,).
        draws: of the bootstrap.
        seed: likewise.
    """
    given = np.asarray(values, np.float64)
    means = [given[drawn].mean() for drawn in _draw(patients, draws=draws, seed=seed)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _draw(patients: Sequence[str], *, draws: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Indices of the studies of patients drawn with replacement."""
    names, whose = np.unique(np.asarray(patients), return_inverse=True)
    by_patient = [np.flatnonzero(whose == number) for number in range(len(names))]
    for row in np.random.default_rng(seed).integers(len(names), size=(draws, len(names))):
        yield np.concatenate([by_patient[patient] for patient in row])


def _match(study: Found, min_iou: float) -> _Scores:
    matched = _Scores([], [], len(study.lesions))
    free = np.ones(len(study.lesions), bool)
    hit = hits(study.boxes, study.lesions, min_iou=min_iou)
    for candidate in study.order:
        if not hit[candidate].any():
            matched.wrong.append(float(study.scores[candidate]))
        elif (taken := np.flatnonzero(hit[candidate] & free)).size:
            free[taken[0]] = False
            matched.right.append(float(study.scores[candidate]))
    return matched


def _curve(matches: Sequence[_Scores], at: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    wrong = np.array([-1.0, *(score for match in matches for score in match.wrong)])
    # MONAI leaves the laxest threshold out: the -1 is it
    right = np.array([score for match in matches for score in match.right])
    lesions = sum(match.lesions for match in matches)
    false, sensitivity = compute_froc_curve_data(wrong, right, lesions, len(matches))
    score = float(compute_froc_score(false, sensitivity, tuple(at)))
    return np.asarray(false, np.float64)[::-1], np.asarray(sensitivity, np.float64)[::-1], score
