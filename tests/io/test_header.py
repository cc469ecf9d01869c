"""An index learns what an image is without its pixels."""

import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatic.errors import NotFoundError
from hepatic.io.header import ImageHeader, header
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.refusal import NotAnImageError

CORPUS = Path(pydicom.__file__).parent / "data" / "test_files"


def test_a_run_says_whose_it_is(make_dicom) -> None:
    elements = {"SeriesDescription": " DSA right hepatic ", "StudyDate": "20260102", "SOPInstanceUID": "1.2.9"}
    path = make_dicom(np.zeros((3, 5, 7), np.uint8), SeriesInstanceUID="1.2.8", **elements)
    assert header(path) == ImageHeader(
        "cine", "XA", (7, 5, 3), ("1.2.9",), "P1", "1.2.3", "1.2.8", "DSA right hepatic", "20260102"
    )
    assert header(path).frames == 3


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_file_that_is_not_dicom_belongs_to_nobody(tmp_path: Path, oblique, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_labelmap(path, Labelmap(np.zeros(oblique.shape, np.uint8), oblique))
    assert header(path) == ImageHeader("volume", "OT", (7, 5, 4))


NOT_IMAGES = ["reportsi.dcm", "test-SR.dcm", "liver_1frame.dcm", "rtplan.dcm", "rtstruct.dcm", "rtdose.dcm",
              "waveform_ecg.dcm", "dicomdirtests/DICOMDIR", "rtplan.dump"]  # fmt: skip


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_what_never_was_an_image_can_be_skipped(name: str) -> None:
    with pytest.raises(NotAnImageError):
        header(CORPUS / name)


def test_pixels_are_not_read(make_dicom) -> None:
    path = make_dicom(np.zeros((30, 500, 500), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 10])
    assert header(path).size == (500, 500, 30)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        header(tmp_path / "none.dcm")


def test_a_header_takes_milliseconds(make_dicom) -> None:
    path = make_dicom(np.zeros((30, 500, 500), np.uint8))
    header(path)
    started = time.perf_counter()
    for _ in range(10):
        header(path)
    assert (time.perf_counter() - started) / 10 < 0.05
