"""Slices in files become a volume."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatic.errors import BadInputError
from hepatic.io.header import header
from hepatic.io.image import Volume
from hepatic.io.read import read

CT = "1.2.840.10008.5.1.4.1.1.2"
TILTED = [0.0, 0.8, -0.6, 0.8, 0.36, 0.48]


@pytest.fixture
def make_series(make_dicom):
    """Five slices of 4 x 6, five millimetres apart; slice k holds k + HU -100. Changes per slice by ``edit``."""

    def make(orientation=(1, 0, 0, 0, 1, 0), edit=lambda k: {}, positions=(0, 5, 10, 15, 20)) -> list[Path]:
        row, column = np.array(orientation, float).reshape(2, 3)
        files = []
        for k, along in enumerate(positions):
            elements = {
                "PixelSpacing": [0.7, 0.8],
                "ImageOrientationPatient": list(orientation),
                "ImagePositionPatient": [
                    round(float(x), 5) for x in np.array([1, 2, 3]) + along * np.cross(row, column)
                ],
                "RescaleIntercept": -100,
                "RescaleSlope": 1,
            } | edit(k)
            pixels = np.full((1, 4, 6), k, np.int16)
            files.append(make_dicom(pixels, f"ct/{(k * 3) % 5}.dcm", sop_class=CT, modality="CT", **elements))
        return files

    return make


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0), tuple(TILTED)])
def test_a_folder_is_read_in_the_order_of_positions_on_itks_grid(make_series, itk_grid_of, orientation) -> None:
    files = make_series(orientation)
    volume = read(files[0].parent)
    assert isinstance(volume, Volume)
    assert volume.array[:, 0, 0].tolist() == [-100, -99, -98, -97, -96]
    assert volume.grid.size == (6, 4, 5)
    assert volume.grid.matches(itk_grid_of(files))


def test_files_in_reverse_order_give_the_same_volume(make_series) -> None:
    files = make_series()
    forth, back = read(files), read(files[::-1])
    np.testing.assert_array_equal(forth.array, back.array)
    assert forth.grid.matches(back.grid)


def test_each_slice_is_rescaled_by_its_own_slope(make_series) -> None:
    volume = read(make_series(edit=lambda k: {"RescaleSlope": k + 1, "RescaleIntercept": 0}))
    assert volume.array[:, 0, 0].tolist() == [0, 2, 6, 12, 20]


def test_other_objects_in_the_folder_are_left_out(make_series) -> None:
    folder = make_series()[0].parent
    corpus = Path(pydicom.__file__).parent / "data" / "test_files"
    shutil.copy(corpus / "reportsi.dcm", folder)
    shutil.copy(corpus / "dicomdirtests" / "DICOMDIR", folder)
    (folder / "notes.txt").write_text("not an image")
    assert read(folder).grid.size == (6, 4, 5)
    assert header(folder).size == (6, 4, 5)
    assert len(header(folder).sop_instance_uids) == 5


REFUSALS = {
    "a slice is missing": ({"positions": (0, 5, 15, 20, 25)}, "a slice is missing"),
    "two slices in one place": ({"positions": (0, 5, 5, 10, 15)}, "same place"),
    "unequal steps": ({"positions": (0, 5, 11, 16, 21)}, "equal steps"),
    "two series": ({"edit": lambda k: {"SeriesInstanceUID": f"1.2.{k // 3 + 1}"}}, "several SeriesInstanceUIDs"),
    "another spacing": ({"edit": lambda k: {"PixelSpacing": [0.7 + (k == 2), 0.8]}}, "one size and spacing"),
    "a localiser": (
        {"edit": lambda k: {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]} if k == 4 else {}},
        "parallel slices",
    ),
    "no position": ({"edit": lambda k: {"ImagePositionPatient": None}}, "ImagePositionPatient"),
    "gantry tilt": ({"edit": lambda k: {"ImagePositionPatient": [0, k * 1.0, k * 5.0]}}, "gantry tilt"),
}


@pytest.mark.parametrize(("changes", "word"), REFUSALS.values(), ids=REFUSALS)
def test_what_makes_no_regular_grid_is_refused(make_series, changes: dict, word: str) -> None:
    with pytest.raises(BadInputError, match=word):
        read(make_series(**changes))


def test_positions_written_with_few_digits_are_equal_steps(make_series) -> None:
    assert read(make_series(positions=(0, 1.67, 3.33, 5.0, 6.67))).grid.spacing[2] == pytest.approx(6.67 / 4)


def test_the_limit_counts_all_slices(make_series) -> None:
    with pytest.raises(BadInputError, match="at most 100 pixels"):
        read(make_series(), max_pixels=100)


def test_several_runs_are_not_a_series(make_dicom) -> None:
    runs = [make_dicom(np.zeros((2, 3, 4), np.uint8), name) for name in ("a.dcm", "b.dcm")]
    with pytest.raises(BadInputError, match="one at a time"):
        read(runs)


def test_an_empty_folder_holds_no_image(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no image"):
        read(tmp_path)
    with pytest.raises(BadInputError):
        read([])
