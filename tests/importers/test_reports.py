"""What readers say in structured reports beside the images of a folder becomes labels of these images."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.io.dicom_image_report import SLICES, Statement, image_reports
from hepatic.io.dicom_instance import Instance
from hepatic.io.dicom_seg import labels_seg
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.image import Labelmap
from hepatic.io.markups import ROI, read_rois
from sample_data import us
from server.commands.noted import note_classes
from tests.importers.dicom_files import write_ct


@pytest.fixture
def folder(tmp_path):
    write_ct(tmp_path / "in" / "ct", shape=(6, 32, 48))
    return tmp_path / "in"


@pytest.fixture
def source(folder):
    return DicomSource.read(folder / "ct")


@pytest.fixture
def said(source):
    box = from_voxels([[1, 3, 4, 4, 8, 10]], source.grid)[0].tolist()
    return Statement(boxes=[ROI(tuple(box), "lesion", {"candidate": "2.25.77"})], by="Ann")


def write(folder, said, source, *names, **instance):
    """Write the reports of these names, those in space by default."""
    for name in names or ("",):
        made = image_reports(said, source, instance=lambda _: replace(Instance.new(), **instance))[name]
        made.ContentDate, made.ContentTime = "20260101", "120000"
        made.save_as(folder / f"{made.SOPInstanceUID}.dcm", enforce_file_format=True)


def test_boxes_in_space_and_on_slices_are_one_report(folder, source, said, bring, store) -> None:
    write(folder, said, source, "", SLICES)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.boxes, outcome.why) == ("added", 1, "")
    (case,) = store.labelled_cases("final")
    np.testing.assert_allclose(read_rois(case.label)[0].box, said.boxes[0].box, atol=1e-3)
    assert store.labels.latest(case.image_id, "final").author == "Ann"
    assert [one.label for one in bring("dicom", folder).values()] == ["there"]


def test_reports_find_their_image_in_the_studies_and_are_named_where_they_do_not(
    folder, source, said, bring, store, tmp_path
) -> None:
    (tmp_path / "reports").mkdir()
    write(tmp_path / "reports", said, source, "", SLICES)
    (outcome,) = bring("dicom", tmp_path / "reports").values()
    assert outcome.image == "refused"
    assert "Import the images first" in outcome.why
    assert [one.label for one in bring("dicom", folder).values()] == ["none"]
    (outcome,) = bring("dicom", tmp_path / "reports").values()
    assert (outcome.image, outcome.label, outcome.boxes) == ("there", "added", 1)
    assert store.labelled_cases("final")


def test_the_last_version_counts(folder, source, said, bring, store) -> None:
    later = replace(said.boxes[0], box=tuple(from_voxels([[2, 9, 9, 4, 12, 12]], source.grid)[0].tolist()))
    write(folder, replace(said, boxes=[later]), source, series_uid="1.2.3.4", number=2)
    write(folder, said, source, series_uid="1.2.3.4")
    assert [one.label for one in bring("dicom", folder).values()] == ["added"]
    (case,) = store.labelled_cases("final")
    np.testing.assert_allclose(read_rois(case.label)[0].box, later.box, atol=1e-3)


@pytest.mark.parametrize("other", ["boxes", "places", "classes"])
def test_reports_that_contradict_each_other_are_refused(folder, source, said, bring, other) -> None:
    box = tuple(from_voxels([[2, 9, 9, 4, 12, 12]], source.grid)[0].tolist())
    changed = {
        "boxes": {"boxes": [ROI(box, "lesion", {"candidate": "2.25.78"})]},
        "places": {"boxes": [ROI(box, "lesion", {"candidate": "2.25.77"})]},
        "classes": {"classes": {"phase": "late"}},
    }[other]
    said = replace(said, classes={"phase": "venous"})
    write(folder, said, source)
    write(folder, replace(said, **changed, by="Bob"), source)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.image, outcome.label) == ("added", "refused")
    assert "Keep the one that counts" in outcome.why


def test_the_word_of_an_algorithm_is_no_reader_s(folder, source, said, bring) -> None:
    write(folder, replace(said, by="", algorithm=Algorithm("ct_centernet3d", "1")), source)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.why) == ("none", "")


def test_a_report_that_cannot_be_used_keeps_no_segmentation_out(folder, source, bring) -> None:
    array = np.zeros(source.grid.shape, np.uint8)
    array[1:3, 3:7, 4:9] = 1
    seg = labels_seg(Labelmap(array, source.grid, {}), source, names={"tumour": 1}, algorithm=None)
    seg.save_as(folder / "seg.dcm", enforce_file_format=True)
    write(folder, Statement(classes={"phase": "venous"}, by="Ann"), source)
    write(folder, Statement(classes={"phase": "late"}, by="Bob"), source)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.boxes, dict(outcome.classes)) == ("added", 1, {})
    assert "Keep the one that counts" in outcome.why


def test_a_class_that_there_is_not_is_refused_and_nothing_noted(tmp_path, bring, store) -> None:
    us.write_us(tmp_path / "in", 1, seed=5, size="tiny", kind="cyst")
    (file,) = (tmp_path / "in").rglob("*.dcm")
    write(tmp_path / "in", Statement(classes={"diagnosis": "bad luck"}, by="Ann"), DicomSource.read(file))
    (outcome,) = bring("dicom", tmp_path / "in").values()
    assert (outcome.label, outcome.classes) == ("added", {"diagnosis": "bad_luck"})
    with pytest.raises(BadInputError, match="hcc, non_hcc"):
        note_classes(store, outcome.image_id, classes=outcome.classes)
    (case,) = store.labelled_cases("final")
    assert case.label_info["boxes_known"] == "positives_only"
    assert "classes" not in case.label_info


def test_a_document_of_another_kind_is_named_and_keeps_no_image_out(folder, source, said, bring) -> None:
    write(folder, said, source)
    (file,) = folder.glob("*.dcm")
    made = pydicom.dcmread(file)
    made.ContentTemplateSequence[0].TemplateIdentifier = "2000"
    made.save_as(file)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.image, outcome.label) == ("added", "refused")
    assert "TID 1500" in outcome.why
