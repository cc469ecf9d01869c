"""The commands of the README, really run, one after the other, over five simulated angiographies."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from hepatic.adapters.datastore import HepaticDatastore

ROOT = Path(__file__).parents[2]
RUNS = 5


def readme_command(name):
    """Return the words of the README's command of this name, without the ``hepatic`` in front."""
    found = re.findall(rf"^hepatic ({name} .+)$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert len(found) == 1, f"the README shows {len(found)} commands {name}"
    return shlex.split(found[0])


class Readme:
    """Runs its commands in a folder; ``given`` is what a reader puts for the words in capitals."""

    def __init__(self, folder):
        self.folder, self.said = folder, {}
        self.given = {
            "OUT": "demo", "DIR": "work", "SRC": "demo/studies", "LABELS": "demo/truth", "12": str(RUNS),
        }  # fmt: skip

    def run(self, name, *more):
        words = [self.given.get(word, word) for word in readme_command(name)]
        done = subprocess.run(
            [sys.executable, "-m", "server.cli", *words, *more],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=300,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.said[name] = done.stdout + done.stderr


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    readme = Readme(tmp_path_factory.mktemp("readme"))
    readme.run("sample-data")
    readme.given["RUN.dcm"] = str(next(readme.folder.glob("demo/studies/**/*.dcm")))
    readme.run("import-dir")
    readme.run("infer")
    readme.run("train", "--param", "max_epochs=1")
    readme.run("models list")
    readme.run("tokens create")
    readme.run("tokens list")
    readme.run("tokens revoke")
    readme.run("audit export")
    readme.run("audit verify")
    return readme


def test_sample_data_writes_runs_and_their_truth(readme):
    runs = [pydicom.dcmread(file) for file in readme.folder.glob("demo/studies/**/*.dcm")]
    truth = {file.name.removesuffix(".seg.nrrd") for file in readme.folder.glob("demo/truth/*.seg.nrrd")}
    assert len(runs) == RUNS
    assert {run.SeriesInstanceUID for run in runs} == truth
    assert len({run.PatientID for run in runs}) == RUNS


def test_import_dir_brings_images_and_labels(readme):
    assert f"{RUNS} images and {RUNS} labels were imported" in readme.said["import-dir"]
    assert "belong to no image" not in readme.said["import-dir"]
    datastore = HepaticDatastore(readme.folder / "work", auto_rescan_seconds=None)
    for image_id in datastore.get_labeled_images():
        given = readme.folder / f"demo/truth/{image_id}.seg.nrrd"
        assert Path(datastore.get_label_uri(image_id, "final")).read_bytes() == given.read_bytes()
    assert len(datastore.get_labeled_images()) == RUNS


def test_infer_writes_a_labelmap_on_the_grid_of_the_run_and_the_facts(readme):
    run = pydicom.dcmread(readme.given["RUN.dcm"])
    stem = Path(readme.given["RUN.dcm"]).stem
    result = SimpleITK.ReadImage(str(readme.folder / f"results/{stem}_dsa_ltdnet.nrrd"))
    facts = json.loads((readme.folder / f"results/{stem}_dsa_ltdnet.json").read_text())
    labels = SimpleITK.GetArrayFromImage(result)
    assert labels.shape == (run.NumberOfFrames, run.Rows, run.Columns)
    marked = np.flatnonzero((labels == facts["label_names"]["tumour"]).any(axis=(1, 2)))
    assert facts["key_frame"] in marked
    truth = SimpleITK.ReadImage(str(readme.folder / f"demo/truth/{run.SeriesInstanceUID}.seg.nrrd"))
    assert SimpleITK.GetArrayFromImage(truth).shape == labels.shape


def test_train_makes_a_version_and_models_list_shows_it(readme):
    [folder] = (readme.folder / "work/.hepatic/models/dsa_ltdnet").glob("v*")
    card = json.loads((folder / "card.json").read_text())
    assert (folder / "model.safetensors").is_file()
    assert card["version"] == folder.name
    assert folder.name in readme.said["train"]
    line = next(line for line in readme.said["models list"].splitlines() if folder.name in line)
    assert "dsa_ltdnet" in line
    assert "served" in line or "candidate" in line
    models = list((ROOT / "apps/hepatic/models").iterdir())
    assert sum("served" in line for line in readme.said["models list"].splitlines()) == len(models)


def test_a_token_is_made_listed_and_taken_away(readme):
    assert re.search(r"^hep_[\w-]{43}$", readme.said["tokens create"], flags=re.MULTILINE)
    listed = next(line for line in readme.said["tokens list"].splitlines() if "Dr. K" in line)
    assert "annotator" in listed
    assert "hep_" not in readme.said["tokens list"]
    assert "Dr. K is revoked" in readme.said["tokens revoke"]
    kept = json.loads((readme.folder / "work/.hepatic/access/tokens.json").read_text())
    assert kept == {"tokens": []}


def test_the_audit_log_tells_of_it_and_holds_together(readme):
    rows = list(csv.DictReader((readme.folder / "audit.csv").open(encoding="utf-8")))
    assert [row["what"] for row in rows] == ["tokens create", "tokens revoke"]
    assert all("name=Dr. K" in row["ids"] for row in rows)
    assert "2 entries, none changed" in readme.said["audit verify"]
