"""A NIfTI file cannot say whose it is; the file beside it can."""

import json

import nibabel
import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.io.header import header
from hepatic.io.sidecar import Sidecar, read_sidecar, sidecar_path, write_sidecar


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.v1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 3, 2), np.int16), np.eye(4)), path)
    return path


def test_what_is_said_beside_an_image_is_part_of_its_header(scan):
    write_sidecar(scan, Sidecar("P1", "2.25.7", "arterial", "CT"))
    found = header(scan)
    assert (found.patient_id, found.study_uid, found.series_description, found.modality) == (
        "P1", "2.25.7", "arterial", "CT",
    )  # fmt: skip
    assert found.series_uid is None
    assert found.size == (4, 3, 2)


def test_an_image_without_a_sidecar_says_nothing(scan):
    assert read_sidecar(scan) == Sidecar()
    assert header(scan).patient_id is None
    assert header(scan).modality == "OT"


def test_a_sidecar_of_dcm2niix_is_one_and_a_list_is_none(scan):
    assert sidecar_path(scan).name == "scan.v1.json"
    sidecar_path(scan).write_text(json.dumps({"PatientID": "P2", "Modality": "PT", "EchoTime": 0.1}))
    assert read_sidecar(scan) == Sidecar("P2")
    sidecar_path(scan).write_text("[1, 2]")
    assert read_sidecar(scan) == Sidecar()


@pytest.mark.parametrize("text", ['{"PatientID": "P', '{"PatientID": 7}', "{" + " " * (1 << 20) + "}"])
def test_a_broken_sidecar_is_refused_rather_than_overlooked(scan, text):
    sidecar_path(scan).write_text(text)
    with pytest.raises(BadInputError, match=r"scan\.v1\.json"):
        header(scan)
