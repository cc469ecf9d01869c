"""How well classes are told: the measures of papers 002 (equations 1 to 6) and 004 (equation 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

HALF = 0.5


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the ROC curve; nan where only one of both kinds is there.

    Args:
        truth: (N,), true or false.
        score: (N,), higher for what is more likely true.
    """
    true = np.asarray(truth, bool)
    if true.all() or not true.any():
        return float("nan")
    return float(roc_auc_score(true, np.asarray(score, np.float64)))


def binary_metrics(truth: ArrayLike, score: ArrayLike, *, threshold: float = HALF) -> dict[str, float]:
    """Return the six measures of paper 002 and its AUC as printed.

    Args:
        truth: (N,), whether each is a case of what is looked for (HCC).
        score: (N,), its probability.
        threshold: from which it is called one.

    Returns:
        ``accuracy``, ``ppv``, ``sensitivity``, ``specificity``, ``dsc`` (equations 1 to 5), ``auc`` (the true area
        under the curve) and ``auc_hard``, the mean of sensitivity and specificity, which is what the paper's table
        prints as AUC. A measure that would divide by zero is left out.
    """
    true, says = np.asarray(truth, bool), np.asarray(score, np.float64) >= threshold
    ((tn, fp), (fn, tp)) = confusion_matrix(true, says, labels=[False, True]).astype(float)
    parts = {
        "accuracy": (tp + tn, tp + tn + fp + fn),
        "ppv": (tp, tp + fp),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "dsc": (2 * tp, 2 * tp + fp + fn),
    }
    found = {name: above / below for name, (above, below) in parts.items() if below}
    if tp + fn and tn + fp:
        found |= {"auc": auc(true, score), "auc_hard": (found["sensitivity"] + found["specificity"]) / 2}
    return found


def class_metrics(truth: Sequence[int], probabilities: NDArray[np.floating], labels: Sequence[str]) -> dict[str, float]:
    """Return the measures of classes that exclude one another.

    Args:
        truth: N places in ``labels``.
        probabilities: (N, L), rows that sum to 1.
        labels: their names; of two, the first is what is looked for (``binary_metrics``).

    Returns:
        ``accuracy``, ``true_class_probability`` and, of two classes, the binary measures; of more, ``auc``, the mean
        over the classes of one against the rest.
    """
    true = np.asarray(truth, int)
    right = {
        "accuracy": float((probabilities.argmax(axis=1) == true).mean()),
        "true_class_probability": float(probabilities[np.arange(len(true)), true].mean()),
    }
    if len(labels) == 2:
        return {**binary_metrics(true == 0, probabilities[:, 0]), **right}
    areas = [auc(true == place, probabilities[:, place]) for place in range(len(labels))]
    known = [area for area in areas if not np.isnan(area)]
    return {**right, **({"auc": float(np.mean(known))} if known else {})}


def finding_metrics(
    truth: NDArray[np.floating], probabilities: NDArray[np.floating], labels: Sequence[str]
) -> dict[str, float]:
    """Return the measures of findings, each of which is there or not, or does not apply.

    Args:
        truth: (N, L): 1, 0, or nan where it does not apply (malignancy and type of a liver without lesion).
        probabilities: (N, L), each in [0, 1].
        labels: their names.

    Returns:
        ``auc_<label>`` of each over the images where it applies, ``auc``, their mean, both where there are both kinds,
        and ``true_class_probability``, the geometric mean over what applies to an image, then the mean over images.
    """
    applies = ~np.isnan(truth)
    areas = {
        f"auc_{label}": auc(truth[applies[:, place], place] == 1, probabilities[applies[:, place], place])
        for place, label in enumerate(labels)
        if applies[:, place].any()
    }
    known = {name: area for name, area in areas.items() if not np.isnan(area)}
    likely = np.where(truth == 1, probabilities, 1 - probabilities).clip(1e-6)
    logs = np.where(applies, np.log(likely), 0.0).sum(axis=1) / applies.sum(axis=1).clip(1)
    mean = {"auc": float(np.mean(list(known.values())))} if known else {}
    return {**known, **mean, "true_class_probability": float(np.exp(logs).mean())}


def challenge_score(lesion: float, malignant: float, types: Mapping[str, float]) -> float:
    """Equation 4 of paper 004: .5 AUC of lesions + .3 of malignancy + .2 of the types' mean (printed as a sum)."""
    return 0.5 * lesion + 0.3 * malignant + 0.2 * float(np.mean(list(types.values())))


def roc(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ROC curve: false positive and true positive rates, (P,) each, from (0, 0) to (1, 1)."""
    false_rate, true_rate, _ = roc_curve(np.asarray(truth, bool), np.asarray(score, np.float64))
    return np.asarray(false_rate, np.float64), np.asarray(true_rate, np.float64)
