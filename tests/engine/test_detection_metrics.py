"""Measures of a detector come with their intervals over patients."""

import numpy as np
import pytest

from hepatic.engine.evaluate import detection_metrics
from hepatic.metrics.detection import Found

LESION = np.array([[0.0, 0, 0, 10, 10, 10]])


def study(patient, *, found):
    boxes = LESION if found else LESION + 50
    return Found(boxes, np.array([0.9]), LESION, patient_id=patient)


def scored(score, false_alarm):
    boxes = np.concatenate([LESION, LESION + 50])
    return Found(boxes, np.array([score, false_alarm]), LESION, patient_id=f"P{score}")


def test_the_interval_lies_round_the_share_that_was_found():
    told = detection_metrics("net", [study(f"P{n}", found=n % 4 > 0) for n in range(40)])
    assert told["p1td_1"] == 0.75
    assert 0.5 < told["p1td_1_low"] < 0.75 < told["p1td_1_high"] < 0.95
    assert told["froc_low"] <= told["froc"] <= told["froc_high"]


def test_of_one_patient_there_is_no_interval():
    told = detection_metrics("net", [study("P1", found=True)])
    assert set(told) == {"p1td_1", "p1td_10", "froc", "cases"}
    assert told["p1td_1"] == pytest.approx(1.0)


def test_candidates_are_shown_from_the_score_that_keeps_what_is_found():
    told = detection_metrics("net", 7 * [scored(0.8, 0.1), scored(0.6, 0.5), scored(0.7, 0.65)])
    assert told["shown_from"] == 0.6
    assert told["cards"] == pytest.approx(4 / 3, abs=0.01)


@pytest.mark.parametrize(("lesions", "named"), [(1, False), (19, False), (20, True)])
def test_no_score_is_named_where_too_few_lesions_are_found_to_tell_what_it_loses(lesions, named):
    unfound = [study(f"Q{n}", found=False) for n in range(5)]
    told = detection_metrics("net", [*(scored(0.95, 0.5) for _ in range(lesions)), *unfound])
    assert ("shown_from" in told, "cards" in told) == (named, named)


def test_a_detector_that_finds_nothing_names_no_such_score():
    assert "shown_from" not in detection_metrics("net", [study("P1", found=False)])
