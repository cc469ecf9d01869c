"""Detectors and classifiers answer: boxes in the patient, livers found first, classes with probabilities."""

import dataclasses

import numpy as np
import pytest
import torch

from hepatic.engine.candidates import choose
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError, NotFoundError
from hepatic.geometry import Grid
from hepatic.io.read import read
from tests.engine.toys import (
    CLASSIFIER,
    DETECTOR,
    LIVER,
    Whole,
    block,
    box_of,
    serve,
    serve_detector,
    write_ct,
)

CENTRES = ((3, 5, 5), (5, 11, 14))
WITH_LIVER = dataclasses.replace(DETECTOR, liver=LIVER, pre=(Whole(within_liver=True),))


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models")


@pytest.fixture
def ct(tmp_path):
    return write_ct(tmp_path / "ct.nrrd", *CENTRES)


def test_lesions_are_boxed_where_they_lie_in_the_patient(registry, ct):
    version = serve_detector(registry)
    found = Predictor(registry, device="cpu").predict(DETECTOR, ct, params={"min_score": 0.5})
    assert np.sort(found.boxes, axis=0) == pytest.approx(np.array([box_of(centre) for centre in CENTRES]))
    assert (np.diff(found.scores) <= 0).all()
    assert (found.label, found.version, found.model_sha256) == ("lesion", version.version, version.card.sha256)
    assert found.grid.matches(read(ct).grid)


def test_a_client_says_how_many_candidates_and_how_sure_they_must_be(registry, ct):
    serve_detector(registry)
    predictor = Predictor(registry, device="cpu")
    assert len(predictor.predict(DETECTOR, ct, params={"most": 1}).boxes) == 1
    assert len(predictor.predict(DETECTOR, ct, params={"min_score": 1}).boxes) == 0
    with pytest.raises(BadInputError, match="most"):
        predictor.predict(DETECTOR, ct, params={"most": 0})


def test_a_phase_in_memory_gives_the_same_boxes_as_its_file(registry, ct):
    serve_detector(registry)
    predictor = Predictor(registry, device="cpu")
    ours, theirs = predictor.detect(DETECTOR, read(ct)), predictor.predict(DETECTOR, ct)
    assert np.array_equal(ours.boxes, theirs.boxes)
    assert np.array_equal(ours.scores, theirs.scores)


def test_only_what_the_liver_model_calls_liver_is_looked_at(registry, ct):
    serve_detector(registry, WITH_LIVER)
    serve(registry, LIVER, level=-10.0)
    predictor = Predictor(registry, device="cpu")
    assert len(predictor.predict(WITH_LIVER, ct, params={"min_score": 0.5}).boxes) == 2
    serve(registry, LIVER, level=10.0)
    assert len(predictor.predict(WITH_LIVER, ct, params={"min_score": 0.5}).boxes) == 0, "a new liver model counts"


def test_a_liver_is_found_once_per_image(registry, ct):
    serve_detector(registry, WITH_LIVER)
    serve(registry, LIVER, level=-10.0)
    predictor = Predictor(registry, device="cpu")
    answers = [predictor.predict(WITH_LIVER, ct) for _ in range(3)]
    assert predictor.model(LIVER).network.calls == 1
    assert predictor.model(WITH_LIVER).network.calls == 3
    assert all("liver" in answer.timings_ms for answer in answers)


def test_a_liver_that_is_given_needs_no_liver_model(registry, ct):
    serve_detector(registry, WITH_LIVER)
    image = read(ct)
    liver = np.zeros(image.array.shape, bool)
    liver[block(CENTRES[1])] = True
    found = Predictor(registry, device="cpu").detect(WITH_LIVER, image, liver, params={"min_score": 0.5})
    assert found.boxes == pytest.approx(np.array([box_of(CENTRES[1])]))


def test_without_a_liver_model_the_answer_says_which_one_is_missing(registry, ct):
    serve_detector(registry, WITH_LIVER)
    with pytest.raises(NotFoundError, match="toy_liver"):
        Predictor(registry, device="cpu").predict(WITH_LIVER, ct)


def test_of_boxes_that_overlap_the_surer_one_stays_and_those_without_extent_go():
    grid = Grid((20, 20, 20), np.eye(4))
    boxes = torch.tensor(
        [[0, 0, 0, 4, 4, 4], [1, 0, 0, 5, 4, 4], [10, 10, 10, 12, 12, 12], [15, 15, 15, 15, 16, 16], [0, 0, 0, 0, 0, 9]]
    ).float()
    boxes[4, 0] = torch.nan
    scores = torch.tensor([0.6, 0.8, 0.3, 0.9, 0.9])
    kept, sure = choose(boxes, scores, grid, {"min_score": 0.1, "max_iou": 0.2, "most": 10})
    assert sure == pytest.approx([0.8, 0.3])
    assert kept == pytest.approx(np.array([[-0.5, -0.5, 0.5, 3.5, 3.5, 4.5], [9.5, 9.5, 9.5, 11.5, 11.5, 11.5]]))
    both, _ = choose(boxes, scores, grid, {"min_score": 0.1, "max_iou": 0.7, "most": 10})
    assert len(both) == 3


def test_a_classifier_says_how_probable_each_class_is(registry, tmp_path):
    serve(registry, CLASSIFIER, **{"line.weight": [[-1.0], [1.0]], "line.bias": [0.0, 0.0]})
    predictor = Predictor(registry, device="cpu")
    bright = predictor.predict(CLASSIFIER, write_ct(tmp_path / "bright.nrrd", level=300))
    assert bright.label == "bright"
    assert bright.probabilities["bright"] == pytest.approx(1 / (1 + np.exp(-6)), abs=0.01)
    assert sum(bright.probabilities.values()) == pytest.approx(1)
    dark = predictor.classify(CLASSIFIER, read(write_ct(tmp_path / "dark.nrrd", level=-300)))
    assert dark.label == "dark"
