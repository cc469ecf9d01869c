"""The command line: help, errors, importing, versions."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from typer.testing import CliRunner

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.training_cases import cases_for
from hepatic.store.names import stem_of
from infer_tasks.us_fll import TASK as US_FLL
from sample_data.us import write_us
from sample_data.us.write import patient_id
from server.cli import app, main

from .conftest import FOREIGN_APP, write_image

COMMANDS = [
    ["serve"], ["infer"], ["train"], ["evaluate"], ["import"], ["import-dir"], ["sample-data"],
    ["models", "list"], ["models", "promote"], ["models", "rollback"],
    ["tokens", "create"], ["tokens", "list"], ["tokens", "revoke"], ["audit", "export"], ["audit", "verify"],
]  # fmt: skip


def run(monkeypatch, capsys, *arguments):
    """Run the command as a shell would; return exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["hepatic", *(str(argument) for argument in arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


def write_mask(path, value=1):
    array = np.zeros((6, 24, 32), np.uint8)
    array[2:4, 5:9, 5:9] = value
    mask = SimpleITK.GetImageFromArray(array)
    mask.SetSpacing((0.7, 0.7, 3.0))
    mask.SetOrigin((10.0, -20.0, 30.0))
    SimpleITK.WriteImage(mask, str(path))
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example(command):
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.stdout
    assert f"hepatic {' '.join(command)}" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--host", "0.0.0.0", "--studies", "x"], "hepatic tokens create NAME --role admin --studies x"),
        (["serve", "--auth", "--studies", "x"], "hepatic tokens create NAME --role admin --studies x"),
        (["serve", "--trusted-proxy", "nginx", "--studies", "x"], "10.0.0.2"),
        (["serve", "--ssl-certfile", "gone.pem", "--studies", "x"], "PEM file"),
        (["serve", "--ssl-keyfile", "gone.pem", "--studies", "x"], "--ssl-certfile"),
        (["tokens", "create", "Dr. K", "--role", "king", "--studies", "x"], "reader, annotator, reviewer or admin"),
        (["tokens", "create", "Dr. K", "--expires", "soon", "--studies", "x"], "90d"),
        (["tokens", "revoke", "nobody", "--studies", "x"], "hepatic tokens list"),
        (["audit", "export", "--since", "soon", "--studies", "x"], "2026-11-21"),
        (["serve", "--ohif", "--studies", "x"], "--studies http://HOST:PORT/dicom-web"),
        (["serve", "--ohif", "--studies", "http://127.0.0.1:1/dicom-web"], "DICOM server cannot be reached"),
        (["serve", "--app", "/nowhere", "--studies", "x"], "main.py"),
        (["train", "us_fll", "--imagenet", "gone.pth", "--studies", "x"], "no gone.pth"),
        (["train", "us_fll", "-p", "nonsense=1", "--studies", "x"], "expected max_epochs or start or"),
        (["infer", "us_bmode", __file__, "-p", "rio=1,1,9,9"], "found rio"),
        (["import-dir", "/nowhere", "--studies", "x"], "Correct the path"),
        (["models", "rollback", "dsa_ltdnet", "--studies", "x"], "served before"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(monkeypatch, capsys, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert err.startswith("Error:")
    assert said in err
    assert "Traceback" not in out + err


def test_images_and_their_labels_are_imported_once(monkeypatch, capsys, tmp_path):
    source, masks, studies = tmp_path / "source", tmp_path / "masks", tmp_path / "studies"
    source.mkdir(), masks.mkdir()
    for number in range(3):
        write_image(source / f"case{number}.nrrd", number)
    write_mask(source / "case0.seg.nrrd")
    write_mask(masks / "case1.nrrd")
    write_mask(masks / "stranger.nrrd")
    command = ["import-dir", source, "--labels", masks, "--studies", studies, "--author", "Dr. K"]
    code, _, err = run(monkeypatch, capsys, *command)
    assert code == 0
    assert "3 images and 2 labels" in err
    assert "stranger" in err
    datastore = HepaticDatastore(studies)
    assert sorted(datastore.get_labeled_images()) == ["case0", "case1"]
    assert datastore.get_label_info("case0", "final")["author"] == "Dr. K"
    code, _, err = run(monkeypatch, capsys, *command)
    assert code == 0
    assert "0 labels" in err
    # a reader corrects one label and removes the other: neither is undone by a repeat, unless that is asked for
    datastore.save_label("case0", str(write_mask(tmp_path / "better.seg.nrrd", 2)), "final", {})
    datastore.remove_label("case1", "final")
    code, _, err = run(monkeypatch, capsys, *command)
    assert code == 0
    assert "2 labels were there already" in err
    assert len(datastore.label_versions("case0", "final")) == 2
    assert datastore.get_labeled_images() == ["case0"]
    code, _, err = run(monkeypatch, capsys, *command, "--replace")
    assert code == 0
    assert "2 labels were imported" in err
    assert len(datastore.label_versions("case0", "final")) == 3
    assert sorted(datastore.get_labeled_images()) == ["case0", "case1"]


def test_all_simulated_stills_are_imported_with_their_class_also_those_without_a_lesion(monkeypatch, capsys, tmp_path):
    truth = {}
    for seed, kind in enumerate(("homogeneous", "cyst", "homogeneous", "hcc")):
        write_us(tmp_path, 1, seed=seed, size="tiny", kind=kind)
        truth[patient_id(seed)] = kind
    code, _, err = run(monkeypatch, capsys, "import-dir", tmp_path / "truth", "--studies", tmp_path / "studies")
    assert (code, "4 labels were imported" in err) == (0, True)
    cases = cases_for(US_FLL, HepaticDatastore(tmp_path / "studies"))
    assert {case.patient_id: case.truth for case in cases} == truth
    assert {case.truth: len(case.sample(US_FLL)["boxes"]) > 0 for case in cases} == {
        "homogeneous": False, "cyst": True, "hcc": True,
    }  # fmt: skip


def test_no_versions_yet(monkeypatch, capsys, tmp_path):
    code, out, _ = run(monkeypatch, capsys, "models", "list", "--studies", tmp_path, "--app", FOREIGN_APP)
    assert code == 0
    assert "No versions yet" in out


def test_the_models_that_come_with_hepatic_are_listed_and_their_cards_say_phantoms(monkeypatch, capsys, tmp_path):
    code, out, _ = run(monkeypatch, capsys, "models", "list", "--studies", tmp_path)
    assert code == 0
    assert out.count("served") == len(list((Path(__file__).parents[2] / "apps/hepatic/models").iterdir()))
    code, out, _ = run(monkeypatch, capsys, "models", "show", "dsa_ltdnet", "--studies", tmp_path)
    assert code == 0
    assert "phantoms" in json.loads(out)["notes"]
    code, _, err = run(monkeypatch, capsys, "models", "show", "dsa_ltdnet", "v9", "--studies", tmp_path)
    assert code == 2
    assert "v0001" in err


def test_a_foreign_model_runs_without_a_server(monkeypatch, capsys, tmp_path):
    image = write_image(tmp_path / "volume.nrrd")
    command = ["infer", "threshold", image, "--app", FOREIGN_APP, "-o", tmp_path / "out", "-p", "threshold=30"]
    code, _, err = run(monkeypatch, capsys, *command)
    assert code == 0, err
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(image))) > 30
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out" / "volume_threshold.nrrd")))
    assert np.array_equal(mask > 0, expected)
    assert (tmp_path / "out" / "volume_threshold.json").is_file()


def test_a_file_that_is_not_there_is_named(monkeypatch, capsys, tmp_path):
    command = ["infer", "threshold", tmp_path / "gone.nrrd", "--app", FOREIGN_APP, "-o", tmp_path]
    code, _, err = run(monkeypatch, capsys, *command)
    assert code == 2
    assert "gone.nrrd: expected a file that exists" in err


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.nii.gz", "a"), ("1.2.840.seg.nrrd", "1.2.840"), ("1.2.840", "1.2.840"), ("x.y.nrrd", "x.y")],
)
def test_stems(name, expected):
    assert stem_of(name) == expected
