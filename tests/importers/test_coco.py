"""COCO files become boxes on volumes, and what hepatic exports comes back as it was."""

import json

import numpy as np
import pytest

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.export.coco import write_coco
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy
from hepatic.harvest.study import Phase
from hepatic.io.grid import grid_of
from hepatic.io.markups import read_rois
from tests.importers.conftest import scan, write_nifti
from tests.importers.dicom_files import write_ct


@pytest.fixture
def coco(tmp_path):
    root = tmp_path / "set"

    def write(annotations, *, images=None, **more):
        write_nifti(root / "volumes" / "a.nii.gz", scan())
        slices = [{"id": k, "file_name": "volumes/a.nii.gz", "slice": k, "patient_id": "P9"} for k in range(8)]
        content = {
            "images": slices if images is None else images,
            "categories": [{"id": 1, "name": "lesion"}, {"id": 2, "name": "liver"}],
            "annotations": annotations,
        }  # fmt: skip
        (root / "boxes.json").write_text(json.dumps({**content, **more}))
        return root

    return write


def boxes_of(store, image_id):
    return np.array([roi.box for roi in read_rois(store.labels.path(store.labels.latest(image_id, "final")))])


def test_boxes_of_one_track_on_several_slices_are_one_lesion(coco, bring, store):
    notes = [
        {"id": 1, "image_id": 2, "category_id": 1, "bbox": [3, 2, 4, 5], "track_id": 7},
        {"id": 2, "image_id": 3, "category_id": 1, "bbox": [4, 2, 5, 5], "track_id": 7},
        {"id": 3, "image_id": 6, "category_id": 1, "bbox": [10, 8, 2, 2]},
        {"id": 4, "image_id": 6, "category_id": 2, "bbox": [0, 0, 16, 12]},
    ]
    (outcome,) = bring("coco", coco(notes)).values()
    assert (outcome.image, outcome.boxes) == ("added", 2)
    (image_id,) = store.images.ids()
    assert store.images.get(image_id).patient_id == "P9"
    expected = from_voxels([[2, 2, 3, 4, 7, 9], [6, 8, 10, 7, 10, 12]], grid_of(store.source(image_id)))
    np.testing.assert_allclose(boxes_of(store, image_id), expected, atol=1e-3)


def test_a_licence_named_in_the_file_is_kept(coco, bring, store):
    images = [{"id": 1, "file_name": "volumes/a.nii.gz", "slice": 0, "license": 3}]
    bring("coco", coco([], images=images, licenses=[{"id": 3, "name": "CC BY 4.0"}]))
    assert store.images.get(store.images.ids()[0]).info["facts"] == {"licence": "CC BY 4.0"}


def test_a_slice_that_is_not_there_is_said(coco, bring):
    images = [{"id": 1, "file_name": "volumes/a.nii.gz"}]
    notes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    (outcome,) = bring("coco", coco(notes, images=images)).values()
    assert (outcome.image, outcome.label) == ("added", "refused")
    assert "slice from 0 to 7" in outcome.why


@pytest.mark.parametrize("box", [None, [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, float("nan")], [1, 2, 0, 3]])
def test_a_box_that_is_none_is_refused(coco, bring, box):
    (outcome,) = bring("coco", coco([{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}])).values()
    assert outcome.label == "refused"


@pytest.mark.parametrize("name", ["../secret.nii.gz", "/etc/passwd", "a\0b", "volumes/../../secret.nii.gz"])
def test_nothing_outside_the_folder_is_brought(coco, bring, store, name, tmp_path):
    write_nifti(tmp_path / "secret.nii.gz", scan())
    (outcome,) = bring("coco", coco([], images=[{"id": 1, "file_name": name, "slice": 0}])).values()
    assert outcome.image == "refused"
    assert store.images.ids() == []


def test_pictures_are_no_volumes(coco, bring, tmp_path):
    root = coco([], images=[{"id": 1, "file_name": "cat.png", "slice": 0}])
    (root / "cat.png").write_bytes(b"x")
    (outcome,) = bring("coco", root).values()
    assert outcome.image == "refused"
    assert "volume" in outcome.why


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"images": [{}], "categories": []}', '{"images": [], "categories": []}',
        '{"images": [{"id": 1, "file_name": 7}], "categories": []}',
        '{"images": [{"id": [1], "file_name": "a"}], "categories": []}',
        '{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": {}, "name": null}]}',
        '{"images": [{"id": 1, "file_name": "a", "license": []}], "categories": [{"id": 1}]}',
    ],
)  # fmt: skip
def test_a_file_that_is_not_coco_is_refused(coco, bring, text):
    root = coco([])
    (root / "boxes.json").write_text(text)
    with pytest.raises(BadInputError, match=r"boxes\.json|set"):
        bring("coco", root)


def test_what_was_exported_comes_back_on_the_images_that_are_there(tmp_path, bring, store):
    series = store.add_series(write_ct(tmp_path / "ct"))
    grid: Grid = grid_of(store.source(series))
    boxes = from_voxels([[1.2, 2, 3, 3.7, 5, 8], [5, 6, 9, 6, 9, 12], [0, 0, 0, 1, 1, 1]], grid).tolist()
    candidates = tuple(
        ReviewedCandidate(f"2.25.{n}", tuple(box), 2, verdict=verdict, state=verdict)
        for n, (box, verdict) in enumerate(zip(boxes, ("true", "true", "false"), strict=True))
    )
    study = ReviewedStudy("1.2", "P7", Phase.VENOUS, {Phase.VENOUS: series}, grid, candidates, complete=True)
    (tmp_path / "export.json").write_bytes(write_coco([study]))
    (outcome,) = bring("coco", tmp_path / "export.json").values()
    assert (outcome.image, outcome.label, outcome.boxes) == ("there", "added", 2)
    np.testing.assert_allclose(boxes_of(store, series), boxes[:2], atol=1e-3)
    assert store.labels.latest(series, "final").info["boxes_known"] == "complete"


def test_an_image_that_is_nowhere_is_named(coco, bring):
    (outcome,) = bring("coco", coco([], images=[{"id": 1, "file_name": "1.2.840.5", "slice": 0}])).values()
    assert outcome.image == "refused"
    assert "1.2.840.5" in outcome.why


def test_another_image_of_the_same_name_is_not_taken_for_the_one_that_is_there(coco, bring, store):
    root = coco([])
    assert [one.image for one in bring("coco", root).values()] == ["added"]
    assert [one.image for one in bring("coco", root).values()] == ["there"]
    write_nifti(root / "volumes" / "a.nii.gz", scan(7))
    (outcome,) = bring("coco", root).values()
    assert (outcome.image, outcome.label) == ("refused", "none")
    assert "another image of the same name" in outcome.why


@pytest.mark.parametrize(("said", "modality"), [({"modality": "CT"}, "CT"), ({"modality": "MR"}, "MR"), ({}, "OT")])
def test_the_modality_is_what_the_file_says(coco, bring, store, said, modality):
    bring("coco", coco([], info=said))
    assert [image.modality for image in store.images.all()] == [modality]
