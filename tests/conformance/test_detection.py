"""Every detector: boxes in the patient, as markups and as a labelmap."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hepatic.adapters.infer import HepaticInferTask
from hepatic.boxes import centres, iou
from hepatic.engine.prepared_cases import prepare_cases
from hepatic.geometry import Grid
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import read_rois
from hepatic.io.read import read
from tests.conformance.models import (
    RECIPES,
    TOYS,
    cases_of,
    name_of,
    oblique,
    predictor,
    tasks_of,
    true_liver,
    without_liver_model,
)

all_tasks = pytest.mark.parametrize("task", tasks_of("detection"), ids=name_of)
ALL = {"min_score": 0.0}
"""Random weights are sure of nothing."""


@all_tasks
def test_candidates_are_boxes_with_an_extent_the_surest_first_no_two_of_them_alike(task, studies, tmp_path):
    study = studies[task.modality][0]
    found = predictor(task, tmp_path).detect(task, read(study.image), true_liver(study), params=ALL)
    assert 0 < len(found.boxes) <= 10
    assert (found.boxes[:, 3:] > found.boxes[:, :3]).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (np.diff(found.scores) <= 0).all()
    shared = iou(found.boxes, found.boxes) - np.eye(len(found.boxes))
    assert shared.max() <= 0.2 + 1e-6


@all_tasks
def test_candidates_keep_their_place_in_a_patient_who_lies_otherwise(task, studies, tmp_path):
    study = studies[task.modality][0]
    upright, served = read(study.image), predictor(task, tmp_path)
    move = np.eye(4)
    turn = oblique(upright.grid).direction @ np.diag([-1, 1, 1])  # not mirrored: that would be another patient
    move[:3, :3], move[:3, 3] = turn, (12.5, -80.0, 33.0)
    lying = dataclasses.replace(upright, grid=Grid(upright.grid.size, move @ upright.grid.affine))
    before = served.detect(task, upright, true_liver(study), params={**ALL, "max_iou": 1.0, "most": 1})
    after = served.detect(task, lying, true_liver(study), params={**ALL, "max_iou": 1.0, "most": 1})
    expected = centres(before.boxes) @ move[:3, :3].T + move[:3, 3]
    assert centres(after.boxes) == pytest.approx(expected, abs=1e-2)


@all_tasks
@pytest.mark.parametrize("suffix", [".json", ".nii.gz"])
def test_boxes_are_written_for_every_viewer(task, studies, tmp_path, monkeypatch, suffix):
    study = studies[task.modality][0]
    without_liver_model(monkeypatch, study)
    model = HepaticInferTask(task, predictor(task, tmp_path), results=tmp_path)
    file, params = model({"image": str(study.image), "image_id": "1.2", "result_extension": suffix, **ALL})
    assert params["boxes"]
    assert params["label_names"] == {task.labels[0]: 1}
    if suffix == ".json":
        rois = read_rois(Path(file))
        assert [roi.about["candidate"] for roi in rois] == [box["candidate"] for box in params["boxes"]]
        assert np.array([roi.box for roi in rois]) == pytest.approx(np.array([box["box"] for box in params["boxes"]]))
    else:
        labelmap = read_labelmap(Path(file))
        assert labelmap.grid.matches(read(study.image).grid)
        assert set(np.unique(labelmap.array)) <= {0, 1}


@pytest.mark.parametrize(
    "recipe", [r for r in (*RECIPES.values(), *TOYS.values()) if r.task.type == "detection"], ids=name_of
)
def test_boxes_follow_the_picture_through_every_augmentation(recipe, studies):
    """A mark painted into the picture stays in the middle of its box."""
    sample = dict(prepare_cases(recipe, cases_of(recipe, studies)[:1]).samples[0])
    k, j, i = (length // 2 for length in sample["image"].shape[1:])
    sample["image"] = torch.zeros_like(sample["image"])
    sample["image"][:, k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = 1
    sample["boxes"] = torch.tensor([[k - 1, j - 2, i - 2, k + 2, j + 3, i + 3]]).float()
    for seed in range(10):
        moved, draw = sample, torch.Generator().manual_seed(seed)
        for transform in recipe.augment:
            moved = transform(moved, draw)
        bright = np.argwhere(np.asarray(moved["image"][0]) > 0.5)
        (box,) = np.asarray(moved["boxes"])
        assert (bright.min(axis=0) + bright.max(axis=0) + 1) / 2 == pytest.approx((box[:3] + box[3:]) / 2, abs=1)
