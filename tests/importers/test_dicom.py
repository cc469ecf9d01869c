"""DICOM folders, with or without segmentations, become studies."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.importers.dicom import DATA_SET, cases
from hepatic.importers.keep import keep
from hepatic.io.dicom_seg import labels_seg
from hepatic.io.dicom_seg_read import read_dicom_seg
from hepatic.io.dicom_source import DicomSource
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap
from tests.importers.conftest import mask
from tests.importers.dicom_files import write_ct, write_seg
from tests.runs import write_run
from tests.store.studies import write_xa_run


def masks():
    """Liver with the tumours in it, and vessels beside."""
    labels = mask()
    vein = np.zeros_like(labels)
    vein[3, 8, 3:6] = 1
    aorta = np.zeros_like(labels)
    aorta[:, 10, 15] = 1
    return {"Liver": labels > 0, "Mass": labels == 2, "Portal vein": vein, "Abdominal aorta": aorta}


@pytest.fixture
def archive(tmp_path):
    root = tmp_path / "HCC-TACE-Seg"
    before = root / "HCC_001" / "04-21-2000-NA-CT-1"
    ct = write_ct(before / "103.000000-LIVER 3 PHASE-1")
    write_seg(before / "300.000000-Segmentation-1" / "1-1.dcm", ct, masks())
    write_ct(root / "HCC_001" / "08-01-2000-NA-CT-2" / "4.000000-POST-2", study="1.2.10", description="POST")
    (root / "LICENSE").write_text("CC BY 4.0")
    return root


def test_the_segmented_series_of_hcc_tace_gets_its_label_and_the_one_afterwards_none(archive, bring, store):
    outcomes = list(bring("hcc-tace", archive).values())
    assert sorted((o.image, o.label, o.boxes) for o in outcomes) == [("added", "added", 2), ("added", "none", 0)]
    (case,) = store.labelled_cases("final")
    image = store.images.get(case.image_id)
    assert (case.patient_id, image.study_uid, image.description) == ("HCC_001", "1.2.9", "LIVER 3 PHASE")
    assert image.info["source"]["licence"] == "CC BY 4.0"
    labelmap = read_labelmap(case.label, like=grid_of(case.source))
    assert set(labelmap.names) == {"liver", "tumour", "portal vein", "aorta"}
    np.testing.assert_array_equal(labelmap.array == labelmap.names["tumour"], mask() == 2)
    assert labelmap.array[3, 8, 4] == labelmap.names["portal vein"]
    expected = from_voxels([[2, 3, 4, 4, 6, 8], [5, 7, 10, 6, 9, 12]], grid_of(case.source))
    np.testing.assert_allclose(case.label_info["boxes_lps_mm"], expected, atol=1e-3)


def test_a_second_import_of_dicom_adds_nothing(archive, bring, store):
    bring("hcc-tace", archive)
    outcomes = bring("hcc-tace", archive)
    assert {o.image for o in outcomes.values()} == {"there"}
    assert len(store.images.ids()) == 2
    assert all(len(store.images.files(image_id)) == 8 for image_id in store.images.ids())


def test_a_folder_from_a_pacs_brings_series_and_runs_and_says_what_is_broken(tmp_path, bring, store):
    root = tmp_path / "export"
    write_ct(root / "A", patient="P3", description="venous")
    write_xa_run(root / "B" / "IM0", series="1.2.55", study="1.2.9", patient="P3")
    write_xa_run(root / "B" / "IM1", series="1.2.55", study="1.2.9", patient="P3")
    broken = write_ct(root / "C", patient="P4", shape=(1, 12, 16))[0]
    broken.write_bytes(broken.read_bytes()[:900])
    (root / "README.TXT").write_text("viewer")
    first, second = bring("dicom", root), bring("dicom", root)
    assert sorted(o.image for o in first.values()) == ["added", "added", "added", "refused"]
    assert sorted(o.image for o in second.values()) == ["refused", "there", "there", "there"]
    images = [store.images.get(image_id) for image_id in store.images.ids()]
    assert sorted(image.modality for image in images) == ["CT", "XA", "XA"]
    assert {image.patient_id for image in images} == {"P3"}


def test_two_segmentations_of_a_series_are_refused_and_the_series_is_kept(archive, bring, store):
    ct = sorted((archive / "HCC_001/04-21-2000-NA-CT-1/103.000000-LIVER 3 PHASE-1").glob("*.dcm"))
    write_seg(archive / "HCC_001/04-21-2000-NA-CT-1/301/1-1.dcm", ct, {"Liver": masks()["Liver"]})
    (segmented,) = [o for o in bring("hcc-tace", archive).values() if o.label != "none"]
    assert (segmented.image, segmented.label) == ("added", "refused")
    assert "one segmentation" in segmented.why


def test_a_segmentation_finds_its_series_in_the_studies_and_is_named_where_it_does_not(archive, bring, store, tmp_path):
    apart = tmp_path / "later"
    (archive / "HCC_001/04-21-2000-NA-CT-1/300.000000-Segmentation-1").rename(apart)
    (alone,) = bring("dicom", apart).values()
    assert alone.image == "refused"
    assert "1-1.dcm" in alone.why
    assert {o.label for o in bring("hcc-tace", archive).values()} == {"none"}
    (found,) = bring("hcc-tace", apart).values()
    assert (found.image, found.label, found.boxes) == ("there", "added", 2)


@pytest.fixture
def runs(tmp_path):
    """Two runs of one series and an ultrasound still, each with a segmentation of its own; what is drawn by image."""
    root, drawn = tmp_path / "cines", {}
    write_xa_run(root / "one.dcm", series="1.2.55", study="1.2.9")
    write_xa_run(root / "two.dcm", series="1.2.55", study="1.2.9")
    write_run(root / "still.dcm", frames=1, modality="US")
    (root / "seg").mkdir()
    for number, file in enumerate(sorted(root.glob("*.dcm"))):
        source = DicomSource.read(file)
        array = np.zeros(source.grid.shape, np.uint8)
        array[-1, : number + 1, :2] = 1
        made = labels_seg(Labelmap(array, source.grid), source, names={"tumour": 1}, algorithm=None)
        made.save_as(root / "seg" / file.name, enforce_file_format=True)
        drawn[str(source.datasets[0].SOPInstanceUID)] = array
    return root, drawn


@pytest.mark.parametrize("apart", [False, True], ids=["together", "the segmentations later"])
def test_runs_and_stills_get_their_labels_each_its_own(runs, tmp_path, bring, store, apart):
    root, drawn = runs
    if apart:
        (root / "seg").rename(tmp_path / "later")
        assert {(o.image, o.label) for o in bring("dicom", root).values()} == {("added", "none")}
        outcomes = [keep(store, DATA_SET, case) for case in cases(tmp_path / "later")]
    else:
        outcomes = list(bring("dicom", root).values())
    assert [(o.image, o.label, o.why) for o in outcomes] == [("there" if apart else "added", "added", "")] * 3
    found = {store.images.get(one.image_id).instance_uid: one for one in store.labelled_cases("final")}
    assert found.keys() == drawn.keys()
    for uid, array in drawn.items():
        labels = read_labelmap(found[uid].label, like=grid_of(found[uid].source))
        np.testing.assert_array_equal(labels.array, array)
        assert labels.names == {"tumour": 1}


def test_a_segmentation_of_a_run_that_is_not_there_goes_to_no_other_run_of_its_series(runs, bring, store):
    root, _ = runs
    (root / "two.dcm").unlink()
    outcomes = bring("dicom", root).values()
    assert sorted((o.image, o.label) for o in outcomes) == [("added", "added"), ("added", "added"), ("refused", "none")]
    assert next(o for o in outcomes if o.why).why.startswith("segmentation two.dcm of series 1.2.55")


def test_a_segmentation_of_several_files_that_lies_nowhere_is_no_damaged_one(runs, bring):
    root, _ = runs
    seg = pydicom.dcmread(root / "seg" / "one.dcm")
    (images,) = seg.ReferencedSeriesSequence
    other = pydicom.dcmread(root / "two.dcm").SOPInstanceUID
    images.ReferencedInstanceSequence.append(Dataset())
    images.ReferencedInstanceSequence[1].ReferencedSOPInstanceUID = other
    seg.save_as(root / "seg" / "one.dcm")
    (root / "seg" / "two.dcm").unlink()
    refused = [o.why for o in bring("dicom", root).values() if o.label == "refused"]
    assert len(refused) == 2
    assert all("2 files" in why for why in refused)


@pytest.mark.parametrize("told_by", ["AcquisitionNumber", "TemporalPositionIdentifier", "InstanceNumber"])
def test_phases_in_one_series_become_images_of_one_study(tmp_path, bring, store, told_by):
    root = tmp_path / "export"
    first = write_ct(root / "a")
    later = write_ct(root / "b")
    series = pydicom.dcmread(first[0]).SeriesInstanceUID
    for phase, files in enumerate((first, later)):
        for k, file in enumerate(files):
            ds = pydicom.dcmread(file)
            ds.SeriesInstanceUID = series
            setattr(ds, told_by, phase + 1 if told_by != "InstanceNumber" else 8 * phase + k + 1)
            ds.save_as(file)
    write_seg(root / "seg" / "1-1.dcm", later, masks())
    outcomes = bring("hcc-tace", root)
    assert {name: (o.image, o.label, o.boxes) for name, o in outcomes.items()} == {
        f"{series}-1": ("added", "none", 0), f"{series}-2": ("added", "added", 2),
    }  # fmt: skip
    one, two = (store.images.get(f"{series}-{n}") for n in (1, 2))
    assert (one.study_uid, one.patient_id, one.modality) == ("1.2.9", "HCC_001", "CT") == (
        two.study_uid, two.patient_id, two.modality,
    )  # fmt: skip
    assert grid_of(store.source(one.id)).matches(grid_of(sorted(first)), tolerance_mm=0.01)
    (case,) = store.labelled_cases("final")
    labelmap = read_labelmap(case.label)
    np.testing.assert_array_equal(labelmap.array == labelmap.names["tumour"], mask() == 2)
    assert {o.image for o in bring("hcc-tace", root).values()} == {"there"}


def test_a_series_that_cannot_be_told_apart_is_brought_as_it_is(tmp_path, bring, store):
    files = write_ct(tmp_path / "a")
    double = pydicom.dcmread(files[3])
    double.SOPInstanceUID = double.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    double.save_as(tmp_path / "a" / "again.dcm")
    (outcome,) = bring("dicom", tmp_path / "a").values()
    assert outcome.image == "added"
    assert len(store.images.files(store.images.ids()[0])) == 9


def test_a_segmentation_with_left_out_slices_lies_where_it_was_drawn(tmp_path):
    ct = write_ct(tmp_path / "ct")
    one = np.zeros((8, 12, 16), bool)
    one[5, 2:4, 3:9] = True
    seg = write_seg(tmp_path / "seg.dcm", ct, {"Mass": one})
    found = read_dicom_seg(seg, like=grid_of(tmp_path / "ct"), meaning={"mass": "tumour"})
    np.testing.assert_array_equal(found.array == 1, one)
    assert found.names == {"tumour": 1}


def test_what_is_no_segmentation_is_refused(tmp_path):
    ct = write_ct(tmp_path / "ct")
    with pytest.raises(BadInputError, match="segmentation"):
        read_dicom_seg(ct[0], like=grid_of(tmp_path / "ct"))


def test_an_empty_folder_is_refused(tmp_path, bring):
    with pytest.raises(BadInputError, match="DICOM"):
        bring("dicom", tmp_path)
