"""A cine's time, scale and mask."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from hepatic.io.read import read

RUN = np.zeros((4, 50, 70), np.uint8)
US_CINE = "1.2.840.10008.5.1.4.1.1.3.1"


def region(**changes: object) -> Dataset:
    dataset = Dataset()
    elements = {
        "RegionSpatialFormat": 1, "RegionDataType": 1, "RegionFlags": 0,
        "RegionLocationMinX0": 5, "RegionLocationMinY0": 5, "RegionLocationMaxX1": 69, "RegionLocationMaxY1": 49,
        "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": 0.04, "PhysicalDeltaY": 0.05,
    }  # fmt: skip
    for keyword, value in (elements | changes).items():
        setattr(dataset, keyword, value)
    return dataset


def ultrasound(make_dicom, *regions: Dataset):
    return read(make_dicom(RUN, sop_class=US_CINE, modality="US", SequenceOfUltrasoundRegions=list(regions)))


def test_frame_time_spaces_the_frames_evenly(make_dicom) -> None:
    run = read(make_dicom(RUN, FrameTime=500, FrameIncrementPointer=0x00181063))
    assert run.frame_times_ms.tolist() == [0, 500, 1000, 1500]


@pytest.mark.parametrize("first", [0, 333])
def test_a_frame_time_vector_holds_increments_whatever_its_first(make_dicom, first: int) -> None:
    run = read(make_dicom(RUN, FrameTimeVector=[first, 250, 250, 1000], FrameIncrementPointer=0x00181065))
    assert run.frame_times_ms.tolist() == [0, 250, 500, 1500]


def test_the_pointer_decides_between_the_two(make_dicom) -> None:
    both = {"FrameTime": 100, "FrameTimeVector": [0, 1, 1, 1]}
    by_time = read(make_dicom(RUN, **both, FrameIncrementPointer=0x00181063))
    by_vector = read(make_dicom(RUN, **both, FrameIncrementPointer=0x00181065))
    assert by_time.frame_times_ms[-1] == 300
    assert by_vector.frame_times_ms[-1] == 3


@pytest.mark.parametrize("vector", [[0, 1], [0, -5, 5, 5], [0, 0, 0, 0]])
def test_a_senseless_vector_says_nothing(make_dicom, vector: list[float]) -> None:
    assert read(make_dicom(RUN, FrameTimeVector=vector)).frame_times_ms is None


def test_a_playback_rate_is_not_a_time(make_dicom) -> None:
    assert read(make_dicom(RUN, CineRate=15, RecommendedDisplayFrameRate=15)).frame_times_ms is None


def test_a_single_frame_is_at_time_zero(make_dicom) -> None:
    assert read(make_dicom(RUN[:1])).frame_times_ms.tolist() == [0]


def test_xa_is_calibrated_by_pixel_spacing(make_dicom) -> None:
    assert read(make_dicom(RUN, PixelSpacing=[0.2, 0.25], ImagerPixelSpacing=[0.3, 0.4])).pixel_spacing_mm == (
        0.2,
        0.25,
    )


def test_the_detectors_spacing_is_no_calibration(make_dicom) -> None:
    assert read(make_dicom(RUN, ImagerPixelSpacing=[0.3, 0.4])).pixel_spacing_mm is None


def test_the_detectors_spacing_repeated_is_no_calibration_either(make_dicom) -> None:
    same = {"PixelSpacing": [0.3, 0.3], "ImagerPixelSpacing": [0.3, 0.3]}
    assert read(make_dicom(RUN, **same)).pixel_spacing_mm is None
    assert read(make_dicom(RUN, **same, PixelSpacingCalibrationType="FIDUCIAL")).pixel_spacing_mm == (0.3, 0.3)


def test_ultrasound_is_calibrated_by_its_region_in_centimetres(make_dicom) -> None:
    assert ultrasound(make_dicom, region()).pixel_spacing_mm == pytest.approx((0.5, 0.4))


def test_two_regions_that_agree_are_one_scale(make_dicom) -> None:
    doppler = region(RegionSpatialFormat=3, PhysicalUnitsXDirection=4, PhysicalUnitsYDirection=7)
    assert ultrasound(make_dicom, region(), region(), doppler).pixel_spacing_mm == pytest.approx((0.5, 0.4))


@pytest.mark.parametrize(
    "other",
    [
        region(PhysicalDeltaX=0.08),
        region(RegionLocationMaxX1=595),
        region(PhysicalDeltaY=0.0),
    ],
    ids=["another scale", "wider than the image", "no scale"],
)
def test_a_doubtful_region_leaves_the_picture_uncalibrated(make_dicom, other: Dataset) -> None:
    assert ultrasound(make_dicom, region(), other).pixel_spacing_mm is None


def test_a_region_in_seconds_is_no_length(make_dicom) -> None:
    assert ultrasound(make_dicom, region(PhysicalUnitsXDirection=4)).pixel_spacing_mm is None


def test_the_stale_region_of_a_real_cine_is_not_believed() -> None:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "examples_ybr_color.dcm"
    run = read(path)
    assert run.frames.shape == (30, 240, 320, 3)
    assert run.pixel_spacing_mm is None
    assert run.frame_times_ms[1] == pytest.approx(33.333)


def mask(**changes: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in ({"MaskOperation": "AVG_SUB", "MaskFrameNumbers": [1, 2]} | changes).items():
        setattr(dataset, keyword, value)
    return dataset


def test_mask_frames_count_from_zero(make_dicom) -> None:
    run = read(make_dicom(RUN, RecommendedViewingMode="SUB", MaskSubtractionSequence=[mask()]))
    assert run.mask_frames == (0, 1)


@pytest.mark.parametrize(
    ("mode", "item"),
    [("NAT", mask()), ("SUB", mask(MaskOperation="TID")), ("SUB", mask(MaskFrameNumbers=[5]))],
    ids=["not to be subtracted", "another operation", "a frame that is not there"],
)
def test_there_is_no_mask_otherwise(make_dicom, mode: str, item: Dataset) -> None:
    assert read(make_dicom(RUN, RecommendedViewingMode=mode, MaskSubtractionSequence=[item])).mask_frames == ()
