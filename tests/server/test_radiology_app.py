"""Somebody else's app, unchanged, on our server and on the stock one: infer, train, next sample, score, batch, save."""

import json
import shutil
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import requests
import SimpleITK

from hepatic.adapters import stock
from server.app import create_app
from server.running import running
from tests.slicer import slicer_client_class

APP = Path(__file__).parent.parent / "radiology_app"
DONE = ("DONE", "ERROR", "STOPPED", "CANCELED")


def write_studies(folder):
    """Four volumes of noise with a bright box, the second the smallest; the labels of the first three."""
    folder.mkdir()
    labels = {}
    for number in range(4):
        depth = 5 if number == 1 else 9 - number
        array = np.random.default_rng(number).integers(0, 40, (20, 24, depth)).astype(np.int16)
        label = np.zeros(array.shape, np.uint8)
        label[4:12, 6:16, 1:4] = 1
        affine = np.diag([0.8, 0.9, 3.0, 1.0])
        affine[:3, 3] = (-10, 20, 30)
        nibabel.save(nibabel.Nifti1Image(array + 50 * label, affine), folder / f"case{number}.nii")
        labels[f"case{number}"] = folder.parent / f"label{number}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(label, affine), labels[f"case{number}"])
    return labels


@pytest.fixture(scope="module", params=["ours", "stock"])
def hosted(request, tmp_path_factory):
    """The address of a server that hosts the app, and the labels of its studies."""
    folder = tmp_path_factory.mktemp(request.param)
    labels = write_studies(folder / "studies")
    shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    conf = {"roi": "16,16,8"}
    if request.param == "ours":
        with running(create_app(folder / "app", folder / "studies", conf=conf, score_in_background=False)) as address:
            yield address, labels
        return
    quiet = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "MONAI_LABEL_SESSION_PATH": str(folder / "sessions")}
    with stock.running(folder / "app", folder / "studies", conf=conf, environment=quiet) as server:
        yield server.url, labels


@pytest.fixture
def slicer(hosted, tmp_path):
    return slicer_client_class()(hosted[0], str(tmp_path), "reader-1")


def ended(url, limit_s=90):
    """Wait for the last task of a kind, and return its record."""
    deadline = time.monotonic() + limit_s
    while (task := requests.get(url, timeout=30).json())["status"] not in DONE:
        assert time.monotonic() < deadline, task
        time.sleep(0.2)
    return task


def test_what_it_offers_is_offered(slicer):
    info = slicer.info()
    assert (info["name"], info["version"]) == ("radiology", "7")
    assert info["models"]["liver"]["type"] == "segmentation"
    assert set(info["strategies"]) == {"smallest", "random"}
    assert list(info["scoring"]) == ["volume"]
    assert info["trainers"]["liver"]["labels"] == ["liver"]


def test_its_strategy_chooses_the_next_sample(slicer):
    sample = slicer.next_sample("smallest", {})
    assert sample["id"] == "case1"
    assert Path(sample["path"]).is_file()


def test_labels_are_saved_and_it_scores_them(hosted, slicer):
    url, labels = hosted
    for number in (0, 2, 3):
        about = {"label_info": [{"name": "liver", "idx": 1}]}
        slicer.save_label(f"case{number}", str(labels[f"case{number}"]), params=about)
    assert slicer.info()["datastore"]["completed"] == 3
    answer = requests.post(f"{url}/scoring/volume", params={"run_sync": True}, json={}, timeout=60)
    assert answer.json() == {f"case{number}": 8 * 10 * 3 for number in (0, 2, 3)}
    told = requests.get(f"{url}/datastore/image/info", params={"image": "case0"}, timeout=30).json()
    assert told["voxels"] == 240


def test_it_trains_and_infers_with_what_it_has_learned(hosted, slicer):
    url, _ = hosted
    before, _ = slicer.infer("liver", "case1", {"result_extension": ".nrrd", "result_dtype": "uint8"})
    untrained = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(before))
    slicer.train_start("liver", {"max_epochs": 1, "device": "cpu"})
    task = ended(f"{url}/train/")
    assert task["status"] == "DONE", task["details"]
    stats = slicer.info()["train_stats"]["liver"]
    assert stats["epoch"] == stats["total_epochs"] == 1
    assert 0 <= stats["best_metric"] <= 1
    after, told = slicer.infer("liver", "case1", {"result_extension": ".nrrd", "result_dtype": "uint8"})
    result = SimpleITK.ReadImage(after)
    image = SimpleITK.ReadImage(str(Path(slicer.next_sample("smallest", {})["path"])))
    assert told["label_names"] == {"liver": 1}
    assert result.GetPixelID() == SimpleITK.sitkUInt8
    assert result.GetSize() == image.GetSize()
    for what in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(result, what)() == pytest.approx(getattr(image, what)(), abs=1e-4)
    assert not np.array_equal(SimpleITK.GetArrayFromImage(result), untrained)


def test_batch_inference_labels_what_has_no_label(hosted, slicer, request):
    url, _ = hosted
    query = {"images": "unlabeled", "run_sync": False}
    params = {"result_extension": ".nii.gz", "result_dtype": "uint8", "device": "cpu"}
    answer = requests.post(f"{url}/batch/infer/liver", params=query, json=params, timeout=60)
    assert answer.status_code == 200, answer.text
    task = ended(f"{url}/batch/infer")
    if "stock" in request.node.name:  # what it does without a GPU
        assert (task["status"], "ZeroDivisionError" in str(task["details"])) == ("ERROR", True)
        return
    assert task["status"] == "DONE", task["details"]
    labels = slicer.datastore()["objects"]["case1"]["labels"]
    assert "original" in labels, json.dumps(labels)
