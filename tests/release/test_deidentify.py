"""Objects leave without their patient: every element, at every depth, with their references whole."""

import random
import stat
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.data import get_testdata_files
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from hepatic.boxes import from_voxels
from hepatic.engine.eligibility import NOTE, SAID
from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.export.reviewed import Decision, ReviewedCandidate, ReviewedStudy
from hepatic.harvest.export.segmentation import segmentation
from hepatic.harvest.export.structured_report import structured_reports
from hepatic.harvest.study import Phase
from hepatic.io.dicom_seg_read import read_dicom_seg
from hepatic.io.grid import grid_of
from hepatic.release.deidentify import _IDENTIFIERS, REMOVED, Deidentifier
from hepatic.release.files import deidentify_file, deidentify_folder
from hepatic.release.option import Option
from hepatic.release.pseudonyms import Pseudonyms
from hepatic.release.words import cleaned
from hepatic.tasks.spec import ClassificationTask
from sample_data import us
from sample_data.dsa.run import simulate
from sample_data.dsa.xa import xa_image
from server.commands.noted import tasks
from tests.dicom_validator import complaints
from tests.importers.dicom_files import write_ct
from tests.release.identified import PATIENT_ID, STUDY_DATE, left_in, name, uids, without_pixels

ALL = frozenset(Option)


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> Path:
    """A study of CT slices with a segmentation and two reports of it, a run and a still, all of one patient."""
    folder = tmp_path_factory.mktemp("objects")
    slices = write_ct(folder / "ct", patient=PATIENT_ID, study="1.2.9.5.77.1", shape=(6, 32, 48), z0=100.0)
    (folder / "xa.dcm").parent.mkdir(exist_ok=True)
    xa_image(simulate(3, size="small")).save_as(folder / "xa.dcm", enforce_file_format=True)
    us.write_us(folder, 1, seed=5, size="tiny", kind="cyst")
    for path in files(folder):
        dataset = name(pydicom.dcmread(path))
        if dataset.Modality == "US":
            dataset.BurnedInAnnotation = "NO"
        dataset.save_as(path)
    grid = grid_of(slices)
    box = tuple(from_voxels([[1, 15, 20, 3, 25, 30]], grid)[0].tolist())
    decision = Decision("Hanselmayer", "true", 1, "2026-03-02T10:00:00+00:00", "2026-03-02T10:00:04+00:00")
    lesion = ReviewedCandidate("2.25.4.5.6.7", box, 2, "model", "true", "true", True, (decision,), 0.8, (), "ct_model")
    study = ReviewedStudy("1.2.9.5.77.1", PATIENT_ID, Phase.VENOUS, {Phase.VENOUS: "x"}, grid, (lesion,), complete=True)
    segmentation(study, slices).save_as(folder / "seg.dcm", enforce_file_format=True)
    for report in structured_reports(study, slices):
        report.dataset.save_as(folder / f"sr{report.name}.dcm", enforce_file_format=True)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.dcm"))


def by_modality(folder: Path) -> dict[str, pydicom.FileDataset]:
    return {str(ds.SOPClassUID.name): ds for ds in map(pydicom.dcmread, files(folder))}


@pytest.fixture
def key(tmp_path) -> Pseudonyms:
    return Pseudonyms(tmp_path / "data" / "deidentify")


@pytest.mark.parametrize("options", [frozenset(), ALL], ids=["basic", "all options"])
def test_nothing_of_the_patient_is_left_in_any_element_or_name(objects, tmp_path, key, options) -> None:
    originals = set().union(*(uids(pydicom.dcmread(path)) for path in files(objects)))
    report = deidentify_folder(files(objects), tmp_path / "out", Deidentifier(key, options))
    assert report.left_out == {}
    made = files(tmp_path / "out")
    assert len(made) == report.objects["written"] == len(files(objects))
    for path in made:
        assert left_in(without_pixels(path)) == []
        assert left_in(str(path.relative_to(tmp_path)).encode()) == []
        dataset = pydicom.dcmread(path)
        assert not originals & uids(dataset)
        assert not [element for element in dataset.iterall() if element.tag.is_private]
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert not any(uid.encode() in path.read_bytes() for uid in originals)


def test_what_leaves_is_sound_dicom(objects, tmp_path, key, tool) -> None:
    (tmp_path / "before").mkdir()
    for number, path in enumerate(files(objects)):
        dataset = pydicom.dcmread(path)
        if str(dataset.Modality) == "CT" and dataset.InstanceNumber != 1:
            continue
        before = {line.replace("ALOISIA", REMOVED) for line in complaints(tool, path)}
        for options in (frozenset(), ALL):
            target = tmp_path / f"{number}.dcm"
            deidentify_file(path, target, Deidentifier(key, options))
            assert set(complaints(tool, target)) - before == set(), (path.name, options)


