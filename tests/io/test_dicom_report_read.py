"""Reports of somebody else, read for one image."""

import pydicom
import pytest
from pydicom.uid import generate_uid

from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_source import DicomSource
from tests.importers.dicom_files import write_ct


@pytest.fixture
def phases(tmp_path):
    """Two series of one study."""
    for name in ("arterial", "venous"):
        uid = generate_uid()
        for file in write_ct(tmp_path / name, patient="P7", study="1.2.7"):
            ds = pydicom.dcmread(file)
            ds.SeriesInstanceUID, ds.SOPInstanceUID = uid, generate_uid()
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.save_as(file)
    return DicomSource.read(tmp_path / "arterial"), DicomSource.read(tmp_path / "venous")


def evidence(report):
    return report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence


def test_what_is_said_of_one_of_several_images_is_not_taken_for_another(phases, tmp_path):
    arterial, venous = phases
    report = image_reports(Statement(classes={"phase": "venous"}, by="Dr C"), venous)[""]
    report.save_as(tmp_path / "one.dcm")
    assert read_report(tmp_path / "one.dcm", venous).classes == {"phase": "venous"}
    other = image_reports(Statement(classes={"phase": "arterial"}, by="Dr C"), arterial)[""]
    evidence(report).insert(0, evidence(other)[0])
    report.save_as(tmp_path / "both.dcm")
    assert read_report(tmp_path / "both.dcm", arterial).classes == {}
