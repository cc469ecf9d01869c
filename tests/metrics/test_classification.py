"""Measures of classifiers, checked by the tables of papers 002 and 004."""

import numpy as np
import pytest

from hepatic.metrics.classification import (
    auc,
    binary_metrics,
    challenge_score,
    class_metrics,
    finding_metrics,
    roc,
)

# table 1 of paper 002, on 20 HCC and 20 others: sensitivity, specificity -> accuracy, PPV, DSC and "AUC" in per cent
TABLE = {
    "VGG": (12, 16, (70.00, 75.00, 66.67, 70.00)),
    "3D-CNN": (16, 18, (85.00, 88.89, 84.21, 85.00)),
    "Res-3D": (14, 20, (85.00, 100.00, 82.35, 85.00)),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_paper_002_comes_from_its_equations(name):
    tp, tn, (accuracy, ppv, dsc, printed) = TABLE[name]
    truth = [True] * 20 + [False] * 20
    score = [0.9] * tp + [0.1] * (20 - tp) + [0.2] * tn + [0.8] * (20 - tn)
    found = {measure: 100 * value for measure, value in binary_metrics(truth, score).items()}
    expected = {"accuracy": accuracy, "ppv": ppv, "dsc": dsc, "auc_hard": printed}
    assert {measure: found[measure] for measure in expected} == pytest.approx(expected, abs=0.01)
    assert found["auc"] != pytest.approx(printed, abs=0.1)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    truth, score = rng.random(60) < 0.4, rng.random(60)
    pairs = [(a > b) + (a == b) / 2 for a in score[truth] for b in score[~truth]]
    assert auc(truth, score) == pytest.approx(np.mean(pairs))
    assert np.isnan(auc([True, True], [0.1, 0.2]))
    x, y = roc(truth, score)
    assert np.trapezoid(y, x) == pytest.approx(auc(truth, score))


def test_what_would_divide_by_zero_is_left_out():
    assert binary_metrics([True, True], [0.9, 0.1]) == pytest.approx(
        {"accuracy": 0.5, "ppv": 1.0, "sensitivity": 0.5, "dsc": 2 / 3}
    )
    assert set(binary_metrics([False], [0.1])) == {"accuracy", "specificity"}


def test_of_more_than_two_classes_each_is_told_from_the_rest():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.5, 0.4, 0.1]])
    found = class_metrics([0, 1, 2, 1], probabilities, ("a", "b", "c"))
    assert found == pytest.approx({"accuracy": 0.75, "true_class_probability": 0.575, "auc": 1.0})


def test_the_score_of_paper_004_weighs_the_mean_of_the_types():
    types = {"angioma": 0.898, "metastasis": 0.886, "HCC": 0.931, "cyst": 0.954, "FNH": 0.909}
    assert np.mean(list(types.values())) == pytest.approx(0.916, abs=5e-4)
    assert challenge_score(0.935, 0.942, types) == pytest.approx(0.9332, abs=5e-4)


def test_of_findings_each_counts_where_it_applies():
    nan = float("nan")
    truth = np.array([[0, nan], [0, nan], [1, 1], [1, 0], [1, 1]])
    probabilities = np.array([[0.2, 0.9], [0.6, 0.9], [0.7, 0.8], [0.5, 0.3], [0.9, 0.6]])
    found = finding_metrics(truth, probabilities, ("lesion", "malignant"))
    assert found["auc_lesion"] == pytest.approx(5 / 6)
    assert found["auc_malignant"] == 1.0
    assert found["auc"] == pytest.approx((5 / 6 + 1) / 2)
    expected = [0.8, 0.4, (0.7 * 0.8) ** 0.5, (0.5 * 0.7) ** 0.5, (0.9 * 0.6) ** 0.5]
    assert found["true_class_probability"] == pytest.approx(np.mean(expected))
