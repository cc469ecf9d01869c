"""``hepatic import`` as a person types it."""

import json
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from typer.testing import CliRunner

from hepatic.errors import BadInputError
from hepatic.importers.kinds import IMPORTERS
from hepatic.io.header import header
from hepatic.store.folder import FolderStore
from hepatic.store.said import told_with
from sample_data.ceus import write_ceus
from sample_data.us import write_us
from server.cli import app
from server.commands.import_data import KINDS
from tests.importers.conftest import mask, scan, write_nifti

DOCS = (Path(__file__).parents[2] / "docs" / "import.md").read_text()


def hepatic(*arguments):
    result = CliRunner().invoke(app, ["import", *(str(argument) for argument in arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def lits(tmp_path):
    write_nifti(tmp_path / "LITS/volume-0.nii", scan())
    write_nifti(tmp_path / "LITS/segmentation-0.nii", mask())
    write_nifti(tmp_path / "LITS/volume-1.nii", scan(1))
    write_nifti(tmp_path / "LITS/segmentation-1.nii", mask()[:4])
    return tmp_path / "LITS"


def test_it_says_what_was_brought_what_was_left_out_and_under_which_licence(lits, tmp_path):
    said = hepatic("lits", lits, "--studies", tmp_path / "studies").output
    assert "LiTS: 2 images, CC BY-NC-ND 4.0" in said
    assert "2 images and 1 labels with 2 lesions were imported" in said
    assert "label left out: volume-1.nii" in said
    again = hepatic("lits", lits, "--studies", tmp_path / "studies").output
    assert "2 images were there already" in again
    assert "0 images and 0 labels" in again


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "LITS").mkdir()
    (tmp_path / "LITS/volume-0.nii").write_bytes(b"")
    with pytest.raises(BadInputError, match="images that cannot be used"):
        hepatic("lits", tmp_path / "LITS", "--studies", tmp_path / "studies")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mnist", "."), "lits"),
        (("lits", "/nowhere"), "Correct the path"),
        (("coco", ".", "--modality", "PET"), "one of XA, CT"),
    ],
)
def test_mistakes_are_explained(tmp_path, arguments, said):
    with pytest.raises(BadInputError, match=said):
        hepatic(*arguments, "--studies", tmp_path / "studies")
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize(("options", "modality"), [((), "OT"), (("--modality", "CT"), "CT")])
def test_the_modality_can_be_said_where_no_file_says_it(tmp_path, options, modality):
    write_nifti(tmp_path / "set/a.nii.gz", scan())
    images = [{"id": 1, "file_name": "a.nii.gz", "slice": 0}]
    (tmp_path / "set/boxes.json").write_text(json.dumps({"images": images, "categories": [], "annotations": []}))
    hepatic("coco", tmp_path / "set", "--studies", tmp_path / "studies", *options)
    store = FolderStore(tmp_path / "studies", header=header)
    assert [image.modality for image in store.images.all()] == [modality]
    store.close()


def test_help_names_every_kind_and_shows_examples():
    said = re.sub(r"[\s│]+", " ", hepatic("--help").stdout)
    assert tuple(IMPORTERS) == KINDS
    for kind in KINDS:
        assert kind in said
        assert f"`{kind}`" in DOCS
    assert "hepatic import lits" in said


def noted(studies):
    """Class by note of the only image."""
    store = FolderStore(studies, header=header)
    (image,) = store.images.all()
    store.close()
    return {note: image.info[note] for note in ("diagnosis", "lesion_type") if image.info.get(note)}


@pytest.mark.parametrize(
    ("label", "flags", "classes"),
    [
        ("Haemangioma", {}, {"lesion_type": "angioma"}),
        ("lesion", {"hcc": True, "blurred": True}, {"lesion_type": "hcc", "diagnosis": "hcc"}),
        ("lesion", {"blurred": True}, {}),
    ],
)
def test_classes_of_imported_outlines_are_noted(tmp_path, label, flags, classes):
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))).save(tmp_path / "still.png")
    shape = {"label": label, "shape_type": "rectangle", "points": [[10, 6], [30, 20]]}
    about = {"imagePath": "still.png", "imageData": None, "shapes": [shape], "flags": flags}
    (tmp_path / "still.json").write_text(json.dumps(about))
    hepatic("labelme", tmp_path, "--studies", tmp_path / "studies")
    assert noted(tmp_path / "studies") == classes


def test_classes_of_labels_from_a_folder_are_noted(tmp_path):
    write_us(tmp_path, 1, seed=3, size="tiny", kind="hcc")
    command = ["import-dir", str(tmp_path / "truth"), "--studies", str(tmp_path / "studies")]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert noted(tmp_path / "studies")["lesion_type"] == "hcc"


