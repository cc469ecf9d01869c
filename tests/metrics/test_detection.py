import numpy as np
import pytest

from hepatic.metrics import Found, bootstrap_interval, froc, froc_interval, p1td, primary_found


def box(x, size=10):
    return [x, 0, 0, x + size, size, size]


def study(*candidates, patient="p", lesions=(0, 100), primary=0):
    boxes = np.array([box(x) for x, _ in candidates], float).reshape(-1, 6)
    return Found(boxes, np.array([s for _, s in candidates]), np.array([box(x) for x in lesions]), primary, patient)


def test_the_primary_counts_only_among_the_k_best_whatever_their_order_in_the_list():
    found = study((50, 0.9), (2, 0.3), (100, 0.5))
    assert [primary_found(found, k=k) for k in (1, 2, 3)] == [False, False, True]
    assert primary_found(study((50, 0.9), (100, 0.95), primary=1), k=1)


def test_a_study_without_candidates_is_a_miss():
    assert p1td([study(), study((0, 0.5))], k=10) == 0.5


def test_the_curve_counts_false_candidates_per_study_and_every_lesion_once():
    studies = [study((0, 0.9), (1, 0.8), (50, 0.7)), study((100, 0.6), (50, 0.5))]
    false, sensitivity, score = froc(studies, at=(0, 0.5, 1))
    assert false.max() == 1
    assert sensitivity.max() == 0.5  # two of four lesions
    assert sensitivity[np.flatnonzero(false == 0)].max() == 0.25
    assert score == pytest.approx(np.mean([0.25, 0.5, 0.5]))


def test_an_interval_draws_patients_with_all_their_studies():
    assert bootstrap_interval([True] * 5 + [False] * 5, ["a"] * 5 + ["b"] * 5) == (0, 1)
    low, high = bootstrap_interval([n % 2 for n in range(100)], [str(n) for n in range(100)])
    assert 0.38 < low < 0.45
    assert 0.55 < high < 0.62


def test_the_curve_has_an_interval_too():
    studies = [study((0 if n % 2 else 50, 0.9), patient=str(n), lesions=(0,)) for n in range(40)]
    low, high = froc_interval(studies, draws=100)
    assert low < froc(studies)[2] < high
    assert high - low < 0.4
