"""Pieces of DeepLesion with liver lesions become images with boxes."""

import csv

import numpy as np
import pytest
from PIL import Image

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.io.markups import read_rois
from hepatic.io.read import read

COLUMNS = (
    "File_name", "Patient_index", "Study_index", "Series_ID", "Key_slice_index", "Measurement_coordinates",
    "Bounding_boxes", "Lesion_diameters_Pixel_", "Normalized_lesion_location", "Coarse_lesion_type", "Possibly_noisy",
    "Slice_range", "Spacing_mm_px_", "Image_size", "DICOM_windows", "Patient_gender", "Patient_age", "Train_Val_Test",
)  # fmt: skip


def row(name="000007_02_01_105.png", *, key=105, slices="103, 107", kind=4, noisy=0, **more):
    values = dict.fromkeys(COLUMNS, "0") | {
        "File_name": name, "Key_slice_index": key, "Coarse_lesion_type": kind, "Possibly_noisy": noisy,
        # long diameter 8 pixels along x, short one 4 along y, centre (13, 9) counted from 1
        "Measurement_coordinates": "9, 9, 17, 9, 13, 7, 13, 11", "Slice_range": slices,
        "Spacing_mm_px_": "0.5, 0.5, 1 ", "Image_size": "32, 24",
    }  # fmt: skip
    return values | more


@pytest.fixture
def deeplesion(tmp_path):
    root = tmp_path / "DeepLesion"

    def write(*rows):
        root.mkdir(exist_ok=True)
        with (root / "DL_info.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        for one in rows:
            folder = root / "Images_png" / one["File_name"].rpartition("_")[0]
            folder.mkdir(parents=True, exist_ok=True)
            first, last = (int(value) for value in one["Slice_range"].split(","))
            for number in range(first, last + 1):
                pixels = np.full((24, 32), 32768 + number, np.uint16)
                pixels[0, 0] = 0
                Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        return root

    return write


def test_slices_become_a_volume_in_hu_from_foot_to_head(deeplesion, bring, store):
    (name,) = bring("deeplesion", deeplesion(row()))
    assert name == "deeplesion-000007_02_01-103-107"
    volume = read(store.source(name))
    assert volume.grid.size == (32, 24, 5)
    assert volume.grid.spacing == pytest.approx((0.5, 0.5, 1.0))
    assert [int(plane[5, 5]) for plane in volume.array] == [107, 106, 105, 104, 103]
    assert volume.array[0, 0, 0] == -1024
    assert np.linalg.det(volume.grid.direction) == pytest.approx(1)
    image = store.images.get(name)
    assert (image.patient_id, image.modality) == ("DeepLesion-000007", "CT")


def test_two_diameters_become_a_box_as_deep_as_the_short_one(deeplesion, bring, store):
    (outcome,) = bring("deeplesion", deeplesion(row())).values()
    assert (outcome.image, outcome.label, outcome.boxes) == ("added", "added", 1)
    (case,) = store.labelled_cases("final")
    (roi,) = read_rois(case.label)
    # slices: key slice 105 is index 2, short diameter 2 mm = 2 slices; rows 6.5 to 10.5; columns 8.5 to 16.5
    expected = from_voxels([[1.5, 6.5, 8.5, 3.5, 10.5, 16.5]], grid_of(case.source))[0]
    np.testing.assert_allclose(roi.box, expected, atol=1e-3)
    assert case.label_info["boxes_known"] == "positives_only"
    assert case.label.name.endswith(".mrk.json")


def test_a_lesion_measured_at_an_angle_gets_the_box_around_its_ellipse(deeplesion, bring, store):
    turned = row(Measurement_coordinates="10, 6, 16, 12, 15, 7, 11, 11")
    bring("deeplesion", deeplesion(turned))
    (case,) = store.labelled_cases("final")
    (roi,) = read_rois(case.label)
    width = roi.box[3] - roi.box[0]
    assert width == pytest.approx(0.5 * np.hypot(6, 4))


def test_only_liver_lesions_that_are_not_noisy_count(deeplesion, bring):
    rows = [row(), row(kind=5), row("000008_01_01_050.png", key=50, slices="49, 51", kind=-1), row(noisy=1)]
    outcomes = bring("deeplesion", deeplesion(*rows))
    assert {name: o.boxes for name, o in outcomes.items()} == {"deeplesion-000007_02_01-103-107": 1}


def test_slices_that_overlap_are_one_image_and_those_apart_are_two(deeplesion, bring, store):
    rows = [
        row(),
        row("000007_02_01_107.png", key=107, slices="106, 110"),
        row("000007_02_01_150.png", key=150, slices="149, 151"),
    ]
    outcomes = bring("deeplesion", deeplesion(*rows))
    assert {name: o.boxes for name, o in outcomes.items()} == {
        "deeplesion-000007_02_01-103-110": 2, "deeplesion-000007_02_01-149-151": 1,
    }  # fmt: skip
    assert len({store.images.get(name).study_uid for name in outcomes}) == 1


def test_a_missing_slice_leaves_the_piece_out_and_names_it(deeplesion, bring):
    root = deeplesion(row(), row("000008_01_01_050.png", key=50, slices="49, 51"))
    (root / "Images_png/000007_02_01/104.png").unlink()
    outcomes = bring("deeplesion", root)
    assert outcomes["deeplesion-000007_02_01-103-107"].image == "refused"
    assert "104.png" in outcomes["deeplesion-000007_02_01-103-107"].why
    assert outcomes["deeplesion-000008_01_01-049-051"].image == "added"


def test_pictures_of_another_kind_are_refused(deeplesion, bring):
    root = deeplesion(row())
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(root / "Images_png/000007_02_01/104.png")
    (outcome,) = bring("deeplesion", root).values()
    assert outcome.image == "refused"
    assert "16 bits" in outcome.why


@pytest.mark.parametrize(
    "broken",
    [
        {"File_name": "../../etc_01_02_105.png"}, {"Slice_range": "103"}, {"Spacing_mm_px_": "0, 0.5, 1"},
        {"Key_slice_index": "x"}, {"Measurement_coordinates": "1, 2"},
    ],
)  # fmt: skip
def test_a_broken_table_is_refused_with_its_line(deeplesion, bring, broken):
    root = deeplesion(row())
    with (root / "DL_info.csv").open("a", newline="") as stream:
        csv.DictWriter(stream, COLUMNS).writerow(row() | broken)
    with pytest.raises(BadInputError, match="line 3"):
        bring("deeplesion", root)


def test_a_second_import_of_deeplesion_adds_nothing(deeplesion, bring):
    root = deeplesion(row())
    bring("deeplesion", root)
    (outcome,) = bring("deeplesion", root).values()
    assert (outcome.image, outcome.label) == ("there", "there")
