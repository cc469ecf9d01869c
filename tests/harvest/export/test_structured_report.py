"""Verdicts travel to a PACS as structured reports."""

import subprocess
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.harvest.export.structured_report import PRIMARY, VERDICT, structured_reports
from hepatic.io.grid import grid_of
from hepatic.io.orient import upright_grid
from tests.importers.conftest import scan, write_nifti
from tests.importers.dicom_files import write_ct


@pytest.fixture
def series(tmp_path):
    return write_ct(tmp_path / "venous", patient="P7", study="1.2", shape=(6, 32, 48), z0=100.0)


@pytest.fixture
def study(study, series):
    grid = grid_of(series)
    moved = from_voxels([[1, 15.5, 20, 3, 25.5, 30]], grid)[0].tolist()
    first = replace(study.candidates[0], box=tuple(moved))
    return replace(study, grid=grid, candidates=(first, *study.candidates[1:]))


@pytest.fixture
def reports(study, series):
    return structured_reports(study, series)


def read_back(report, tmp_path):
    path = tmp_path / f"{report.name or 'final'}.dcm"
    report.dataset.save_as(path)
    return hd.sr.srread(path)


def test_a_document_is_sound_dicom(reports, tmp_path):
    for report in reports:
        path = tmp_path / "sr.dcm"
        report.dataset.save_as(path)
        said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
        assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []
        assert ("ComprehensiveSR" if report.name == "slices" else "Comprehensive3DSR") in said.stderr.split()


def test_the_codes_of_our_own_say_whose_they_are(reports):
    (scheme,) = reports[0].dataset.CodingSchemeIdentificationSequence
    assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeName) == ("99HEPATIC", "hepatic")


def test_there_is_one_for_what_counts_and_one_for_each_of_several_readers(reports):
    assert [(report.name, report.observer) for report in reports] == [
        ("", ""), ("slices", ""), ("reader-1", "ann"), ("reader-2", "bo"),
    ]  # fmt: skip


def test_the_box_is_read_back_from_the_stack_of_polygons(reports, study, tmp_path):
    content = read_back(reports[0], tmp_path).content
    groups = content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.1")
    assert len(groups) == 1
    points = np.concatenate([np.asarray(item.value) for item in groups[0].roi if item.ValueType == "SCOORD3D"])
    np.testing.assert_allclose([*points.min(axis=0), *points.max(axis=0)], study.candidates[0].box, atol=1e-3)
    assert (
        groups[0].roi[0].frame_of_reference_uid == pydicom.dcmread(tmp_path / "venous" / "1-01.dcm").FrameOfReferenceUID
    )


def test_the_rectangle_lies_on_the_key_slice(reports, tmp_path):
    content = read_back(reports[1], tmp_path).content
    (group,) = content.get_planar_roi_measurement_groups(tracking_uid="2.25.1")
    np.testing.assert_allclose(group.roi.value[:4], [[20, 15.5], [30, 15.5], [30, 25.5], [20, 25.5]], atol=1e-4)
    shown = pydicom.dcmread(tmp_path / "venous" / "1-03.dcm").SOPInstanceUID  # key slice 2, counted from 0
    region = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
    assert region.ReferencedSOPInstanceUID == shown
    assert group.get_measurements()[0].value == pytest.approx(10 * 0.8 * 10 * 0.7)


def test_of_a_patient_scanned_prone_the_rectangle_lies_on_the_slice_as_it_was_scanned(study, tmp_path):
    series = write_ct(tmp_path / "prone", shape=(6, 32, 48), z0=100.0, prone=True)
    scanned = grid_of(series)
    box = from_voxels([[1, 4, 6, 3, 9, 16]], scanned)[0].tolist()
    turned = replace(study, grid=upright_grid(scanned), candidates=(replace(study.candidates[0], box=tuple(box)),))
    assert not turned.grid.matches(scanned)
    slices = structured_reports(turned, series)[1]
    (group,) = read_back(slices, tmp_path).content.get_planar_roi_measurement_groups()
    np.testing.assert_allclose([group.roi.value.min(axis=0), group.roi.value.max(axis=0)], [[6, 4], [16, 9]], atol=1e-4)
    shown = group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert shown == pydicom.dcmread(series[2]).SOPInstanceUID