def test_references_between_objects_stay_right(objects, tmp_path, key) -> None:
    deidentify_folder(files(objects), tmp_path / "out", Deidentifier(key, ALL))
    ct = [path for path in files(tmp_path / "out") if pydicom.dcmread(path).Modality == "CT"]
    named = {str(pydicom.dcmread(path).SOPInstanceUID) for path in ct}
    found = by_modality(tmp_path / "out")
    seg, sr = found["Segmentation Storage"], found["Comprehensive 3D SR Storage"]
    series = seg.ReferencedSeriesSequence[0]
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} <= named
    assert seg.FrameOfReferenceUID == pydicom.dcmread(ct[0]).FrameOfReferenceUID
    assert {str(element.value) for element in sr.iterall() if element.keyword == "ReferencedSOPInstanceUID"} <= named
    assert seg.StudyInstanceUID == sr.StudyInstanceUID == pydicom.dcmread(ct[0]).StudyInstanceUID
    texts = {str(element.value) for element in sr.iterall() if element.keyword == "TextValue"}
    assert "ct_model" in texts  # which model it was names nobody
    assert seg.SegmentSequence[0].TrackingUID == key.uid("2.25.4.5.6.7")
    labels = read_dicom_seg(Path(seg.filename), like=grid_of(sorted(ct)))
    assert (
        labels.array.sum() == read_dicom_seg(objects / "seg.dcm", like=grid_of(files(objects / "ct"))).array.sum() > 0
    )


def test_the_same_patient_is_the_same_again_and_another_at_another_site(objects, tmp_path, key) -> None:
    once, again, elsewhere = tmp_path / "1.dcm", tmp_path / "2.dcm", tmp_path / "3.dcm"
    source = files(objects / "ct")[0]
    deidentify_file(source, once, Deidentifier(key))
    deidentify_file(source, again, Deidentifier(Pseudonyms(tmp_path / "data" / "deidentify")))
    deidentify_file(source, elsewhere, Deidentifier(Pseudonyms(tmp_path / "other")))
    first, second, third = map(pydicom.dcmread, (once, again, elsewhere))
    assert once.read_bytes() == again.read_bytes()
    assert first.PatientID == second.PatientID != third.PatientID
    assert uids(first).isdisjoint(uids(third))


def test_dates_move_together_and_ages_stay_where_they_are_asked_for(objects, tmp_path, key) -> None:
    deidentify_folder(files(objects), tmp_path / "out", Deidentifier(key, ALL))
    for dataset in map(pydicom.dcmread, files(tmp_path / "out")):
        assert dataset.StudyDate not in ("", STUDY_DATE)
        assert dataset.StudyTime == "101500"
        assert dataset.PatientBirthDate == ""
        assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    ct = by_modality(tmp_path / "out")["CT Image Storage"]
    assert (ct.StudyDate, ct.PatientAge, ct.PatientSex) == (ct.SeriesDate, "090Y", "F")
    assert ct.StudyDescription == "CT liver arterial"
    assert ct.SeriesDescription == "venous 5.0"
    applied = {item.CodeValue for item in ct.DeidentificationMethodCodeSequence}
    assert applied == {
        "113100",
        "113105",
        "113107",
        "113108",
    }
    target = tmp_path / "basic.dcm"
    deidentify_file(files(objects / "ct")[0], target, Deidentifier(key))
    basic = pydicom.dcmread(target)
    assert "PatientAge" not in basic
    assert (basic.StudyDate, basic.PatientSex, basic.PatientBirthDate) == ("", "", "")
    assert "SeriesDescription" not in basic
    assert basic.LongitudinalTemporalInformationModified == "REMOVED"
    assert (basic.pixel_array == pydicom.dcmread(files(objects / "ct")[0]).pixel_array).all()


def test_the_report_counts_what_was_done(objects, tmp_path, key) -> None:
    report = deidentify_folder(files(objects / "ct"), tmp_path / "out", Deidentifier(key))
    count = len(files(objects / "ct"))
    rows = {(keyword, action): number for keyword, action, number in report.rows()}
    assert (
        rows["PatientID", "replaced"] == rows["ImageComments", "removed"] == rows["SOPInstanceUID", "new UID"] == count
    )
    assert rows["private", "removed"] >= 3 * count
    assert left_in(report.csv()) == []


def test_a_picture_with_text_stays(tmp_path, key) -> None:
    us.write_us(tmp_path / "in", 1, seed=5, size="tiny", kind="cyst")
    (source,) = files(tmp_path / "in")
    kept = deidentify_folder([source], tmp_path / "out", Deidentifier(key))
    assert "burnt-in" in kept.left_out[str(source)]
    assert files(tmp_path / "out") == []
    taken = deidentify_folder([source], tmp_path / "out", Deidentifier(key), header_only=True)
    assert taken.left_out == {}
    assert pydicom.dcmread(files(tmp_path / "out")[0]).PatientIdentityRemoved == "NO"


def test_what_may_name_anybody_anywhere_stays(tmp_path, key) -> None:
    document = pydicom.dcmread(get_testdata_files("rtplan.dcm")[0])
    document.save_as(tmp_path / "plan.dcm")
    with pytest.raises(BadInputError, match="another kind of object"):
        deidentify_file(tmp_path / "plan.dcm", tmp_path / "out.dcm", Deidentifier(key))
    assert not (tmp_path / "out.dcm").exists()


