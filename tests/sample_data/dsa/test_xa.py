import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sample_data import dsa
from sample_data.dsa.xa import Variant, xa_image

VARIANTS: tuple[Variant, ...] = ("subtracted", "unsubtracted")


def saved(ds: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_file_has_no_errors(
    run: dsa.DSARun, variant: Variant, calibrated: bool, tmp_path: Path, dicom_errors: Callable[[Path], list[str]]
) -> None:
    path = tmp_path / "run.dcm"
    path.write_bytes(saved(xa_image(run, variant, calibrated=calibrated)))
    assert dicom_errors(path) == []


def test_the_validator_would_see_an_error(
    run: dsa.DSARun, tmp_path: Path, dicom_errors: Callable[[Path], list[str]]
) -> None:
    ds = xa_image(run)
    del ds.PixelIntensityRelationship
    path = tmp_path / "broken.dcm"
    path.write_bytes(saved(ds))
    assert dicom_errors(path) != []


@pytest.mark.parametrize("variant", VARIANTS)
def test_pixels_come_back_as_they_were(run: dsa.DSARun, variant: Variant) -> None:
    ds = pydicom.dcmread(io.BytesIO(saved(xa_image(run, variant))))
    assert (ds.pixel_array == (run.frames if variant == "subtracted" else run.live)).all()
    assert ds.BitsStored == {"subtracted": 8, "unsubtracted": 12}[variant]


def test_the_unsubtracted_file_says_how_to_subtract_it(run: dsa.DSARun) -> None:
    ds = xa_image(run, "unsubtracted")
    (mask,) = ds.MaskSubtractionSequence
    assert (ds.RecommendedViewingMode, mask.MaskOperation) == ("SUB", "AVG_SUB")
    numbers = np.array(mask.MaskFrameNumbers) - 1
    live = ds.pixel_array.astype(np.float64)
    again = 150 + (live - live[numbers].mean(0)) / 2
    middle = np.s_[:, 60:-60, 60:-60]
    assert np.median(np.abs(np.clip(again, 0, 255)[middle] - run.frames[middle])) <= 0.5


def test_the_subtracted_file_is_shown_as_it_is(run: dsa.DSARun) -> None:
    ds = xa_image(run, "subtracted")
    assert (ds.RecommendedViewingMode, ds.MaskSubtractionSequence[0].MaskOperation) == ("NAT", "NONE")
    assert ds.ImageType == ["DERIVED", "PRIMARY", "SINGLE PLANE"]


def test_time_and_size_are_in_the_header(run: dsa.DSARun) -> None:
    ds = xa_image(run)
    assert ds.NumberOfFrames == len(run.frames)
    assert ds[ds.FrameIncrementPointer].value == pytest.approx(run.frame_time_ms)
    assert ds.PixelSpacing == [run.pixel_spacing_mm] * 2
    assert ds.ImagerPixelSpacing == [run.imager_spacing_mm] * 2
    magnification = float(ds.EstimatedRadiographicMagnificationFactor)
    assert ds.ImagerPixelSpacing[0] / ds.PixelSpacing[0] == pytest.approx(magnification, rel=1e-3)


def test_calibration_can_be_left_out(run: dsa.DSARun) -> None:
    ds = xa_image(run, calibrated=False)
    assert "PixelSpacing" not in ds
    assert "ImagerPixelSpacing" in ds


def test_the_same_run_gives_the_same_file(run: dsa.DSARun) -> None:
    assert saved(xa_image(run)) == saved(xa_image(run))


def test_the_variants_are_two_series_of_one_study(run: dsa.DSARun) -> None:
    one, other = (xa_image(run, variant) for variant in VARIANTS)
    assert one.StudyInstanceUID == other.StudyInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesNumber != other.SeriesNumber


def test_a_patient_is_named_for_the_seed_and_marked_as_a_phantom(run: dsa.DSARun) -> None:
    ds = xa_image(run)
    assert ds.PatientID == "DSA0001"
    assert ds.PatientName == "Phantom^DSA0001"
    assert "PHANTOM" in ds.DeidentificationMethod


def test_the_header_says_nothing_about_the_lesions(angiogram: dsa.Angiogram, run: dsa.DSARun) -> None:
    one, other = xa_image(run), xa_image(dsa.draw(angiogram, 5, confounder_a=False, confounder_b=False))
    different = {element.keyword for element in one if other[element.tag].value != element.value}
    assert different == {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PixelData"}
