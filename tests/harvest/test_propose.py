import json

import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.propose import candidate_uid, key_slice, merge, propose
from hepatic.harvest.study import Phase, PhaseVolume, PreparedStudy, Proposal
from hepatic.harvest.study_json import from_json, to_json

GRID = Grid((20, 20, 10), np.array([[2.0, 0, 0, -20], [0, 2, 0, -20], [0, 0, 5, 100], [0, 0, 0, 1]]))
HERE, NEARBY, THERE = (0.0, 0, 110, 10, 10, 130), (1.0, 0, 110, 11, 10, 130), (-18.0, -18, 101, -10, -10, 112)


def prepared(*phases):
    volumes = {p: PhaseVolume(p, f"image-{p}", np.zeros(GRID.shape, np.int16), "tags", "none") for p in phases}
    return PreparedStudy(
        "1.2.3", "P1", Phase.VENOUS, GRID, volumes, np.ones(GRID.shape, bool), ("a warning",), "c" * 64
    )


def proposed(found, **options):
    study = prepared(Phase.ARTERIAL, Phase.VENOUS)
    return propose(study, lambda _, phase: found.get(phase, []), model="m", model_hash="h", **options)


def test_boxes_of_two_phases_in_one_place_become_one_candidate_that_remembers_both():
    study = proposed({Phase.ARTERIAL: [(HERE, 0.9)], Phase.VENOUS: [(NEARBY, 0.6), (THERE, 0.7)]})
    first, second = study.candidates
    assert (first.box, first.score) == (HERE, 0.9)
    assert [(p.phase, p.score) for p in first.lineage] == [(Phase.ARTERIAL, 0.9), (Phase.VENOUS, 0.6)]
    assert [p.box for p in second.lineage] == [THERE]
    assert study.image_ids == {Phase.ARTERIAL: "image-arterial", Phase.VENOUS: "image-venous"}
    assert study.warnings == ("a warning",)


def test_a_phase_that_is_missing_is_not_asked_for():
    asked = []
    propose(prepared(Phase.VENOUS), lambda _, phase: asked.append(phase) or [], model="m", model_hash="h")
    assert asked == [Phase.VENOUS]


def test_at_most_ten_candidates_are_kept_the_best_first_and_none_below_the_threshold():
    row = [((20.0 * n, 0, 100, 20.0 * n + 10, 10, 110), 0.05 + n / 20) for n in range(15)]
    scores = [c.score for c in proposed({Phase.VENOUS: row}, min_score=0.3).candidates]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.3


def test_a_suppressed_box_belongs_to_the_candidate_it_overlaps_most():
    left, right = (0.0, 0, 0, 10, 10, 10), (8.0, 0, 0, 18, 10, 10)
    between = (7.0, 0, 0, 17, 10, 10)
    lineages = merge(
        [Proposal(Phase.NC, left, 0.9), Proposal(Phase.NC, right, 0.8), Proposal(Phase.VENOUS, between, 0.7)],
        most=10,
        max_iou=0.15,
    )
    assert [[p.box for p in lineage] for lineage in lineages] == [[left], [right, between]]


def test_equal_scores_are_merged_the_same_way_in_any_order():
    both = [Proposal(Phase.VENOUS, NEARBY, 0.5), Proposal(Phase.ARTERIAL, HERE, 0.5)]
    assert merge(both, most=10, max_iou=0.2) == merge(both[::-1], most=10, max_iou=0.2)


def test_a_candidate_keeps_its_uid_while_model_and_box_stay():
    uid = candidate_uid("1.2.3", "abc", HERE)
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert uid == candidate_uid("1.2.3", "abc", tuple(mm + 0.01 for mm in HERE))
    assert len({uid, candidate_uid("1.2.4", "abc", HERE), candidate_uid("1.2.3", "abd", HERE)}) == 3
    assert uid != candidate_uid("1.2.3", "abc", NEARBY)


def test_the_key_slice_is_the_one_through_the_middle_and_lies_in_the_picture():
    assert key_slice((0, 0, 107.4, 5, 5, 117.4), GRID) == 2  # centre at 112.4 mm: slices lie at 110 and 115
    assert key_slice((0, 0, 90, 5, 5, 92), GRID) == 0
    assert key_slice((0, 0, 900, 5, 5, 920), GRID) == 9


@pytest.mark.parametrize(
    ("box", "score"), [((0, 0, 0, 5, 5, 0), 0.5), ((0, 0, 0, np.nan, 5, 5), 0.5), (HERE, 1.5), (HERE, np.nan)]
)
def test_what_no_detector_can_mean_is_refused(box, score):
    with pytest.raises(BadInputError):
        merge([Proposal(Phase.VENOUS, box, score)], most=10, max_iou=0.2)


def test_a_proposed_study_survives_json():
    study = proposed({Phase.ARTERIAL: [(HERE, 0.9)], Phase.VENOUS: [(NEARBY, 0.6)]})
    again = from_json(json.loads(json.dumps(to_json(study), allow_nan=False)))
    assert again == study


def test_json_that_is_no_study_is_refused_with_the_place():
    told = to_json(proposed({Phase.VENOUS: [(HERE, 0.9)]}))
    del told["candidates"][0]["box"]
    with pytest.raises(BadInputError, match=r"candidates\.0\.box"):
        from_json(told)