def test_no_file_of_pydicoms_keeps_a_name_id_or_uid(tmp_path, key) -> None:
    sources = [
        Path(path) for path in get_testdata_files("**/*") if Path(path).is_file() and Path(path).suffix == ".dcm"
    ]
    by = Deidentifier(key, ALL)
    originals: set[str] = set()
    for number, path in enumerate(sources):  # by itself: many are one object in several transfer syntaxes
        if not deidentify_folder([path], tmp_path / "out" / str(number), by, header_only=True).left_out:
            dataset = pydicom.dcmread(path, force=True)
            originals |= uids(dataset)
            who = {str(dataset.get("PatientName", "")), str(dataset.get("PatientID", ""))}
            originals |= {one for one in who if len(one) > 5}
    assert len(originals) > 100
    assert len(files(tmp_path / "out")) > 60
    for path in files(tmp_path / "out"):
        dataset = pydicom.dcmread(path)
        assert not originals & uids(dataset)
        assert left_in(without_pixels(path), [one for one in originals if len(one) > 5 and one != "Anonymized"]) == []


def test_what_is_damaged_is_refused_or_leaves_as_another_patient(objects, tmp_path, key) -> None:
    rng, by, left = random.Random(7), Deidentifier(key, ALL), 0
    sources = [path.read_bytes() for path in (files(objects / "ct")[0], objects / "seg.dcm", objects / "sr.dcm")]
    for _ in range(150):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(132, 2500)] = rng.randrange(256)
        (tmp_path / "in.dcm").write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        (tmp_path / "out.dcm").unlink(missing_ok=True)
        try:
            deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", by)
        except BadInputError:
            assert not (tmp_path / "out.dcm").exists()
        else:
            left += 1
            made = pydicom.dcmread(tmp_path / "out.dcm")
            assert str(made.PatientID).startswith("HEP-")
            assert str(made.PatientName) == f"{made.PatientID}^"
            assert not [element for element in made.iterall() if element.tag.is_private]
    assert 20 < left < 150


@pytest.mark.parametrize("vr", ["UI", "TM"])
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_no_file_says_where_it_is_written(objects, tmp_path, key, keyword, vr) -> None:
    dataset = pydicom.dcmread(files(objects / "ct")[0])
    del dataset[keyword]
    dataset.add_new(keyword, vr, "1.2.840.10008./../../../../escaped")
    dataset.save_as(tmp_path / "in.dcm")
    deidentify_folder([tmp_path / "in.dcm"], tmp_path / "a" / "b" / "out", Deidentifier(key, ALL))
    assert not list(tmp_path.glob("escaped*"))
    assert [path.resolve() for path in files(tmp_path / "a")] == files(tmp_path / "a" / "b" / "out")
    assert len(files(tmp_path / "a")) <= 1
    assert not any("escaped" in str(path) for path in files(tmp_path / "a"))


def test_a_clock_time_is_digits(objects, tmp_path, key) -> None:
    dataset = pydicom.dcmread(files(objects / "ct")[0])
    dataset.AcquisitionDateTime = "20240229101500.5+0100"
    dataset.add_new("ContentTime", "TM", "1015")
    dataset.add_new("InstitutionName", "TM", "1015")
    dataset.save_as(tmp_path / "in.dcm")
    data = (tmp_path / "in.dcm").read_bytes().replace(b"1015", b"Rosa")
    (tmp_path / "in.dcm").write_bytes(data)
    deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", Deidentifier(key, ALL))
    assert b"Rosa" not in without_pixels(tmp_path / "out.dcm")


def test_the_key_and_who_is_who_are_closed_to_others(tmp_path, key) -> None:
    pseudonym = key.patient(PATIENT_ID)
    study = key.study("1.2.9.5.77.1")
    folder = tmp_path / "data" / "deidentify"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in ("key", "issued.db"):
        assert stat.S_IMODE((folder / file).stat().st_mode) == 0o600
    again = Pseudonyms(folder)
    assert again.lookup(pseudonym).original == PATIENT_ID
    assert (again.lookup(study).kind, again.lookup(study).original) == ("study", "1.2.9.5.77.1")
    assert again.lookup(key.patient(pseudonym)).original == PATIENT_ID  # given away twice
    with pytest.raises(NotFoundError):
        again.lookup("HEP-NOBODY")
    (folder / "key").write_bytes(b"short")
    with pytest.raises(BadInputError, match="one of 5 bytes"):
        Pseudonyms(folder)
    (folder / "key").unlink()
    with pytest.raises(BadInputError, match="found none"):  # not another one, without a word
        Pseudonyms(folder)


