"""A DICOM file lies where ITK puts it."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.read import read

PREFIX = "1.2.840.10008.5.1.4.1.1."
PIXELS = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)
TILTED = [0.0, 0.8, -0.6, 0.8, 0.36, 0.48]


def test_an_uncalibrated_xa_run_has_the_detectors_spacing_and_its_frame_time_on_k(
    make_dicom, itk_grid_of: Callable[[Path], Grid]
) -> None:
    path = make_dicom(PIXELS, ImagerPixelSpacing=[0.3, 0.4], FrameTime=500.0, FrameIncrementPointer=0x00181063)
    grid = read(path).grid
    assert grid.size == (7, 5, 3)
    assert grid.spacing == pytest.approx((0.4, 0.3, 500.0))
    assert grid.matches(itk_grid_of(path))


def test_calibration_does_not_move_an_xa_run(make_dicom, itk_grid_of) -> None:
    path = make_dicom(PIXELS, ImagerPixelSpacing=[0.3, 0.4], PixelSpacing=[0.2, 0.25])
    assert read(path).grid.spacing == pytest.approx((0.4, 0.3, 1.0))
    assert read(path).grid.matches(itk_grid_of(path))


def test_an_ultrasound_cine_lies_on_a_unit_grid(make_dicom, itk_grid_of) -> None:
    path = make_dicom(PIXELS, sop_class=PREFIX + "3.1", modality="US", FrameTime=33.3, FrameIncrementPointer=0x00181063)
    np.testing.assert_array_equal(read(path).grid.affine, np.eye(4))
    assert read(path).grid.matches(itk_grid_of(path))


def test_an_oblique_slice_keeps_its_axes_in_lps(make_dicom, itk_grid_of) -> None:
    elements = {"ImageOrientationPatient": TILTED, "ImagePositionPatient": [10, -20, 30], "PixelSpacing": [0.5, 0.7]}
    path = make_dicom(PIXELS[:1], sop_class=PREFIX + "2", modality="CT", **elements)
    grid = read(path).grid
    assert grid.origin == (10, -20, 30)
    np.testing.assert_allclose(grid.affine[:3, 0], 0.7 * np.array(TILTED[:3]), atol=1e-12)
    assert grid.matches(itk_grid_of(path))


def test_what_itk_cannot_use_becomes_one_millimetre(make_dicom) -> None:
    path = make_dicom(PIXELS, sop_class=PREFIX + "6.1", modality="US", PixelSpacing=[0, 0])
    assert read(path).grid.spacing == (1, 1, 1)


def test_an_enhanced_file_with_a_gap_is_refused(make_dicom) -> None:
    groups = _functional_groups(Random(0), 3)
    groups["PerFrameFunctionalGroupsSequence"][2].PlanePositionSequence[0].ImagePositionPatient = [9, 9, 9]
    with pytest.raises(BadInputError, match="equal steps"):
        read(make_dicom(PIXELS, sop_class=PREFIX + "2.1", modality="CT", **groups))


CLASSES = {
    "XA": ("12.1", "12.1.1", "12.3"),
    "RF": ("12.2",),
    "US": ("3", "3.1", "6", "6.1", "6.2"),
    "CT": ("2", "2.1"),
    "MR": ("4", "4.1"),
    "PT": ("128", "130"),
    "NM": ("20",),
    "OT": ("1", "1.1", "1.2", "7", "7.2", "7.3", "7.4", "13.1.1", "77.1.1", "77.1.4", "481.1"),
}


@pytest.mark.parametrize(("modality", "end"), [(m, end) for m, ends in CLASSES.items() for end in ends])
def test_whatever_the_header_says_the_grid_is_itks(make_dicom, itk_grid_of, modality: str, end: str) -> None:
    for seed in range(12):
        random = Random(seed)
        frames = random.choice([1, 3])
        elements = _elements(random, frames)
        if end in ("2.1", "4.1", "7.2", "7.4", "13.1.1", "130") and random.random() < 0.8:
            elements |= _functional_groups(random, frames)
        path = make_dicom(PIXELS[:frames], sop_class=PREFIX + end, modality=modality, **elements)
        assert read(path).grid.matches(itk_grid_of(path)), elements


def _elements(random: Random, frames: int) -> dict[str, Any]:
    choices: dict[str, list[Any]] = {
        "PixelSpacing": [[0.5, 0.6]],
        "ImagerPixelSpacing": [[0.3, 0.4]],
        "NominalScannedPixelSpacing": [[0.8, 0.9]],
        "SpacingBetweenSlices": [2.5, -2.5],
        "SliceThickness": [4],
        "ImagePositionPatient": [[1.5, -20, 30]],
        "ImageOrientationPatient": [TILTED, [1, 0, 0, 0, 1, 0], [2, 0, 0, 0, 2, 0], [1, 0, 0, 0, 0, 0]],
    }
    found = {keyword: random.choice(values) for keyword, values in choices.items() if random.random() < 0.5}
    if frames > 1 and random.random() < 0.5:
        found |= {"FrameTime": 33.3, "FrameIncrementPointer": 0x00181063}
    elif frames > 1:
        found |= {"FrameTimeVector": [0, 100, 150], "FrameIncrementPointer": 0x00181065}
    return found


def _functional_groups(random: Random, frames: int) -> dict[str, Any]:
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [0.7, 0.8]
    plane.ImageOrientationPatient = random.choice([TILTED, [1, 0, 0, 0, 1, 0]])
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    row, column = np.array(plane.ImageOrientationPatient, float).reshape(2, 3)
    step = random.choice([2.25, -2.25]) * np.cross(row, column)
    groups = []
    for k in range(frames):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [round(float(x), 4) for x in (3, 4, 5) + k * step]
        group.PlanePositionSequence = [position]
        groups.append(group)
    return {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": groups}
