"""What MONAI Label's clients get of detectors and classifiers."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from hepatic.adapters.infer import HepaticInferTask
from hepatic.adapters.results import filled
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import read_rois
from tests.engine.toys import CLASSIFIER, DETECTOR, block, box_of, serve, serve_detector, write_ct

CENTRES = ((3, 5, 5), (5, 11, 14))


@pytest.fixture
def ct(tmp_path):
    return write_ct(tmp_path / "ct.nrrd", *CENTRES)


@pytest.fixture
def predictor(tmp_path):
    registry = Registry(tmp_path / "models")
    serve_detector(registry)
    serve(registry, CLASSIFIER, **{"line.weight": [[-1.0], [1.0]], "line.bias": [0.0, 0.0]})
    return Predictor(registry, device="cpu")


def ask(predictor, tmp_path, ct, *, as_segmentation=False, **params):
    model = HepaticInferTask(DETECTOR, predictor, results=tmp_path, as_segmentation=as_segmentation)
    file, told = model({"image": str(ct), "image_id": "1.2.3", "min_score": 0.5, **params})
    return Path(file), told


def test_slicer_gets_rois_though_it_asks_for_nrrd_whatever_the_model(predictor, tmp_path, ct):
    file, told = ask(predictor, tmp_path, ct, result_extension=".nrrd", result_dtype="uint8")
    assert file.suffix == ".json"
    rois = read_rois(file)
    assert [roi.about["candidate"] for roi in rois] == [box["candidate"] for box in told["boxes"]]
    assert [roi.about["score"] for roi in rois] == [box["score"] for box in told["boxes"]]
    assert {roi.about["class"] for roi in rois} == {"lesion"}
    assert np.sort([roi.box for roi in rois], axis=0) == pytest.approx(np.array([box_of(c) for c in CENTRES]))


def test_a_candidate_is_called_the_same_every_time_and_otherwise_in_another_image(predictor, tmp_path, ct):
    first, again = (ask(predictor, tmp_path, ct)[1]["boxes"] for _ in range(2))
    assert first == again
    other = ask(predictor, tmp_path, ct, image_id="1.2.4")[1]["boxes"]
    assert {box["candidate"] for box in first}.isdisjoint(box["candidate"] for box in other)


@pytest.mark.parametrize("suffix", [".nii.gz", ".seg.nrrd"])
def test_who_wants_no_rois_gets_the_boxes_as_a_labelmap_on_the_images_grid(predictor, tmp_path, ct, suffix):
    file, told = ask(predictor, tmp_path, ct, result_extension=suffix)
    expected = np.zeros((8, 16, 20), np.uint8)
    for centre in CENTRES:
        expected[block(centre)] = 1
    assert np.array_equal(read_labelmap(file).array, expected)
    assert told["label_names"] == {"lesion": 1}
    result, source = sitk.ReadImage(str(file)), sitk.ReadImage(str(ct))
    assert result.GetOrigin() == pytest.approx(source.GetOrigin())


def test_ohif_which_knows_no_boxes_is_offered_a_segmentation_of_them(predictor, tmp_path, ct):
    model = HepaticInferTask(DETECTOR, predictor, results=tmp_path, as_segmentation=True)
    assert model.info()["type"] == "segmentation"
    assert model.info()["labels"] == ["lesion"]
    file, _ = ask(predictor, tmp_path, ct, as_segmentation=True, result_extension=".nrrd", result_compress=False)
    assert read_labelmap(file).array.sum() == 2 * 3 * 5 * 5


def test_a_detector_is_described_as_one_with_the_options_a_client_may_set(predictor):
    info = HepaticInferTask(DETECTOR, predictor).info()
    assert (info["type"], info["labels"], info["dimension"]) == ("detection", ["lesion"], 3)
    assert info["options"].keys() == info["config"].keys() == {"min_score", "max_iou", "most"}
    json.dumps(info, allow_nan=False)


def test_a_classifier_answers_with_probabilities_and_no_file(predictor, tmp_path):
    model = HepaticInferTask(CLASSIFIER, predictor, results=tmp_path)
    file, told = model({"image": str(write_ct(tmp_path / "bright.nrrd", level=300))})
    assert file is None
    assert (model.info()["type"], told["result"]) == ("classification", "bright")
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    assert told["label_names"] == {"dark": 1, "bright": 2}
    json.dumps(told, allow_nan=False)


def test_a_suffix_that_is_none_is_refused_before_the_model_runs(predictor, tmp_path, ct):
    with pytest.raises(BadInputError, match="result_extension"):
        ask(predictor, tmp_path, ct, result_extension=".vtk")
    with pytest.raises(BadInputError, match="result_extension"):
        ask(predictor, tmp_path, ct, as_segmentation=True, result_extension=".json")


def test_a_box_fills_the_voxels_whose_centres_it_holds_one_at_least_and_none_outside():
    grid = Grid((6, 5, 4), np.eye(4))
    boxes = np.array([[0.6, 0.6, 0.6, 2.4, 2.4, 2.4], [4.1, 3.1, 3.1, 4.2, 3.2, 3.2], [50, 50, 50, 60, 60, 60]])
    array = filled(boxes, grid)
    assert np.argwhere(array).tolist() == [[k, j, i] for k in (1, 2) for j in (1, 2) for i in (1, 2)] + [[3, 3, 4]]
    edge = filled(np.array([[-9, -9, -9, 0.2, 0.2, 0.2]]), grid)
    assert np.argwhere(edge).tolist() == [[0, 0, 0]]