def test_every_class_that_a_reader_may_say_leaves_whole() -> None:
    asked = [one for one in tasks() if isinstance(one, ClassificationTask)]
    sayable = [NOTE, *SAID, *(word for one in asked for word in (one.note, *one.classes))]
    assert len(sayable) > 10
    assert [cleaned(word).replace(" ", "_") for word in sayable] == sayable


def test_texts_keep_words_that_name_nobody() -> None:
    assert cleaned("ARTERIAL_LIVER 5.0mm Müller 20240229") == "ARTERIAL LIVER 5.0mm"
    assert cleaned("portal venous phase", without={"portal"}) == "venous phase"
    assert cleaned("Lesion 1.2.840.113619.2.55.3", uid=lambda _: "2.25.1") == "Lesion 2.25.1"
    assert cleaned("Lesion 2.25.329800735698586629295641978511506172918", uid=lambda _: "2.25.1") == "Lesion 2.25.1"
    assert cleaned("MRN 4711-0815") == ""


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("venous 29-02-24", "venous"),
        ("arterial 29.02.24 liver 29.02", "arterial liver"),
        ("MRN 47-11-08-15", ""),
        ("lesion 06 64 12 34 56", "lesion"),
        ("47-11 mm", ""),
        ("liver 47", "liver"),
        ("5mm, 5 mm, 2.5 mm; segment 4, 30s", "5mm 5 mm 2.5 mm segment 4 30s"),
        ("venous 2.5, slice 64", "venous 2.5 slice"),
        ("lesion 29.2 venous 7.6", "lesion venous"),
        ("29 Feb 2024, 7. Juni 1952, May 7 1952", ""),
        ("late 10:15:30, 10h15, 2024-02-29T10:15", "late"),
        ("King Walker Black liver", "liver"),
        ("Robert Charles French, Victoria Waters: cyst", "cyst"),
        ("HCC segment 8, 23 mm", "HCC segment 8 23 mm"),
        ("segment 8 (23 mm)", "segment 8 23 mm"),
        ("12.4 mm, 2,5 mm, 123 mm, 120kV", "12.4 mm 2,5 mm 123 mm 120kV"),
        ("LR-5, LI-RADS 4; LR-M, LR-TIV", "LR-5 LI-RADS 4 LR-M LR-TIV"),
        ("LR-55, MLR-5, LR-5-47-11", ""),
        ("segment IVb, segment VIII, segment 4a", "segment IVb segment VIII segment 4a"),
        ("IVb lesion 123, lesion 12.4", "lesion lesion"),
        ("lesion 1952, 06 07, 1234 mm", "lesion"),
    ],
)
def test_numbers_stay_only_where_they_measure_or_count(written, left) -> None:
    assert cleaned(written, without={"64"}) == left


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDateInAlternativeCalendar", "1952-06-07"),
        ("RetrieveURL", "http://pacs.hospital.example/studies/1.2.3"),
        ("PlacerOrderNumberProcedure", "4711"),
        ("FillerOrderNumberProcedure", "4711"),
        ("OtherStudyNumbers", "4711"),
        ("WindowCenterWidthExplanation", "MUELLER 1952"),
    ],
)
def test_what_the_profiles_table_lacks_goes(tmp_path, key, keyword, value) -> None:
    (file, *_) = write_ct(tmp_path / "ct")
    ds = pydicom.dcmread(file)
    setattr(ds, keyword, value)
    ds.save_as(tmp_path / "in.dcm")
    deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", Deidentifier(key))
    assert keyword not in pydicom.dcmread(tmp_path / "out.dcm")


STRANGER = "Zwetschkenbaum"
"""A name that is in no PatientName, so that nothing tells it from a word."""


def released(key, tmp_path, change, options=ALL) -> pydicom.FileDataset:
    """What leaves of a CT slice after a change."""
    (file,) = write_ct(tmp_path / "ct", shape=(1, 12, 16))
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(tmp_path / "in.dcm")
    deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", Deidentifier(key, options))
    return pydicom.dcmread(tmp_path / "out.dcm")


def keywords(*vrs: str) -> list[str]:
    """All of the dictionary with these VRs, but those of files and of commands."""
    listed = [tag for tag in DicomDictionary if tag > 0x00080000]
    return [
        word for tag in listed if (word := keyword_for_tag(tag)) and set(dictionary_VR(tag).split(" or ")) & set(vrs)
    ]


@pytest.mark.parametrize("is_deep", [False, True])
def test_of_all_texts_that_dicom_has_only_those_leave_that_devices_write(key, tmp_path, is_deep) -> None:
    def change(dataset):
        into = dataset
        if is_deep:
            into = Dataset()
            dataset.ReferencedImageSequence = [into]
        for keyword in keywords("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"):
            if keyword not in _IDENTIFIERS:  # of which every word goes everywhere
                setattr(into, keyword, STRANGER)

    made = released(key, tmp_path, change)
    left = {one.keyword for one in made.iterall() if one.VR != "SQ" and STRANGER in str(one.value)}
    assert left == {
        "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "SecondaryCaptureDeviceManufacturer",
        "SecondaryCaptureDeviceManufacturerModelName", "SecondaryCaptureDeviceSoftwareVersions",
        "DetectorManufacturerName", "DetectorManufacturerModelName", "ConvolutionKernel", "FilterType", "SequenceName",
        "PulseSequenceName", "ImagedNucleus", "ReceiveCoilName", "TransmitCoilName", "StackID", "RescaleType",
        "ModalityLUTType", "TransducerData", "ProcessingFunction", "OutputPower", "ContrastBolusRoute",
        "PositionReferenceIndicator",
    }  # fmt: skip


