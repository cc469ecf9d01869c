"""Accepted boxes can be trained on by whoever reads COCO."""

import json

import numpy as np
import pytest

from hepatic.boxes import from_voxels
from hepatic.harvest.export.coco import write_coco


@pytest.fixture
def coco(study):
    return json.loads(write_coco([study]))


def test_accepted_boxes_are_annotations_and_open_or_rejected_ones_are_not(coco):
    assert [note["tracking_uid"] for note in coco["annotations"]] == ["2.25.1", "2.25.4"]
    assert [note["tracking_uid"] for note in coco["rejected"]] == ["2.25.2"]


def test_ids_refer_to_each_other(coco):
    images = {image["id"]: image for image in coco["images"]}
    assert len(images) == len(coco["images"]) == 3
    first = coco["annotations"][0]
    assert images[first["image_id"]]["slice"] == 2
    assert images[first["image_id"]]["file_name"] == "1.2.4"
    assert {first["category_id"]} == {category["id"] for category in coco["categories"]}


def test_a_box_is_in_pixels_on_its_key_slice_and_whole_beside_it(coco, study):
    first = coco["annotations"][0]
    assert first["bbox"] == [20, 15.5, 10, 10]
    assert first["area"] == 100
    np.testing.assert_allclose(from_voxels([first["box_voxels"]], study.grid), [first["box_lps_mm"]], atol=1e-3)


def test_it_says_whose_study_it_is_and_whether_all_lesions_are_in_it(coco):
    told = {"study_uid": "1.2", "patient_id": "P7", "reference_image": "1.2.4", "complete": True}
    assert [told.items() <= one.items() for one in coco["studies"]] == [True]


def test_it_tells_of_which_grid_its_pixels_are_so_that_they_lead_back_to_the_patient(coco):
    (study,), first = coco["studies"], coco["annotations"][0]
    x, y, width, height = first["bbox"]
    corners = np.array([[x, y, 0, 0.5], [x + width, y + height, 0, 0.5]]) * [1, 1, 1, 2] - [0.5, 0.5, 0, 0]
    placed = (corners @ np.array(study["affine"]).T)[:, :2]
    np.testing.assert_allclose(placed, np.reshape(first["box_lps_mm"], (2, 3))[:, :2], atol=1e-3)
    assert [study["size"][:2]] == [[image["width"], image["height"]] for image in coco["images"][:1]]
    assert "upright" in coco["info"]["pixels"]
