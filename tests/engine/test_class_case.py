"""A classified ultrasound picture whose lesion a reader has drawn."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

import infer_tasks
import train_tasks
from hepatic.engine.cases import ClassCase
from hepatic.engine.prepared_cases import prepare_cases
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_labelmap
from hepatic.io.read import read
from hepatic.tasks.discover import discover_recipes, discover_tasks
from sample_data.ceus import write_ceus
from sample_data.ceus.show import Style
from sample_data.us import write_us

BOX = (120.0, 200.0, 170.0, 260.0)
TASK = discover_tasks(infer_tasks)["us_bmode"]


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    [file] = write_us(tmp_path_factory.mktemp("still"), 1, seed=3, kind="cyst")
    return file


def test_the_box_of_a_drawn_lesion_is_the_region_of_interest(still, tmp_path):
    image = read(still)
    drawn = np.zeros(image.grid.shape, np.uint8)
    drawn[0, 120:150, 200:260] = 1
    label = tmp_path / "lesion.nrrd"
    label.write_bytes(encode_labelmap(".nrrd", Labelmap(drawn, image.grid, {"lesion": 1}), compress=True))
    plain = ClassCase(image_id="a", patient_id="a", source=still, truth="hcc", boxes=((0.0, 0.0, 9.0, 9.0),))
    case = ClassCase(image_id="a", patient_id="a", source=still, truth="hcc", label=label)
    assert np.asarray(case.sample(TASK)["boxes"]) == pytest.approx(np.array([[120, 200, 150, 260]]), abs=1e-6)
    facts = TASK.prepare(case.sample(TASK))["facts"]
    assert (facts["roi"], facts["roi_from"]) == (pytest.approx([200, 120, 260, 150]), "label")
    assert case.content() != plain.content()


def test_a_class_without_a_box_is_not_learnt_as_that_of_the_whole_image(still):
    recipe = discover_recipes(train_tasks)["us_bmode"]
    named = ClassCase(image_id="named", patient_id="a", source=still, truth="hcc")
    drawn = ClassCase(image_id="drawn", patient_id="b", source=still, truth="hcc", boxes=(BOX,))
    prepared = prepare_cases(recipe, [named, drawn])
    assert prepared.cases == [drawn]
    assert "Draw it at /cases" in prepared.left_out["named"]


@pytest.mark.parametrize(("truth", "boxes", "is_known"), [("cyst", (BOX,), 1), ("cyst", (), 0), ("homogeneous", (), 1)])
def test_where_a_lesion_is_that_nobody_has_drawn_is_not_known(still, truth, boxes, is_known):
    recipe = discover_recipes(train_tasks)["us_fll"]
    case = ClassCase(image_id="a", patient_id="a", source=still, truth=truth, boxes=boxes)
    [sample] = prepare_cases(recipe, [case]).samples
    assert sample["mask_known"] == is_known
    assert sample["mask"].any() == bool(boxes)


def test_the_rarer_class_is_expanded_until_both_are_equal_and_only_in_training(still):
    recipe = discover_recipes(train_tasks)["us_bmode"]
    truths = ["hcc", "hcc", "hcc", "non_hcc"]
    cases = [
        ClassCase(image_id=str(n), patient_id=str(n), source=still, truth=truth, boxes=(BOX,))
        for n, truth in enumerate(truths)
    ]
    counts = {
        balanced: Counter(int(one["target"]) for one in prepare_cases(recipe, cases, balanced=balanced).samples)
        for balanced in (True, False)
    }
    assert counts == {True: {0: 3, 1: 3}, False: {0: 3, 1: 1}}
    views = [one["image"] for one in prepare_cases(recipe, cases, balanced=True).samples[3:]]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(views, 2))


def test_an_image_that_cannot_be_used_does_not_count_for_the_balance(still):
    recipe = discover_recipes(train_tasks)["us_bmode"]
    cases = [
        ClassCase(image_id=f"{number}", patient_id="a", source=still, truth=truth, boxes=boxes)
        for number, (truth, boxes) in enumerate([("hcc", (BOX,)), ("non_hcc", (BOX,)), *[("hcc", ())] * 3])
    ]
    prepared = prepare_cases(recipe, cases, balanced=True)
    assert len(prepared.left_out) == 3
    assert [int(one["target"]) for one in prepared.samples] == [0, 1]


def test_views_that_show_the_same_count_once(tmp_path):
    """Of a frame every two seconds, the one a second later is the same."""
    recipe = discover_recipes(train_tasks)["us_ceus"]
    [(_, cine)] = write_ceus(tmp_path, 1, size="tiny", style=Style(colour=False, side_by_side=False, even=True))
    boxes = ((70.0, 50.0, 90.0, 70.0),)
    truths = ["non_hcc", *["hcc"] * 6]
    cases = [
        ClassCase(image_id=f"{number}", patient_id="a", source=cine, truth=truth, boxes=boxes)
        for number, truth in enumerate(truths)
    ]
    samples = prepare_cases(recipe, cases, balanced=True).samples
    views = [one["image"] for one in samples if int(one["target"]) == 1]
    assert 2 < len(views) < 6
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(views, 2))