def test_of_all_bytes_that_dicom_has_only_pictures_leave(key, tmp_path) -> None:
    def change(dataset):
        pictures = ("ColorLookupTable", "LUTData", "PixelData", "ICCProfile")
        for keyword in keywords("OB", "OW", "OF", "OD", "OL", "OV"):
            if not any(part in keyword for part in pictures):
                dataset.add_new(keyword, "OB", STRANGER.encode())
        dataset.ICCProfile = STRANGER.encode()

    made = released(key, tmp_path, change)
    assert STRANGER.encode() not in made.PixelData + b"".join(
        element.value for element in made.iterall() if isinstance(element.value, bytes)
    )


@pytest.mark.parametrize("keyword", ["InstanceNumber", "PixelSpacing", "Rows", "RescaleType", "ScanOptions"])
@pytest.mark.parametrize("vr", ["LO", "UT", "OB", "UI", "CS"])
def test_no_text_leaves_as_something_else(key, tmp_path, keyword, vr) -> None:
    value = STRANGER.encode() if vr == "OB" else STRANGER
    try:
        released(key, tmp_path, lambda dataset: dataset.add_new(keyword, vr, value))
    except BadInputError:
        assert not (tmp_path / "out.dcm").exists()
    else:
        is_as_listed = (keyword, vr) == ("RescaleType", "LO")
        assert (STRANGER.encode() in (tmp_path / "out.dcm").read_bytes()) == is_as_listed


@pytest.mark.parametrize(
    ("code", "left"),
    [
        (("10200004", "SCT", STRANGER), ("10200004", "SCT", "Liver structure (body structure)")),
        (("999999994", "SCT", f"liver of {STRANGER}"), ("999999994", "SCT", "liver of")),
        (("4711081-2", "LN", "liver"), ("4711081-2", "LN", "liver")),
        (("mm2", "UCUM", STRANGER), ("mm2", "UCUM", "square millimeter")),
        (("10*6/ml", "UCUM", "liver"), ("10*6/ml", "UCUM", "liver")),
        (("[iU]/ml{liver}", "UCUM", "liver"), ("[iU]/ml{liver}", "UCUM", "liver")),
        (("{pixels}2", "UCUM", "Pixels"), ("{pixels}2", "UCUM", "Pixels")),
        (("T-62000", "SRT", "liver"), ("T-62000", "SRT", "liver")),
        (("{pixels}", "UCUM", "Pixels"), ("{pixels}", "UCUM", "Pixels")),
        (("lesion_type", "99HEPATIC", "Lesion type"), ("lesion_type", "99HEPATIC", "Lesion type")),
    ],
)
def test_codes_of_standards_and_of_ours_mean_what_they_meant(key, tmp_path, code, left) -> None:
    made = released(key, tmp_path, lambda dataset: setattr(dataset, "ViewCodeSequence", [coded(*code)]))
    (item,) = made.ViewCodeSequence
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == left


def test_a_code_of_another_site_is_another_but_always_the_same(key, tmp_path) -> None:
    theirs = [coded(STRANGER, f"99{STRANGER}", "cyst"), coded("K1", "99CLINIC", STRANGER), coded(STRANGER, "SCT", "x")]
    longer = Dataset()
    longer.LongCodeValue, longer.CodingSchemeDesignator, longer.CodeMeaning = STRANGER * 2, "SCT", "y"
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = f"99{STRANGER}", STRANGER

    def change(dataset):
        dataset.ViewCodeSequence = [*theirs, longer]
        dataset.AnatomicRegionSequence = [coded("K1", "99CLINIC", "z")]
        dataset.CodingSchemeIdentificationSequence = [scheme]
        dataset.CodeMeaning = STRANGER

    made = released(key, tmp_path, change)
    assert STRANGER.encode() not in (tmp_path / "out.dcm").read_bytes()
    assert {item.CodingSchemeDesignator for item in made.ViewCodeSequence} == {"99HEPATIC"}
    assert len({item.CodeValue for item in made.ViewCodeSequence}) == 4
    assert made.AnatomicRegionSequence[0].CodeValue == made.ViewCodeSequence[1].CodeValue
    assert made.ViewCodeSequence[0].CodeMeaning == "cyst"


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


