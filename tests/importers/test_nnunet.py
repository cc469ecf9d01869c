"""nnU-Net data sets become studies, one per case."""

import json

import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.io.labelmap import read_labelmap
from tests.importers.conftest import mask, scan, write_nifti


@pytest.fixture
def nnunet(tmp_path):
    root = tmp_path / "Dataset501_Liver"

    def write(labels, **more):
        about = {
            "channel_names": {"0": "arterial", "1": "venous"},
            "modality": {"0": "CT", "1": "CT"},
            "labels": labels,
            "file_ending": ".nii.gz",
            **more,
        }
        root.mkdir(exist_ok=True)
        (root / "dataset.json").write_text(json.dumps(about))
        for channel in (0, 1):
            write_nifti(root / "imagesTr" / f"case_7_{channel:04d}.nii.gz", scan(channel))
            write_nifti(root / "imagesTs" / f"case_8_{channel:04d}.nii.gz", scan(channel))
        write_nifti(root / "labelsTr" / "case_7.nii.gz", mask())
        return root

    return write


def test_channels_are_phases_of_a_study_and_share_the_mask(nnunet, bring, store):
    outcomes = bring("nnunet", nnunet({"background": 0, "liver": 1, "tumor": 2}))
    assert {name: o.boxes for name, o in outcomes.items()} == {
        "Dataset501_Liver-case_7-0000": 2, "Dataset501_Liver-case_7-0001": 2,
        "Dataset501_Liver-case_8-0000": 0, "Dataset501_Liver-case_8-0001": 0,
    }  # fmt: skip
    first, second = (store.images.get(f"Dataset501_Liver-case_7-000{channel}") for channel in (0, 1))
    assert first.study_uid == second.study_uid
    assert (first.description, second.description) == ("arterial", "venous")
    assert first.patient_id == "Dataset501_Liver-case_7"


@pytest.mark.parametrize(
    "labels",
    [{"0": "background", "1": "liver", "2": "tumor"}, {"background": 0, "liver": [1, 2], "tumour": [2]}],
    ids=["version 1", "regions"],
)
def test_labels_are_understood_however_they_are_written(nnunet, bring, store, labels):
    bring("nnunet", nnunet(labels))
    case = store.labelled_cases("final")[0]
    labelmap = read_labelmap(case.label)
    assert labelmap.names == {"liver": 1, "tumour": 2}
    np.testing.assert_array_equal(labelmap.array, mask())


def test_patients_can_be_said(nnunet, bring, store):
    bring("nnunet", nnunet({"liver": 1, "tumour": 2}, patients={"case_7": "P1", "case_8": "P1"}))
    assert {store.images.get(image_id).patient_id for image_id in store.images.ids()} == {"P1"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"labels": {"liver": "many"}}', '{"labels": {"liver": -1}}'])
def test_a_description_that_says_nothing_is_refused(nnunet, bring, text):
    root = nnunet({"liver": 1})
    (root / "dataset.json").write_text(text)
    with pytest.raises(BadInputError, match=r"dataset\.json"):
        bring("nnunet", root)


def test_the_modality_is_that_of_the_channel(nnunet, bring, store):
    bring("nnunet", nnunet({"liver": 1}, channel_names={"0": "T1", "1": "CT_arterial"}, modality={}))
    found = {image.description: image.modality for image in store.images.all()}
    assert found == {"T1": "MR", "CT_arterial": "CT"}


@pytest.mark.parametrize("name", ["arterial", "PET", "noNorm", ""])
def test_a_channel_of_no_known_modality_is_refused(nnunet, bring, store, name):
    with pytest.raises(BadInputError, match="modality of channel 0000"):
        bring("nnunet", nnunet({"liver": 1}, channel_names={"0": name, "1": "CT"}, modality={}))
    assert store.images.ids() == []


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        ({"liver": 1, "tumour": 2}, "complete"),
        ({"liver": 1, "tumour": 2, "ignore": 3}, "positives_only"),
        ({"1": "liver", "2": "tumour", "3": "Ignore"}, "positives_only"),
    ],
)
def test_where_voxels_may_be_ignored_not_all_lesions_are_marked(nnunet, bring, store, labels, known):
    bring("nnunet", nnunet(labels))
    assert {case.label_info["boxes_known"] for case in store.labelled_cases("final")} == {known}