def test_what_paper_002_would_not_learn_from_is_told_and_imported_all_the_same(tmp_path):
    write_ceus(tmp_path, 1, seed=3, size="tiny")
    cine, still = sorted((tmp_path / "studies").rglob("*.dcm"), key=lambda file: -file.stat().st_size)
    child = pydicom.dcmread(cine)
    child.PatientAge = "012Y"
    child.save_as(cine)
    still.unlink()
    flags = tmp_path / "flags.json"
    said = hepatic("dicom", tmp_path / "studies", "--studies", tmp_path / "copy", "--flags", flags).output
    assert "1 images and 0 labels" in said
    assert "0 of 1 ultrasound images are eligible" in said
    (told,) = json.loads(flags.read_text()).values()
    names = [one["flag"] for one in told["flags"]]
    assert not {"under_18", "no_diagnosis", "no_box"} - set(names)
    assert "under_18" in said
    assert told["flags"][0] == {
        "flag": "under_18", "why": "the patient was 12 years old", "criterion": "inclusion a",
    }  # fmt: skip


def test_flags_are_counted_and_not_told_of_each_image(tmp_path):
    write_us(tmp_path, 3, seed=3, size="tiny", kind="hcc")
    said = hepatic("dicom", tmp_path / "studies", "--studies", tmp_path / "copy").output
    (row,) = [line for line in said.splitlines() if "no_diagnosis" in line]
    assert row.replace("│", " ").split()[1] == "3"
    assert "0 of 3 ultrasound images are eligible" in said
    assert "--flags FILE" in said


@pytest.fixture
def before(tmp_path):
    """A picture with the outline of an HCC, imported when no class was noted: store, image, and how to import again."""
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))).save(tmp_path / "still.png")
    shape = {"label": "hcc", "shape_type": "rectangle", "points": [[10, 6], [30, 20]]}
    about = {"imagePath": "still.png", "imageData": None, "shapes": [shape], "flags": {}}
    (tmp_path / "still.json").write_text(json.dumps(about))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.commands.noted.note_classes", lambda *_, **__: None)
        hepatic("labelme", tmp_path, "--studies", tmp_path / "studies")
    assert noted(tmp_path / "studies") == {}
    store = FolderStore(tmp_path / "studies", header=header)
    yield store, store.images.ids()[0], lambda: hepatic("labelme", tmp_path, "--studies", tmp_path / "studies").output
    store.close()


def test_a_second_import_notes_the_classes_of_labels_from_before_they_were_read(before, tmp_path):
    store, image, again = before
    assert "classes of 1 labels that were there already were noted" in again()
    assert noted(tmp_path / "studies") == {"diagnosis": "hcc", "lesion_type": "hcc"}
    (version,) = store.labels.history(image, "final")
    assert version.info["classes_said"] == {"diagnosis": "hcc", "lesion_type": "hcc"}
    assert "were noted" not in again()
    assert len(store.labels.history(image, "final")) == 1, "nothing is imported twice"


@pytest.mark.parametrize("said", [{"diagnosis": "non_hcc"}, {"diagnosis": ""}, {"lesion_type": "cyst"}])
def test_a_second_import_writes_over_nothing_that_a_reader_said_since(before, tmp_path, said):
    store, image, again = before
    file = tmp_path / "none.mrk.json"
    file.write_text('{"markups": []}')
    store.labels.save(image, "final", file, author="anna", info=told_with(said, {}))
    store.images.update_info(image, said)
    assert "were noted" not in again()
    assert noted(tmp_path / "studies") == {note: name for note, name in said.items() if name}


def test_a_class_that_was_noted_without_a_label_stands_and_a_removed_label_says_nothing(before, tmp_path):
    store, image, again = before
    store.images.update_info(image, {"diagnosis": "non_hcc"})
    again()
    assert noted(tmp_path / "studies") == {"diagnosis": "non_hcc"}
    store.images.update_info(image, {"diagnosis": ""})
    store.labels.remove(image, "final", author="anna")
    again()
    assert noted(tmp_path / "studies") == {}


def test_a_reader_who_only_drew_leaves_the_class_to_the_import(before, tmp_path):
    store, image, again = before
    file = tmp_path / "none.mrk.json"
    file.write_text('{"markups": []}')
    store.labels.save(image, "final", file, author="anna", info=told_with({}, {}))
    again()
    assert noted(tmp_path / "studies") == {"diagnosis": "hcc", "lesion_type": "hcc"}
    assert store.labels.latest(image, "final").info["classes_said"] == {}, "anna has not said so"


def test_a_second_import_of_a_folder_notes_classes_likewise(tmp_path):
    write_us(tmp_path, 1, seed=3, size="tiny", kind="hcc")
    command = ["import-dir", str(tmp_path / "truth"), "--studies", str(tmp_path / "studies")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.commands.noted.note_classes", lambda *_, **__: None)
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert noted(tmp_path / "studies") == {}
    assert "classes of 1 labels that were there already were noted" in CliRunner().invoke(app, command).output
    assert "were noted" not in CliRunner().invoke(app, command).output
    assert noted(tmp_path / "studies")["lesion_type"] == "hcc"