@pytest.mark.parametrize(
    ("concept", "number", "unit", "left"),
    [
        ("121033", "93", "a", ("90", "a")),
        ("121033", "1200", "mo", ("90", "a")),
        ("121033", "45", "a", ("45", "a")),
        ("424144002", "34000", "d", ("90", "a")),
        ("121033", "93", "furlong", None),
        ("8302-2", "1.8", "m", ("1.8", "m")),
        ("121030", "93", "a", None),
    ],
)
def test_a_report_tells_no_age_above_90_and_nothing_where_it_is_not_asked_for(
    objects, tmp_path, key, concept, number, unit, left
) -> None:
    report = pydicom.dcmread(objects / "sr.dcm")
    item, measured = Dataset(), Dataset()
    scheme = "LN" if "-" in concept else "DCM" if len(concept) == 6 else "SCT"
    item.RelationshipType, item.ValueType = "HAS OBS CONTEXT", "NUM"
    item.ConceptNameCodeSequence = [coded(concept, scheme, "Subject Age")]
    measured.NumericValue, measured.FloatingPointValue = number, float(number)
    measured.MeasurementUnitsCodeSequence = [coded(unit, "UCUM", unit)]
    item.MeasuredValueSequence = [measured]
    report.ContentSequence.append(item)
    report.save_as(tmp_path / "in.dcm")
    for options, expected in ((frozenset(), None), (ALL, left)):
        deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", Deidentifier(key, options))
        told = [
            (str(one.MeasuredValueSequence[0].NumericValue), unit_of(one))
            for one in pydicom.dcmread(tmp_path / "out.dcm").ContentSequence
            if one.ConceptNameCodeSequence[0].CodeValue == concept
        ]
        assert told == ([] if expected is None else [expected])


def unit_of(item: Dataset) -> str:
    return str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue)


@pytest.mark.parametrize(("age", "left"), [("089Y", "089Y"), ("093Y", "090Y"), ("999W", "999W"), ("Rosa", "")])
def test_an_age_is_an_age(tmp_path, key, age, left) -> None:
    made = released(key, tmp_path, lambda dataset: dataset.add_new("PatientAge", "AS", age))
    assert made.PatientAge == left


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"])
def test_nothing_is_left_behind_the_pixels_nor_above_their_bits(tmp_path, key, signed, name) -> None:
    dataset = pydicom.dcmread(get_testdata_files(name)[0])
    order = ">" if "big" in name else "<"
    shown = (np.arange(64 * 64) % 192 - 96 * signed).astype(f"{order}i2")
    drawn = np.where(np.arange(64 * 64) % 7, 0x4000, 0).astype(f"{order}i2")  # an old overlay, in bit 14
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = signed, 12, 11
    dataset.PixelData = (shown ^ drawn).astype(f"{order}i2").tobytes() + b"Aloisia Gruenwald "
    dataset.add_new(Tag(0x6000, 0x0102), "US", 14)
    dataset.save_as(tmp_path / "in.dcm")
    deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", Deidentifier(key))
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.PixelData == shown.tobytes()
    assert Tag(0x6000, 0x0102) not in made


def test_an_odd_number_of_bytes_is_padded_with_nothing(tmp_path, key) -> None:
    def change(dataset):
        dataset.Rows, dataset.Columns = 3, 5
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelData = 7, bytes(range(15)) + b"A"
        dataset["PixelData"].VR = "OB"

    assert released(key, tmp_path, change).PixelData == bytes(range(15)) + b"\0"


def test_a_file_that_ends_within_its_pixels_stays(tmp_path, key) -> None:
    (file,) = write_ct(tmp_path / "ct", shape=(1, 12, 16))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadInputError, match="truncated"):
        deidentify_file(file, tmp_path / "out.dcm", Deidentifier(key))
    assert not (tmp_path / "out.dcm").exists()


def test_compressed_pixels_with_an_overlay_in_them_stay(tmp_path, key) -> None:
    dataset = pydicom.dcmread(get_testdata_files("MR_small_RLE.dcm")[0])
    dataset.add_new(Tag(0x6002, 0x0102), "US", 12)
    dataset.save_as(tmp_path / "in.dcm")
    with pytest.raises(BadInputError, match="overlay"):
        deidentify_file(tmp_path / "in.dcm", tmp_path / "out.dcm", Deidentifier(key))


def test_how_a_picture_was_compressed_stays(tmp_path, key, tool) -> None:
    methods = ["ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_13818_2"]

    def change(dataset):
        dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", methods
        dataset.LossyImageCompressionRatio = [8, 2, 3, 4]

    assert list(released(key, tmp_path, change).LossyImageCompressionMethod) == methods
    assert not [line for line in complaints(tool, tmp_path / "out.dcm") if "Lossy" in line]


@pytest.mark.parametrize("written", [STRANGER.upper(), ["ISO_IR 192", f"ISO {STRANGER.upper()}"], "ISO_IR 100"])
def test_texts_leave_in_one_character_set(tmp_path, key, written) -> None:
    def change(dataset):
        dataset.Manufacturer = "Geräte"
        dataset.SpecificCharacterSet = written

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an unknown character set
        made = released(key, tmp_path, change)
    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert STRANGER.upper().encode() not in (tmp_path / "out.dcm").read_bytes()
    if written == "ISO_IR 100":
        assert made.Manufacturer == "Geräte"


