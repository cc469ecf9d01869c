"""What is made of an image in any character set has its patient's name, and labels and readers in any script."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from hepatic.boxes import from_voxels
from hepatic.io.dicom_capture import capture
from hepatic.io.dicom_image_report import SLICES, Statement, image_reports
from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_seg import boxes_seg, labels_seg
from hepatic.io.dicom_seg_read import read_seg_header
from hepatic.io.dicom_segment import Segment
from hepatic.io.dicom_source import DicomSource
from hepatic.io.image import Labelmap
from hepatic.io.markups import ROI
from tests.dicom_validator import complaints
from tests.importers.dicom_files import write_ct
from tests.runs import write_run

PATIENTS = {
    "none": (None, "Grünwald^Jörg"),
    "Greek": ("ISO_IR 126", "Παπαδόπουλος^Νίκος"),
    "Cyrillic": ("ISO_IR 144", "Иванов^Иван"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
}
LABEL, READER = "Läsion 腫瘍", "Müller 山田"


@pytest.fixture(params=PATIENTS)
def patient(request):
    return PATIENTS[request.param]


@pytest.fixture
def ct(tmp_path, patient):
    return DicomSource.read([named(file, *patient) for file in write_ct(tmp_path / "ct", shape=(3, 12, 16))])


@pytest.fixture
def run(tmp_path, patient):
    return DicomSource.read(named(write_run(tmp_path / "run.dcm", frames=3), *patient))


def named(file, character_set, name):
    """Rewrite a file as that of a patient, whose name its study has, too, and a code in it."""
    image = pydicom.dcmread(file)
    if character_set is None:
        image.pop("SpecificCharacterSet", None)
    else:
        image.SpecificCharacterSet = character_set
    plain = name.split("=")[-1].replace("^", " ")
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99HEPATIC", plain
    image.PatientName, image.StudyDescription, image.ProcedureCodeSequence = name, plain, [code]
    image.SeriesNumber = 12345678
    image.save_as(file)
    file.write_bytes(file.read_bytes().replace(b"12345678", b"nonsense"))  # which nobody asks for
    return file


def labels_of(source):
    array = np.zeros(source.grid.shape, np.uint8)
    array[1, 2:5, 3:9] = 7
    return labels_seg(Labelmap(array, source.grid, {}), source, names={LABEL: 7}, algorithm=None, by=READER)


def said_of(source, name):
    box = tuple(from_voxels([[1, 2, 3, 2, 5, 9]], source.grid)[0].tolist())
    return image_reports(Statement(boxes=[ROI(box, LABEL)], classes={"diagnosis": LABEL}, by=READER), source)[name]


def saved(made, patient, tmp_path, tool):
    """Write an object; check that it is sound and of the patient; return its file, and what it says."""
    file = tmp_path / "made.dcm"
    made.save_as(file, enforce_file_format=True)
    assert complaints(tool, file) == []
    found, name = pydicom.dcmread(file), patient[1]
    plain = name.split("=")[-1].replace("^", " ")
    assert found.PatientName == name
    if "StudyDescription" in found:  # a capture has none
        assert (found.StudyDescription, found.ProcedureCodeSequence[0].CodeMeaning) == (plain, plain)
    return file, found


@pytest.mark.parametrize("kind", ["ct", "run"])
def test_labels(request, tmp_path, patient, tool, kind):
    file, _ = saved(labels_of(request.getfixturevalue(kind)), patient, tmp_path, tool)
    header = read_seg_header(file)
    assert (dict(header.segments), header.creator) == ({1: LABEL}, READER)


def test_boxes(tmp_path, ct, patient, tool):
    box = from_voxels([[1, 2, 3, 2, 5, 9]], ct.grid)
    file, _ = saved(boxes_seg(ct, box, [Segment(name=LABEL)], description=LABEL), patient, tmp_path, tool)
    assert dict(read_seg_header(file).segments) == {1: LABEL}


@pytest.mark.parametrize(("kind", "name"), [("ct", ""), ("ct", SLICES), ("run", "")])
def test_reports(request, tmp_path, patient, tool, kind, name):
    source = request.getfixturevalue(kind)
    file, _ = saved(said_of(source, name), patient, tmp_path, tool)
    found = read_report(file, source)
    assert (found.by, dict(found.classes)) == (READER, {"diagnosis": LABEL.replace(" ", "_")})


def test_captures(tmp_path, run, patient, tool):
    picture = np.zeros((8, 8, 3), np.uint8)
    _, found = saved(capture(picture, run.datasets[0], description=LABEL, about=READER), patient, tmp_path, tool)
    assert (found.SeriesDescription, found.DerivationDescription) == (LABEL, READER)


def test_the_headers_of_the_source_stay_what_they_are(tmp_path):
    image = pydicom.dcmread(named(write_run(tmp_path / "run.dcm", frames=2), *PATIENTS["Cyrillic"]))
    made = capture(np.zeros((8, 8), np.uint8), image, description="Heat map", about="Where it looked")
    assert (made.SpecificCharacterSet, made.PatientName) == ("ISO_IR 192", PATIENTS["Cyrillic"][1])
    assert (image.SpecificCharacterSet, image.PatientName) == PATIENTS["Cyrillic"]
