"""What a model or a reader says of an image travels as a structured report, and comes back as it was."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.io.dicom_image_report import SLICES, Statement, image_reports
from hepatic.io.dicom_instance import Instance, Reference, uid_of
from hepatic.io.dicom_report_read import read_report, read_report_header
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.markups import ROI
from tests.dicom_validator import complaints
from tests.importers.dicom_files import write_ct
from tests.runs import write_run

MODEL = Algorithm("ct_centernet3d", "20260101-1", "ab" * 32)
ULTRASOUND = Path(pydicom.data.__file__).parent / "test_files" / "examples_ybr_color.dcm"


@pytest.fixture
def ct(tmp_path):
    return DicomSource.read(write_ct(tmp_path / "ct", patient="P7", study="1.2", shape=(6, 32, 48), z0=100.0))


@pytest.fixture
def run(tmp_path):
    return DicomSource.read(write_run(tmp_path / "run.dcm", frames=5))


def lesion(source, voxels, score=0.83, **about):
    box = tuple(from_voxels([voxels], source.grid)[0].tolist())
    return ROI(box, "lesion", {"candidate": uid_of(str(box)), "score": score, "class": "lesion", **about})


def saved(document, tmp_path):
    path = tmp_path / f"{document.SOPInstanceUID}.dcm"
    document.save_as(path, enforce_file_format=True)
    return path


def same_boxes(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=1e-3)
        assert one.about["candidate"] == other.about["candidate"]


def test_boxes_of_a_detector_come_back_from_space_and_from_key_slices(tmp_path, ct, tool):
    boxes = [lesion(ct, [1, 15, 20, 4, 25, 30]), lesion(ct, [3, 2, 4, 4, 9, 12], 0.5)]
    documents = image_reports(Statement(boxes=boxes, algorithm=MODEL), ct)
    assert [one.SOPClassUID for one in documents.values()] == [Comprehensive3DSRStorage, ComprehensiveSRStorage]
    for document in documents.values():
        assert complaints(tool, saved(document, tmp_path)) == []
    full = read_report(saved(documents[""], tmp_path), ct)
    same_boxes(full.boxes, boxes)
    assert [one.about["score"] for one in full.boxes] == [0.83, 0.5]
    assert (full.algorithm.name, full.algorithm.version, full.by) == (MODEL.name, MODEL.version, "")
    flat = read_report(saved(documents[SLICES], tmp_path), ct)
    np.testing.assert_allclose(flat.boxes[0].box, from_voxels([[2, 15, 20, 3, 25, 30]], ct.grid)[0], atol=1e-3)


def test_a_scan_stored_from_the_head_down_has_its_rectangles_on_the_right_slices(tmp_path, ct):
    reverse = DicomSource.read(list(reversed([Path(f) for f in sorted((tmp_path / "ct").glob("*.dcm"))])))
    document = image_reports(Statement(boxes=[lesion(ct, [4, 2, 3, 5, 9, 12])]), reverse)[SLICES]
    (group,) = hd.sr.srread(saved(document, tmp_path)).content.get_planar_roi_measurement_groups()
    shown = group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert shown == pydicom.dcmread(tmp_path / "ct" / "1-05.dcm").SOPInstanceUID


def test_boxes_on_frames_of_a_run_are_rectangles_there(tmp_path, run, tool):
    boxes = [lesion(run, [3, 2, 4, 4, 9, 12])]
    documents = image_reports(Statement(boxes=boxes, by="ann"), run)
    for document in documents.values():
        assert complaints(tool, saved(document, tmp_path)) == []
        found = read_report(saved(document, tmp_path), run)
        same_boxes(found.boxes, boxes)
        assert (found.by, found.algorithm) == ("ann", None)


def test_a_classifier_says_its_class_how_probable_each_is_and_where_the_lesion_lies(tmp_path, tool):
    source = DicomSource.read(ULTRASOUND)
    told = {"hcc": 0.93, "a_class_with_a_long_name": 0.07}
    said = Statement(
        classes={"diagnosis": "hcc"}, probabilities=told, frame=2, region=(30, 40, 90, 80), algorithm=MODEL
    )
    document = image_reports(said, source)[""]
    path = saved(document, tmp_path)
    assert [line for line in complaints(tool, path) if line.startswith("Error")] == []
    (group,) = hd.sr.srread(path).content.get_planar_roi_measurement_groups()
    found = {one.name.meaning: float(one.value) for one in group.get_measurements()}
    assert found["Probability of hcc"] == 93
    assert found["Probability of a class with a long name"] == 7
    image = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
    assert (image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber) == (source.datasets[0].SOPInstanceUID, 3)
    texts = {item.name.meaning: item.value for item in group[0].ContentSequence if item.ValueType == "TEXT"}
    assert texts["Algorithm Name"] == MODEL.name
    assert texts["Algorithm Version"] == MODEL.version
    assert MODEL.weights_sha256 in texts["Algorithm Parameters"]
    back = read_report(path, source)
    assert back.classes == {"diagnosis": "hcc"}
    np.testing.assert_allclose(back.boxes[0].box, from_voxels([[2, 40, 30, 3, 80, 90]], source.grid)[0], atol=1e-3)


@pytest.mark.parametrize("region", [(30, 40, 90, 80), None])
@pytest.mark.parametrize(("has_onset", "told"), [(False, ["Not detected"]), (True, []), (None, [])])
def test_a_contrast_cine_without_an_onset_is_reported_as_one(tmp_path, tool, region, has_onset, told):
    source = DicomSource.read(ULTRASOUND)
    classes, shares = {"diagnosis": "hcc"}, {"hcc": 0.93, "non_hcc": 0.07}
    said = Statement(
        classes=classes, probabilities=shares, frame=0, region=region, has_onset=has_onset, algorithm=MODEL
    )
    for document in image_reports(said, source).values():
        path = saved(document, tmp_path)
        assert [line for line in complaints(tool, path) if line.startswith("Error")] == []
        content = hd.sr.srread(path).content
        (group,) = [*content.get_planar_roi_measurement_groups(), *content.get_image_measurement_groups()]
        found = group.get_qualitative_evaluations(codes.DCM.BolusArrivalTime)
        assert [one.value.meaning for one in found] == told
        assert read_report(path, source).classes == classes, "it is no class"


def test_a_class_of_a_whole_series_names_all_of_its_images(tmp_path, ct, tool):
    document = image_reports(Statement(classes={"phase": "venous"}, by="Bärbel"), ct)
    assert list(document) == [""]
    path = saved(document[""], tmp_path)
    assert complaints(tool, path) == []
    (group,) = hd.sr.srread(path).content.get_image_measurement_groups()
    assert len(group.source_images) == len(ct.datasets)
    back = read_report(path, ct)
    assert (dict(back.classes), back.boxes, back.by) == ({"phase": "venous"}, (), "Bärbel")


def test_nothing_found_is_a_report_too(tmp_path, ct, tool):
    document = image_reports(Statement(algorithm=MODEL), ct)[""]
    path = saved(document, tmp_path)
    assert complaints(tool, path) == []
    assert read_report(path, ct).boxes == ()


def test_nothing_said_is_no_report(ct):
    with pytest.raises(BadInputError, match="none"):
        image_reports(Statement(by="ann"), ct)


def test_a_later_version_says_which_it_stands_for(tmp_path, ct, tool):
    said = Statement(boxes=[lesion(ct, [1, 15, 20, 4, 25, 30])], by="ann")
    first = Instance(series_uid=uid_of("s"), sop_uid=uid_of("1"))
    before = image_reports(said, ct, instance=lambda name: first)[""]
    known = Reference(
        study_uid=before.StudyInstanceUID,
        series_uid=before.SeriesInstanceUID,
        sop_class_uid=before.SOPClassUID,
        sop_uid=before.SOPInstanceUID,
    )
    second = Instance(series_uid=uid_of("s"), sop_uid=uid_of("2"), number=2, replaces=[known])
    after = image_reports(said, ct, instance=lambda name: second)[""]
    assert (after.SeriesInstanceUID, after.SOPInstanceUID, after.InstanceNumber) == (uid_of("s"), uid_of("2"), 2)
    (study,) = after.PredecessorDocumentsSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == uid_of("1")
    assert complaints(tool, saved(after, tmp_path)) == []
    one, other = (read_report(saved(d, tmp_path), ct).boxes[0].about["candidate"] for d in (before, after))
    assert one == other


def test_a_box_drawn_by_hand_keeps_its_tracking_uid(tmp_path, ct):
    box = ROI(lesion(ct, [1, 15, 20, 4, 25, 30]).box, "mine")
    uids = {
        read_report(saved(image_reports(Statement(boxes=[box], by="ann"), ct)[""], tmp_path), ct)
        .boxes[0]
        .about["candidate"]
        for _ in range(2)
    }
    assert len(uids) == 1


def test_the_header_says_which_images_a_report_is_about(tmp_path, ct):
    path = saved(image_reports(Statement(classes={"phase": "venous"}), ct)[""], tmp_path)
    header = read_report_header(path)
    series = str(ct.datasets[0].SeriesInstanceUID)
    assert header.images == {series: frozenset(str(one.SOPInstanceUID) for one in ct.datasets)}
    assert read_report_header(ULTRASOUND) is None
    assert not hd.sr.srread(path).content.get_observer_contexts(observer_type=codes.DCM.Person)


def test_another_document_is_refused(tmp_path, ct):
    (tmp_path / "text.dcm").write_bytes(b"no DICOM")
    with pytest.raises(BadInputError, match="TID 1500"):
        read_report(tmp_path / "text.dcm", ct)