def test_a_class_or_scheme_that_is_no_standards_is_another(tmp_path, key) -> None:
    theirs = "1.2.276.0.4711.8150.1"

    def change(dataset):
        reference, scheme = Dataset(), Dataset()
        reference.ReferencedSOPClassUID = reference.ReferencedTransferSyntaxUIDInFile = theirs
        scheme.CodingSchemeUID = theirs
        snomed = Dataset()
        snomed.CodingSchemeDesignator, snomed.CodingSchemeUID = "SCT", "2.16.840.1.113883.6.96"
        dataset.ReferencedImageSequence = [reference]
        dataset.CodingSchemeIdentificationSequence = [scheme, snomed]
        dataset.file_meta.MediaStorageSOPClassUID = theirs

    made = released(key, tmp_path, change)
    assert theirs.encode() not in (tmp_path / "out.dcm").read_bytes()
    assert made.file_meta.MediaStorageSOPClassUID == made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert made.ReferencedImageSequence[0].ReferencedSOPClassUID == key.uid(theirs)
    assert made.CodingSchemeIdentificationSequence[1].CodingSchemeUID == "2.16.840.1.113883.6.96"
    with pytest.raises(BadInputError, match="standard SOP class"):
        released(key, tmp_path, lambda dataset: setattr(dataset, "SOPClassUID", theirs))


@pytest.mark.parametrize(
    ("name", "keyword", "written", "left"),
    [
        ("Lee^Kim", "ScanOptions", "LEE KIM", REMOVED),
        ("Lee^Kim", "ConvolutionKernel", "LEEKIM", REMOVED),
        ("Lee^Kim", "Manufacturer", "Kimura scanner", "Kimura scanner"),
        ("Ng^Xu", "Manufacturer", "Ng Xu scanner", "scanner"),
        ("No^An", "ScanOptions", "NO", "NO"),
        ("Head^Gina", "ImageType", ["ORIGINAL", "HEAD"], ["ORIGINAL", "HEAD"]),
        ("Aloisia^Klug", "ReceiveCoilName", "ALOISIAS COIL", "COIL"),
        ("Aloisia^Klug", "ManufacturerModelName", "AloisiaG", REMOVED),
        ("Aloisia^Klug", "ImageType", ["ORIGINAL", "PRIMARY", "ALOISIA1"], ["ORIGINAL", "PRIMARY", REMOVED]),
        ("Aloisia^Klug", "ManufacturerModelName", "Brilliance 64", "Brilliance 64"),
        ("Grünwald^A", "SoftwareVersions", "GRUENWALD", REMOVED),
        ("Gruenwald^A", "SoftwareVersions", "Grünwald", REMOVED),
        ("Grünwald^A", "SoftwareVersions", "Grunwald", REMOVED),
        ("Grünwald^A", "SoftwareVersions", unicodedata.normalize("NFD", "Grünwald"), REMOVED),
        ("Yamada^Tarou=山田^太郎", "SoftwareVersions", "山田太郎", REMOVED),
        ("Yamada^Tarou=山田^太郎", "SoftwareVersions", "山田", REMOVED),
    ],
)
def test_no_other_spelling_of_a_name_stays(tmp_path, key, name, keyword, written, left) -> None:
    def change(dataset):
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", name
        dataset.add_new(keyword, dictionary_VR(keyword), written)

    made = released(key, tmp_path, change)[keyword].value
    assert (list(made) if isinstance(left, list) else made) == left


def test_a_sex_is_a_defined_term(tmp_path, key) -> None:
    def change(dataset):
        dataset.PatientSex, dataset.PatientSexNeutered, dataset.SmokingStatus = STRANGER.upper(), "MUELLER", "MUELLER"

    made = released(key, tmp_path, change)
    assert (made.PatientSex, made.PatientSexNeutered, made.SmokingStatus) == ("", "", "")
    made = released(key, tmp_path, lambda dataset: dataset.update({"PatientSex": "F", "SmokingStatus": "NO"}))
    assert (made.PatientSex, made.SmokingStatus) == ("F", "NO")


