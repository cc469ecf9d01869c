"""Reports of somebody else, read for one image."""

import pydicom
import pytest
from highdicom import sr
from pydicom.uid import SegmentationStorage, generate_uid

from hepatic.boxes import from_voxels
from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_report import Finding, own_code, report
from hepatic.io.dicom_report_read import read_report, read_report_header
from hepatic.io.dicom_source import DicomSource
from hepatic.io.markups import ROI
from tests.importers.dicom_files import write_ct
from tests.store.studies import write_xa_run


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
    assert [read_report(tmp_path / "both.dcm", phase).classes for phase in phases] == [{}, {"phase": "venous"}]
    assert set(read_report_header(tmp_path / "both.dcm").images) == {
        str(phase.datasets[0].SeriesInstanceUID) for phase in phases
    }
    without_images(report)
    report.save_as(tmp_path / "which.dcm")
    assert [read_report(tmp_path / "which.dcm", phase).classes for phase in phases] == [{}, {}]


def test_evidence_that_is_no_image_is_no_other_image(phases, tmp_path):
    arterial, venous = phases
    report = image_reports(Statement(classes={"phase": "venous"}, by="Dr C"), venous)[""]
    other = image_reports(Statement(classes={"phase": "arterial"}, by="Dr C"), arterial)[""]
    for one in evidence(other)[0].ReferencedSOPSequence:
        one.ReferencedSOPClassUID = SegmentationStorage
    evidence(report).append(evidence(other)[0])
    without_images(report)
    report.save_as(tmp_path / "beside a seg.dcm")
    assert read_report(tmp_path / "beside a seg.dcm", venous).classes == {"phase": "venous"}
    assert set(read_report_header(tmp_path / "beside a seg.dcm").images) == {str(venous.datasets[0].SeriesInstanceUID)}


def test_two_runs_of_one_series_are_two_images(tmp_path):
    series, study = generate_uid(), generate_uid()
    for name in ("one", "two"):
        write_xa_run(tmp_path / f"{name}.dcm", series=series, study=study)
    one, two = (DicomSource.read(tmp_path / f"{name}.dcm") for name in ("one", "two"))
    report = image_reports(Statement(classes={"phase": "late"}, by="Dr C"), one)[""]
    other = image_reports(Statement(classes={"phase": "early"}, by="Dr C"), two)[""]
    evidence(report)[0].ReferencedSOPSequence.extend(evidence(other)[0].ReferencedSOPSequence)
    report.save_as(tmp_path / "report.dcm")
    assert [read_report(tmp_path / "report.dcm", run).classes for run in (one, two)] == [{"phase": "late"}, {}]
    without_images(report)
    report.save_as(tmp_path / "which.dcm")
    assert [read_report(tmp_path / "which.dcm", run).classes for run in (one, two)] == [{}, {}]


def test_a_place_in_space_is_of_the_series_that_it_was_drawn_on(phases, tmp_path):
    arterial, venous = phases
    box = tuple(from_voxels([[2, 4, 5, 4, 8, 11]], venous.grid)[0].tolist())
    report = image_reports(Statement(boxes=[ROI(box, "lesion")], by="Dr C"), venous)[""]
    report.save_as(tmp_path / "report.dcm")
    assert venous.frame_of_reference_uid == arterial.frame_of_reference_uid
    assert [len(read_report(tmp_path / "report.dcm", phase).boxes) for phase in phases] == [0, 1]


def without_images(report):
    """Leave out which images the groups of a report are of."""
    for container in report.ContentSequence:
        for group in container.get("ContentSequence", ()):
            if "ContentSequence" in group:
                group.ContentSequence = [one for one in group.ContentSequence if one.ValueType != "IMAGE"]


@pytest.mark.parametrize(("complete", "says"), [(False, (False, 0)), (True, (True, 0))])
def test_a_candidate_that_nobody_has_decided_is_no_lesion(phases, tmp_path, complete, says):
    _, venous = phases
    state = sr.QualitativeEvaluation(own_code("state", "State of the review"), own_code("unreviewed", "Unreviewed"))
    found = Finding(uid="2.25.7", name="Lesion", evaluations=(state,))
    group = found.in_space(from_voxels([[2, 4, 5, 4, 8, 11]], venous.grid)[0].tolist(), venous.grid, venous)
    made = report(
        sr.Comprehensive3DSR, [group], venous, observers=["Ann"], description="Reviewed", is_complete=complete
    )
    made.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    read = read_report(tmp_path / "report.dcm", venous)
    assert (read.complete, len(read.boxes)) == says
