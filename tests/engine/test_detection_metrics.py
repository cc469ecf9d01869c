"""Measures of a detector come with their intervals over patients."""

import numpy as np
import pytest

from hepatic.engine.evaluate import choose_shown_from, detection_metrics
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
    tuning = 7 * [scored(0.8, 0.1), scored(0.6, 0.5), scored(0.7, 0.65)]
    assert choose_shown_from(tuning) == 0.6


@pytest.mark.parametrize(("lesions", "score"), [(1, None), (19, None), (20, 0.95)])
def test_no_score_is_named_where_too_few_lesions_are_found_to_tell_what_it_loses(lesions, score):
    unfound = [study(f"Q{n}", found=False) for n in range(5)]
    assert choose_shown_from([*(scored(0.95, 0.5) for _ in range(lesions)), *unfound]) == score


def test_patients_who_judge_tell_how_many_cards_that_score_leaves_and_do_not_choose_it():
    judging = [scored(0.8, 0.1), scored(0.5, 0.1), scored(0.9, 0.7), scored(0.4, 0.3)]
    told = detection_metrics("net", judging, shown_from=0.6)
    assert (told["shown_from"], told["cards"]) == (0.6, 0.75)
    assert not {"shown_from", "cards"} & set(detection_metrics("net", 10 * judging))