def test_tables_end_where_their_descriptors_say(tmp_path, key) -> None:
    table, text = np.arange(256, dtype="<u2").tobytes(), STRANGER.encode()

    def lut(vr, data, descriptor):
        item = Dataset()
        item.add_new("LUTData", vr, data)
        if descriptor:
            item.add_new("LUTDescriptor", "US", descriptor)
        return item

    def change(dataset):
        as_numbers = [*range(256), *np.frombuffer(text, "<u2").tolist()]
        dataset.VOILUTSequence = [lut("OW", table + text, [256, 0, 16]), lut("US", as_numbers, [256, 0, 16])]
        dataset.ModalityLUTSequence = [lut("OW", text, None)]
        for colour in ("Red", "Green", "Blue", "Alpha"):
            dataset.add_new(
                f"{colour}PaletteColorLookupTableDescriptor", "US", [5, 0, 8]
            ) if colour != "Alpha" else None
            dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", b"abcde" + bytes(1))
        dataset.GreenPaletteColorLookupTableData = b"abcde\0\0\0\0\0" + text
        dataset.ExtendedOffsetTable = dataset.ExtendedOffsetTableLengths = text + b"\0\0"

    made = released(key, tmp_path, change)
    assert text not in (tmp_path / "out.dcm").read_bytes()
    assert made.VOILUTSequence[0].LUTData == table
    assert list(made.VOILUTSequence[1].LUTData) == list(range(256))
    assert made.RedPaletteColorLookupTableData == made.AlphaPaletteColorLookupTableData == b"abcde\0"
    assert made.GreenPaletteColorLookupTableData == b"abcde\0\0\0\0\0"
    assert "ExtendedOffsetTable" not in made
    assert "ExtendedOffsetTableLengths" not in made


@pytest.mark.parametrize("options", [frozenset(), ALL], ids=["basic", "all options"])
def test_the_version_of_a_context_group_is_no_date_of_the_patient(tmp_path, key, options) -> None:
    def change(dataset):
        dataset.PatientBirthDate = "19520607"
        ours, theirs, birth = (coded("51185008", "SCT", "Chest") for _ in range(3))
        for item, uid in (
            (ours, "1.2.840.10008.6.1.308"),
            (theirs, "1.2.276.0.4711"),
            (birth, "1.2.840.10008.6.1.308"),
        ):
            item.ContextUID, item.ContextGroupVersion = uid, "20020904"
        birth.ContextGroupVersion = "19520607"
        dataset.AnatomicRegionSequence = [ours, theirs, birth]

    ours, theirs, birth = released(key, tmp_path, change, options).AnatomicRegionSequence
    assert ours.ContextGroupVersion == "20020904"
    assert str(theirs.get("ContextGroupVersion", "")) != "20020904"
    assert str(birth.get("ContextGroupVersion", "")) != "19520607"


@pytest.mark.parametrize(
    ("keyword", "written", "left"),
    [
        ("ContentTime", "4711.0815", ""),
        ("ContentTime", "47110815", ""),
        ("ContentTime", "101500.25", "101500.25"),
        ("ContentTime", "10:15:00", "10:15:00"),
        ("AcquisitionDateTime", "20240229 0043664123", ""),
        ("AcquisitionDateTime", "202402290043664123", ""),
        ("AcquisitionDateTime", "20240229101500+0100", "101500+0100"),
        ("AcquisitionDateTime", "20240229+0100", "+0100"),
        ("SeriesNumber", "83910427", ""),
        ("KVP", "83910427.0", ""),
        ("AcquisitionNumber", "19520607", ""),
        ("SeriesNumber", "3", "3"),
        ("KVP", "120.5", "120.5"),
    ],
)
def test_times_are_times_and_numbers_are_not_the_patients(tmp_path, key, keyword, written, left) -> None:
    def change(dataset):
        dataset.PatientID, dataset.PatientBirthDate = "HOSP-83910427", "19520607"
        dataset.add_new(keyword, dictionary_VR(keyword), written)

    made = released(key, tmp_path, change).get(keyword)
    told = "" if made is None else str(made)
    assert (told[8:] if keyword.endswith("DateTime") else told) == left


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("SCT", "83910427"), ("LN", "4711081-5"), ("UCUM", "Mary"), ("UCUM", "J.Doe"), ("UCUM", "8391"),
        ("UCUM", "mm{Mary}"), ("SRT", "M-MARIA"), ("FMA", "4711081"),
    ],
)  # fmt: skip
def test_a_code_that_only_looks_like_one_is_another(tmp_path, key, scheme, value) -> None:
    def change(dataset):
        dataset.PatientID, dataset.ViewCodeSequence = "HOSP-4711081", [coded(value, scheme, "cyst")]

    (item,) = released(key, tmp_path, change).ViewCodeSequence
    assert item.CodeMeaning == "cyst"
    assert item.CodingSchemeDesignator == ("UCUM" if scheme == "UCUM" else "99HEPATIC")
    assert value.encode() not in (tmp_path / "out.dcm").read_bytes()


@pytest.mark.parametrize(
    ("keyword", "written", "left"),
    [
        ("BodyPartExamined", "ABDOMEN", "ABDOMEN"),
        ("BodyPartExamined", "CHESTABDPELVIS", "CHESTABDPELVIS"),
        ("BodyPartExamined", "LIVER MUELLER", ""),
        ("BodyPartExamined", "KRATOCHVIL", ""),
        ("ContentLabel", "VERSION_2", "VERSION_2"),
        ("ContentLabel", "DR_MUELLER", "ANONYMIZED"),
    ],
)
def test_coded_strings_that_somebody_chooses_are_known_words(tmp_path, key, keyword, written, left) -> None:
    assert (released(key, tmp_path, lambda dataset: setattr(dataset, keyword, written)).get(keyword) or "") == left