def verdicts(content):
    found = {}
    for group in content.get_volumetric_roi_measurement_groups():
        said = {one.name.value: one.value.meaning for one in group.get_qualitative_evaluations()}
        found[group.tracking_uid] = (said.get(VERDICT.value), said.get(PRIMARY.value))
    return found


def test_what_counts_and_what_each_reader_said_are_told_apart(reports, tmp_path):
    final, _, ann, bo = (read_back(report, tmp_path).content for report in reports)
    assert verdicts(final) == {
        "2.25.1": ("True", "Yes"), "2.25.2": ("False", "No"), "2.25.3": (None, "No"), "2.25.4": ("True", "No"),
    }  # fmt: skip
    assert verdicts(ann) == {
        "2.25.1": ("True", None), "2.25.2": ("False", None), "2.25.3": ("True", None), "2.25.4": (None, None),
    }  # fmt: skip
    assert verdicts(bo) == {"2.25.1": ("True", None), "2.25.3": ("False", None)}, "not what only ann judged or drew"
    (context,) = bo.get_observer_contexts(observer_type=pydicom.sr.codedict.codes.DCM.Person)
    assert str(context.observer_identifying_attributes.name) == "bo^"


def test_a_reader_s_report_has_the_box_that_this_reader_judged(study, series, tmp_path):
    first = study.candidates[0]
    shown = from_voxels([[3, 5, 6, 5, 9, 12]], study.grid)[0].tolist()
    ann, bo = replace(first.decisions[0], box=first.box), replace(first.decisions[1], box=tuple(shown))
    moved = replace(study, candidates=(replace(first, decisions=(ann, bo)), *study.candidates[1:]))
    found = []
    for report in structured_reports(moved, series)[2:]:
        (group,) = read_back(report, tmp_path).content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.1")
        points = np.concatenate([np.asarray(item.value) for item in group.roi if item.ValueType == "SCOORD3D"])
        found.append([*points.min(axis=0), *points.max(axis=0)])
    np.testing.assert_allclose(found, [first.box, shown], atol=1e-3)


def test_the_model_is_named_with_its_version_and_score_and_a_drawn_box_has_none(reports, tmp_path):
    content = read_back(reports[0], tmp_path).content
    (found,) = content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.1")
    texts = {item.name.meaning: item.value for item in found[0].ContentSequence if item.ValueType == "TEXT"}
    assert texts["Algorithm Name"] == "ct_centernet3d"
    assert texts["Algorithm Version"] == "ab" * 32
    assert found.get_measurements()[0].value == 83
    (drawn,) = content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.4")
    assert not drawn.get_measurements()


def test_one_reader_needs_one_document_with_the_reader_as_its_observer(study, series, tmp_path):
    alone = replace(study, candidates=(study.candidates[1],))
    report, _ = structured_reports(alone, series)
    (person,) = read_back(report, tmp_path).content.get_observer_contexts(
        observer_type=pydicom.sr.codedict.codes.DCM.Person
    )
    assert str(person.observer_identifying_attributes.name) == "ann^"


def test_names_that_are_no_person_names_are_made_some(study, series, tmp_path):
    odd = replace(study.candidates[1].decisions[0], reader="a\\b=c^" + "x" * 80)
    report, _ = structured_reports(replace(study, candidates=(replace(study.candidates[1], decisions=(odd,)),)), series)
    path = tmp_path / "sr.dcm"
    report.dataset.save_as(path)
    said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False).stderr
    assert "Error" not in said


def test_a_study_that_is_not_dicom_or_not_this_series_is_refused(study, series, tmp_path):
    with pytest.raises(BadInputError, match="another format"):
        structured_reports(study, [write_nifti(tmp_path / "a.nii", scan())])
    with pytest.raises(BadInputError, match="another grid"):
        structured_reports(study, write_ct(tmp_path / "other", shape=(6, 32, 48)))
    with pytest.raises(BadInputError, match="candidates"):
        structured_reports(replace(study, candidates=()), series)
