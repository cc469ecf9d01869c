"""Probes: simple classifiers, cross-validated over patients, that should find nothing where nothing was put."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy.stats import rankdata

Numbers = NDArray[np.float64]


def auc(scores: Sequence[float] | Numbers, positive: Sequence[bool]) -> float:
    """Area under the ROC curve, ties by half."""
    truth = np.asarray(positive, dtype=bool)
    ranks = rankdata(scores)
    positives, negatives = truth.sum(), (~truth).sum()
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def probe(features: Numbers, positive: Sequence[bool], patient: Sequence[int], *, ridge: float = 0.05) -> float:
    """AUC of a ridge classifier, classes weighted alike, each patient scored by one that has not seen it: mean of 6."""
    truth, fold = np.asarray(positive, dtype=bool), np.unique(patient, return_inverse=True)[1] % 6
    spread = features.std(0)
    X = (features - features.mean(0))[:, spread > 1e-9] / spread[spread > 1e-9]
    X = np.column_stack([X, np.ones(len(X))])
    areas = []
    for held in range(6):
        seen = fold != held
        weight = np.where(truth[seen], 0.5 / truth[seen].mean(), 0.5 / (1 - truth[seen].mean()))
        A, b = X[seen] * weight[:, None], np.where(truth[seen], 1.0, -1.0)
        found = np.linalg.solve(A.T @ X[seen] + ridge * seen.sum() * np.eye(X.shape[1]), A.T @ b)
        areas.append(auc(X[~seen] @ found, truth[~seen]))
    return float(np.mean(areas))


def at_most(limit: float, name: str, area: float) -> None:
    """For a probe that was trained: below one half it has learned nothing that holds for other patients."""
    assert area <= limit, f"{name}: AUC {area:.3f}"


def at_most_either_way(limit: float, name: str, area: float) -> None:
    """For a plain measurement: an AUC below one half tells as much as one above."""
    assert 1 - limit <= area <= limit, f"{name}: AUC {area:.3f}"


def numbers_of(head: Dataset) -> dict[str, float]:
    """Every number in a header, and of a text how long it is."""
    found: dict[str, float] = {}
    for element in head:
        for index, value in enumerate(element.value if element.VM > 1 else [element.value]):
            try:
                found[f"{element.keyword} {index}"] = float(value)
            except (TypeError, ValueError):
                found[f"{element.keyword} {index}"] = float(len(str(value)))
    return found


@dataclass(frozen=True)
class Twins:
    """Two pictures of every patient: what each probe sees of them, whether they are positive, and whose they are."""

    seen: dict[str, Numbers]
    positive: list[bool]
    patient: list[int]

    def probe(self, name: str) -> float:
        """AUC of what one probe sees."""
        return probe(self.seen[name], self.positive, self.patient)

    def probe_of_leak(self, name: str) -> float:
        """AUC once half a standard deviation of the first number tells the class."""
        leaking = self.seen[name].copy()
        leaking[:, 0] += 0.5 * leaking[:, 0].std() * np.array(self.positive)
        return probe(leaking, self.positive, self.patient)
