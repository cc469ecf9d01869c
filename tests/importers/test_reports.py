"""What readers say in structured reports beside the images of a folder becomes labels of these images."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.importers.dicom import DATA_SET, cases
from hepatic.importers.keep import keep
from hepatic.io.dicom_image_report import SLICES, Statement, image_reports
from hepatic.io.dicom_instance import Instance
from hepatic.io.dicom_seg import labels_seg
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import ROI, read_rois
from sample_data import us
from server.cli import app
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


@pytest.mark.parametrize("valid", [{}, {"diagnosis": "hcc"}], ids=["alone", "beside one that there is"])
def test_a_class_that_there_is_not_is_refused_by_itself(tmp_path, bring, store, valid) -> None:
    us.write_us(tmp_path / "in", 1, seed=5, size="tiny", kind="cyst")
    (file,) = (tmp_path / "in").rglob("*.dcm")
    said = {"diagnosis": "hcc", "eligibility": "too"} if valid else {"diagnosis": "bad luck"}
    write(tmp_path / "in", Statement(classes=said, by="Ann"), DicomSource.read(file))
    (outcome,) = bring("dicom", tmp_path / "in").values()
    assert outcome.label == "added"
    with pytest.raises(BadInputError, match="class 'eligibility'" if valid else "hcc, non_hcc"):
        note_classes(store, outcome.image_id, classes=outcome.classes)
    (case,) = store.labelled_cases("final")
    assert case.label_info["boxes_known"] == "positives_only"
    assert case.label_info.get("classes", {}) == valid
    assert store.images.get(outcome.image_id).info.get("diagnosis") == valid.get("diagnosis")


def test_a_document_of_another_kind_is_named_and_keeps_no_image_out(folder, source, said, bring) -> None:
    write(folder, said, source)
    (file,) = folder.glob("*.dcm")
    made = pydicom.dcmread(file)
    made.ContentTemplateSequence[0].TemplateIdentifier = "2000"
    made.save_as(file)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.image, outcome.label) == ("added", "refused")
    assert "TID 1500" in outcome.why


TUMOUR = sr.CodedConcept("108369006", "SCT", "Tumor")


def write_other(folder, groups, evidence):
    """Write a report as another program does, complete as far as it is concerned."""
    person = sr.PersonObserverIdentifyingAttributes(name="Doe^Jo")
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_person_context=sr.ObserverContext(codes.DCM.Person, person),
        ),
        procedure_reported=sr.CodedConcept("363679005", "SCT", "Imaging"),
        imaging_measurements=groups,
    )
    made = sr.Comprehensive3DSR(
        evidence=evidence,
        content=content,
        series_instance_uid=generate_uid(),
        series_number=5,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="ACME",
        is_complete=True,
    )
    made.save_as(folder / "other.dcm", enforce_file_format=True)


def measured(finding, region):
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=region,
        tracking_identifier=sr.TrackingIdentifier(uid=generate_uid(), identifier="m1"),
        finding_type=finding,
    )


def on_slice(source, kind, *points):
    image = sr.SourceImageForRegion(source.datasets[2].SOPClassUID, source.datasets[2].SOPInstanceUID)
    return sr.ImageRegion(kind, np.array(points, float), image)


def square(source):
    return on_slice(source, "POLYLINE", [3, 3], [9, 3], [9, 9], [3, 9], [3, 3])


def test_another_program_s_report_says_where_a_lesion_is_not_that_there_is_no_other(
    folder, source, bring, store
) -> None:
    point = on_slice(source, "POINT", [5, 5])
    write_other(folder, [measured(TUMOUR, square(source)), measured(TUMOUR, point)], source.datasets)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.boxes, outcome.why) == ("added", 1, "")
    (case,) = store.labelled_cases("final")
    assert case.label_info["boxes_known"] == "positives_only"


@pytest.mark.parametrize(
    ("finding", "region"),
    [
        (TUMOUR, lambda source: on_slice(source, "POINT", [5, 5])),
        (sr.CodedConcept("10200004", "SCT", "Liver"), square),
        (sr.CodedConcept("15825003", "SCT", "Main artery"), square),
    ],
    ids=["a point", "anatomy", "anatomy by another name"],
)
def test_another_program_s_report_without_a_lesion_s_box_is_no_healthy_image(
    folder, source, bring, store, finding, region
) -> None:
    write_other(folder, [measured(finding, region(source))], source.datasets)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.image, outcome.label, outcome.why) == ("added", "none", "")
    assert not store.labelled_cases("final")


def test_a_place_in_space_that_names_none_of_several_series_is_of_none(folder, source, bring) -> None:
    write_ct(folder / "other", shape=(6, 32, 48))
    corners = [[4, 4, 2, 1], [10, 4, 2, 1], [10, 9, 2, 1], [4, 9, 2, 1], [4, 4, 2, 1]]
    region = sr.ImageRegion3D(
        "POLYGON", (np.array(corners, float) @ source.grid.affine.T)[:, :3], source.frame_of_reference_uid
    )
    both = [*source.datasets, *DicomSource.read(folder / "other").datasets]
    write_other(folder, [measured(TUMOUR, region)], both)
    assert [one.label for one in bring("dicom", folder).values()] == ["none", "none"]


def test_a_report_about_a_segment_is_no_damaged_one(folder, source, bring) -> None:
    array = np.zeros(source.grid.shape, np.uint8)
    array[1:3, 3:7, 4:9] = 1
    seg = labels_seg(Labelmap(array, source.grid, {}), source, names={"tumour": 1}, algorithm=None)
    segment = sr.ReferencedSegment(
        sop_class_uid=seg.SOPClassUID,
        sop_instance_uid=seg.SOPInstanceUID,
        segment_number=1,
        source_series=sr.SourceSeriesForSegmentation(source.datasets[0].SeriesInstanceUID),
    )
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=segment,
        tracking_identifier=sr.TrackingIdentifier(uid=generate_uid(), identifier="m1"),
        finding_type=TUMOUR,
    )
    write_other(folder, [group], [*source.datasets, seg])
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.why) == ("none", "")


def test_a_document_of_another_kind_keeps_no_other_report_out(folder, source, said, bring) -> None:
    write_other(folder, [measured(TUMOUR, square(source))], source.datasets)
    made = pydicom.dcmread(folder / "other.dcm")
    made.ContentTemplateSequence[0].TemplateIdentifier = "12000"
    made.save_as(folder / "other.dcm")
    write(folder, said, source)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.boxes) == ("added", 1)
    assert "other.dcm" in outcome.why


@pytest.fixture
def stills(tmp_path):
    """Two ultrasound stills of one series."""
    us.write_us(tmp_path / "us", 2, seed=5, size="tiny", kind="cyst")
    files = sorted((tmp_path / "us").rglob("*.dcm"))
    first = pydicom.dcmread(files[0])
    for file in files:
        made = pydicom.dcmread(file)
        made.StudyInstanceUID, made.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
        made.PatientID = first.PatientID
        made.save_as(file)
    (tmp_path / "later").mkdir()
    return [DicomSource.read(file) for file in files]


def write_lesion(folder, source, *, height=20, **instance):
    array = np.zeros(source.grid.shape, np.uint8)
    array[0, 5:height, 5:20] = 1
    of = replace(Instance.new(), **instance)
    made = labels_seg(Labelmap(array, source.grid, {}), source, names={"tumour": 1}, algorithm=None, instance=of)
    made.save_as(folder / f"{made.SOPInstanceUID}.dcm", enforce_file_format=True)


def imported(folder, tmp_path):
    run = CliRunner().invoke(app, ["import", "dicom", str(folder), "--studies", str(tmp_path / "studies")])
    assert run.exit_code == 0, run.output
    return run.output


def noted(store):
    store.rescan()
    return {one.instance_uid: one.info.get("diagnosis") for one in store.images.all()}


def test_a_report_beside_a_segmentation_of_another_still_of_its_series_counts(stills, tmp_path, bring, store) -> None:
    assert [one.label for one in bring("dicom", tmp_path / "us").values()] == ["none", "none"]
    write_lesion(tmp_path / "later", stills[0])
    write(tmp_path / "later", Statement(classes={"diagnosis": "hcc"}, by="Ann"), stills[1])
    outcomes = [keep(store, DATA_SET, case) for case in cases(tmp_path / "later")]
    assert sorted((one.label, one.boxes, len(one.classes)) for one in outcomes) == [("added", 0, 1), ("added", 1, 0)]


def test_one_report_about_two_stills_is_of_both(stills, tmp_path, bring, store) -> None:
    bring("dicom", tmp_path / "us")
    regions = [
        sr.ImageRegion(
            "POLYLINE",
            np.array([[3, 3], [9, 3], [9, 9], [3, 9], [3, 3]], float),
            sr.SourceImageForRegion(one.datasets[0].SOPClassUID, one.datasets[0].SOPInstanceUID),
        )
        for one in stills
    ]
    evidence = [one.datasets[0] for one in stills]
    write_other(tmp_path / "later", [measured(TUMOUR, region) for region in regions], evidence)
    outcomes = [keep(store, DATA_SET, case) for case in cases(tmp_path / "later")]
    assert [(one.label, one.boxes) for one in outcomes] == [("added", 1)] * 2


@pytest.mark.parametrize("by_reader", ["", "non_hcc"])
def test_classes_that_arrive_after_the_label_are_noted_unless_somebody_has_said_one(
    stills, tmp_path, store, by_reader
) -> None:
    for source in stills:
        write_lesion(tmp_path / "us", source)
    imported(tmp_path / "us", tmp_path)
    assert set(noted(store).values()) == {None}
    if by_reader:
        store.images.update_info(store.images.all()[0].id, {"diagnosis": by_reader})
    for source in stills:
        write(tmp_path / "later", Statement(classes={"diagnosis": "hcc", "eligibility": "too"}, by="Ann"), source)
    imported(tmp_path / "later", tmp_path)
    assert sorted(noted(store).values()) == sorted(["hcc", by_reader or "hcc"])
    assert "were noted" not in imported(tmp_path / "later", tmp_path)


def test_the_last_version_of_a_segmentation_counts(folder, source, bring, store) -> None:
    for number, height in ((2, 9), (1, 20)):
        write_lesion(folder, source, height=height, series_uid="1.2.3.4", number=number, sop_uid=f"1.2.3.4.{number}")
    for file in folder.glob("1.2.3.4.*.dcm"):
        made = pydicom.dcmread(file)
        made.ContentDate, made.ContentTime = "20260101", "120000"
        made.save_as(file)
    (outcome,) = bring("dicom", folder).values()
    assert (outcome.label, outcome.boxes, outcome.why) == ("added", 1, "")
    (case,) = store.labelled_cases("final")
    assert read_labelmap(case.label).array.sum() == (9 - 5) * (20 - 5)
