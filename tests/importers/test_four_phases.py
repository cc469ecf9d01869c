"""Four-phase data sets become studies of four images."""

import tarfile

import numpy as np
import pytest
import SimpleITK

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.harvest.prepare import prepare_study
from hepatic.harvest.series import Series
from hepatic.harvest.study import Phase
from hepatic.io.grid import grid_of
from tests.importers.conftest import mask, scan, write_nifti


def write_mask_like(path, image, array):
    made = SimpleITK.GetImageFromArray(array.astype(np.uint8))
    made.CopyInformation(SimpleITK.ReadImage(str(image)))
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(made, str(path))


@pytest.fixture
def waw(tmp_path):
    root = tmp_path / "WAW-TACE"
    for patient, phases in ((10, 4), (2, 3)):
        for phase in range(phases):
            write_nifti(root / str(patient) / f"{patient}_{phase}_scan.nii.gz", scan(phase))
    touching = np.zeros((2, 8, 12, 16), bool)
    touching[0, 2:4, 3:6, 4:8] = touching[1, 2:4, 3:6, 8:10] = True
    for lesion in (0, 1):
        path = root / "tumor_masks_wawtace_v1_08_05_2024" / "10" / f"10_1_{lesion}_tumor_seg.nrrd"
        write_mask_like(path, root / "10" / "10_1_scan.nii.gz", touching[lesion])
    return root


def test_the_phases_of_a_patient_of_waw_tace_are_one_study(waw, bring, store):
    outcomes = bring("waw-tace", waw)
    assert len(outcomes) == 7
    images = [store.images.get(f"waw-tace-10-{phase}") for phase in ("nc", "arterial", "venous", "delayed")]
    assert len({image.study_uid for image in images}) == 1
    assert {image.patient_id for image in images} == {"WAW-TACE-10"}
    assert [image.description for image in images] == ["nc", "arterial", "venous", "delayed"]
    assert store.images.get("waw-tace-2-nc").study_uid != images[0].study_uid


def test_they_can_be_prepared_for_review_phase_by_phase(waw, bring, store, tmp_path):
    bring("waw-tace", waw)
    study = store.images.get("waw-tace-10-venous").study_uid
    images = [image for image in store.images.all() if image.study_uid == study and image.modality == "CT"]
    series = [Series(i.id, store.source(i.id), i.description, i.study_uid, i.patient_id) for i in images]
    prepared = prepare_study(series, find_phase=None, find_liver=None, cache=tmp_path / "cache", methods=())
    assert {phase: one.image_id for phase, one in prepared.phases.items()} == {
        phase: f"waw-tace-10-{phase}" for phase in Phase
    }
    assert prepared.patient_id == "WAW-TACE-10"


def test_lesions_that_touch_keep_a_box_each_in_the_phase_they_were_drawn_in(waw, bring, store):
    outcomes = bring("waw-tace", waw)
    assert {name: o.boxes for name, o in outcomes.items() if o.label == "added"} == {"waw-tace-10-arterial": 2}
    (case,) = store.labelled_cases("final")
    expected = from_voxels([[2, 3, 4, 4, 6, 8], [2, 3, 8, 4, 6, 10]], grid_of(case.source))
    np.testing.assert_allclose(case.label_info["boxes_lps_mm"], expected, atol=1e-3)
    assert case.label_info["label_info"] == [{"name": "tumour", "idx": 2}]  # the liver is not marked, not absent


@pytest.fixture
def mct(tmp_path):
    root = tmp_path / "MCT-LTDiag"
    labels = mask()
    for name in ("nc", "art", "pvp", "delay"):
        write_nifti(root / "230218a1" / "NIFTI" / f"{name}.nii.gz", scan())
    write_nifti(root / "230218a1" / "mask_pvp.nii.gz", (labels == 2).astype(np.uint8))
    write_nifti(root / "230218a1" / "liver_mask_pvp.nii.gz", (labels > 0).astype(np.uint8))
    (root / "meta_info_patient.tab").write_text('"ID"\t"gender"\t"type"\n"230218a1"\t"F"\t"ICC"\n')
    return root


def check_mct(outcomes, store):
    assert {name: (o.image, o.label, o.boxes) for name, o in outcomes.items()} == {
        "mct-ltdiag-230218a1-nc": ("added", "none", 0), "mct-ltdiag-230218a1-arterial": ("added", "none", 0),
        "mct-ltdiag-230218a1-venous": ("added", "added", 2), "mct-ltdiag-230218a1-delayed": ("added", "none", 0),
    }  # fmt: skip
    image = store.images.get("mct-ltdiag-230218a1-venous")
    assert image.info["facts"] == {"diagnosis": "ICC"}
    assert image.info["source"]["licence"] == "CC0 1.0"
    assert image.patient_id == "MCT-LTDiag-230218a1"


def test_an_unpacked_patient_of_mct_ltdiag_is_a_study_with_liver_and_tumours(mct, bring, store):
    check_mct(bring("mct-ltdiag", mct), store)


def test_so_is_one_that_is_still_an_archive(mct, bring, store, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "230218a1.tar", "w") as tar:
        tar.add(mct / "230218a1", arcname="230218a1")
    (packed / "meta_info_patient.csv").write_text("ID,type\n230218a1,ICC\n")
    check_mct(bring("mct-ltdiag", packed), store)
    assert {o.image for o in bring("mct-ltdiag", packed).values()} == {"there"}


def test_a_broken_archive_is_named(tmp_path, bring):
    (tmp_path / "1.tar").write_bytes(b"cut off")
    with pytest.raises(BadInputError, match=r"1\.tar"):
        bring("mct-ltdiag", tmp_path)


def test_a_link_in_an_archive_leads_nowhere(tmp_path, bring, store):
    (tmp_path / "secret.nii.gz").write_bytes(write_nifti(tmp_path / "x.nii.gz", scan()).read_bytes())
    packed = tmp_path / "packed"
    packed.mkdir()
    with tarfile.open(packed / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("NIFTI/pvp.nii.gz")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.nii.gz")
        tar.addfile(link)
    outcomes = bring("mct-ltdiag", packed)
    assert [o.image for o in outcomes.values()] == ["refused"]
    assert store.images.ids() == []
