"""Drawn pictures as secondary captures: sound, and true to the pixel."""

from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest

from hepatic.io.dicom_capture import capture
from tests.dicom_validator import complaints
from tests.importers.dicom_files import write_ct

ULTRASOUND = Path(pydicom.data.__file__).parent / "test_files" / "examples_ybr_color.dcm"


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30)])
@pytest.mark.parametrize("of", ["ct", "ultrasound"])
def test_a_picture_comes_back_pixel_for_pixel(tmp_path, tool, shape, of):
    source = write_ct(tmp_path / "ct")[0] if of == "ct" else ULTRASOUND
    image = pydicom.dcmread(source, stop_before_pixels=True)
    image.BurnedInAnnotation = "YES"
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "sc.dcm"
    capture(picture, image, description="Heat map", about="Where it looked").save_as(path, enforce_file_format=True)
    found = pydicom.dcmread(path)
    assert np.array_equal(found.pixel_array, picture)
    assert (found.StudyInstanceUID, found.PatientID) == (image.StudyInstanceUID, image.PatientID)
    assert found.BurnedInAnnotation == "YES"
    assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert [line for line in complaints(tool, path) if "<PLA>" not in line] == []  # the patient's name in that file
