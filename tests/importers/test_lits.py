"""LiTS, and the Decathlon's copy of it, become studies with labels."""

import numpy as np
import pytest

from hepatic.boxes import from_voxels
from hepatic.engine.label_boxes import read_lesions
from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from tests.importers.conftest import RAS, mask, scan, write_nifti

LESIONS = [[2, 3, 4, 4, 6, 8], [5, 7, 10, 6, 9, 12]]


@pytest.fixture
def lits(tmp_path):
    root = tmp_path / "LITS"
    for number in (0, 28):
        write_nifti(root / "Training Batch 1" / f"volume-{number}.nii", scan(number))
        write_nifti(root / "Training Batch 1" / f"segmentation-{number}.nii", mask())
    write_nifti(root / "Test Data" / "test-volume-0.nii", scan(7))
    return root


def test_scans_come_with_masks_patients_and_licence(lits, bring, store):
    outcomes = bring("lits", lits)
    assert {name: (o.image, o.label, o.boxes) for name, o in outcomes.items()} == {
        "lits-0": ("added", "added", 2), "lits-28": ("added", "added", 2), "lits-test-0": ("added", "none", 0),
    }  # fmt: skip
    image = store.images.get("lits-28")
    assert (image.patient_id, image.modality, image.description) == ("LiTS-28", "CT", "")
    assert image.study_uid.startswith("2.25.")
    assert image.info["source"] == {
        "name": "LiTS", "licence": "CC BY-NC-ND 4.0",
        "url": "https://competitions.codalab.org/competitions/17094", "case": "volume-28.nii",
    }  # fmt: skip


def test_a_lesion_has_a_box_and_the_label_can_be_trained_on(lits, bring, store):
    bring("lits", lits)
    (case,) = [case for case in store.labelled_cases("final") if case.image_id == "lits-0"]
    assert case.patient_id == "LiTS-0"
    assert case.label_info["boxes_known"] == "complete"
    expected = from_voxels(LESIONS, grid_of(case.source))
    np.testing.assert_allclose(case.label_info["boxes_lps_mm"], expected, atol=1e-3)
    labelmap = read_labelmap(case.label, like=grid_of(case.source))
    assert labelmap.names == {"liver": 1, "tumour": 2}
    np.testing.assert_array_equal(labelmap.array, mask())


def test_a_detector_is_trained_on_the_same_boxes(lits, bring, store):
    bring("lits", lits)
    case = store.labelled_cases("final")[0]
    lesions = read_lesions(case.label, grid_of(case.source), {})
    np.testing.assert_allclose(lesions.boxes, case.label_info["boxes_lps_mm"], atol=1e-3)
    np.testing.assert_array_equal(lesions.liver, mask() > 0)


def test_a_second_import_adds_nothing_and_overwrites_no_correction(lits, bring, store, tmp_path):
    bring("lits", lits)
    corrected = write_nifti(tmp_path / "corrected.nii.gz", np.zeros_like(mask()))
    store.labels.save("lits-0", "final", corrected, author="Dr. K")
    store.labels.remove("lits-28", "final")
    files = {path: path.read_bytes() for path in store.root.glob("lits*")}
    outcomes = bring("lits", lits)
    assert {(o.image, o.label) for o in outcomes.values()} == {("there", "there"), ("there", "none")}
    assert store.labels.latest("lits-0", "final").author == "Dr. K"
    assert {path: path.read_bytes() for path in store.root.glob("lits*")} == files


def test_an_import_that_was_cut_off_goes_on(lits, bring, store, monkeypatch):
    with monkeypatch.context() as cut:
        cut.setattr(store.images, "update_info", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            bring("lits", lits)
    outcomes = bring("lits", lits)
    assert {o.label for name, o in outcomes.items() if "test" not in name} == {"added"}
    assert store.images.get("lits-0").info["source"]["name"] == "LiTS"
    assert store.images.get("lits-0").patient_id == "LiTS-0"


def _power_cut(*_):
    raise KeyboardInterrupt


def test_a_mask_with_another_header_counts_voxel_by_voxel_and_one_of_another_size_is_refused(lits, bring, store):
    shifted = RAS.copy()
    shifted[:3, 3] += 50
    write_nifti(lits / "Training Batch 1" / "segmentation-0.nii", mask(), affine=shifted)
    write_nifti(lits / "Training Batch 1" / "segmentation-28.nii", mask()[:5])
    outcomes = bring("lits", lits)
    assert outcomes["lits-0"].boxes == 2
    assert (outcomes["lits-28"].image, outcomes["lits-28"].label) == ("added", "refused")
    assert "16 x 12 x 8" in outcomes["lits-28"].why
    label = store.labels.path(store.labels.latest("lits-0", "final"))
    np.testing.assert_array_equal(read_labelmap(label, like=grid_of(store.source("lits-0"))).array, mask())


def test_a_broken_scan_is_left_out_and_leaves_nothing_behind(lits, bring, store):
    (lits / "Training Batch 1" / "volume-0.nii").write_bytes(b"not an image")
    outcomes = bring("lits", lits)
    assert outcomes["lits-0"].image == "refused"
    assert outcomes["lits-28"].image == "added"
    assert not list(store.root.glob("lits-0*"))


def test_another_image_of_that_name_is_never_replaced(lits, bring, store):
    mine = write_nifti(store.root / "lits-0.nii", scan(99)).read_bytes()
    store.rescan()
    outcome = bring("lits", lits)["lits-0"]
    assert outcome.image == "refused"
    assert "another" in outcome.why
    assert (store.root / "lits-0.nii").read_bytes() == mine
    assert not (store.root / "lits-0.json").exists()


def test_an_empty_folder_says_what_should_be_in_it(tmp_path, bring):
    (tmp_path / "other").mkdir()
    with pytest.raises(BadInputError, match=r"volume-N\.nii"):
        bring("lits", tmp_path / "other")


def test_the_decathlon_has_the_same_patients_as_lits(lits, bring, store, tmp_path):
    root = tmp_path / "Task03_Liver"
    write_nifti(root / "imagesTr" / "liver_28.nii.gz", scan(28))
    write_nifti(root / "labelsTr" / "liver_28.nii.gz", mask())
    write_nifti(root / "imagesTs" / "liver_131.nii.gz", scan(3))
    (root / "imagesTr" / "._liver_28.nii.gz").write_bytes(b"macOS")
    outcomes = bring("msd-liver", root)
    assert {name: (o.image, o.boxes) for name, o in outcomes.items()} == {
        "msd-liver-28": ("added", 2), "msd-liver-131": ("added", 0),
    }  # fmt: skip
    bring("lits", lits)
    assert store.images.get("msd-liver-28").patient_id == store.images.get("lits-28").patient_id
    assert store.images.get("msd-liver-28").description == "portal venous"
    assert store.images.get("msd-liver-28").info["source"]["licence"] == "CC BY-SA 4.0"


def test_a_removed_image_takes_what_is_said_of_it_along(lits, bring, store):
    bring("lits", lits)
    store.remove_image("lits-0")
    assert not list(store.root.glob("lits-0*"))
    assert len(list(store.data.glob("removed/**/lits-0.json"))) == 1
