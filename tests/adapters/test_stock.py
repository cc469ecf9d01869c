"""The stock server hosts our app: MONAI Label 0.8.5, unmodified, beside pydicom 3, driven by Slicer's client."""

import json
import time
from pathlib import Path

import pytest
import requests
import SimpleITK

import infer_tasks
from hepatic.adapters import stock
from hepatic.errors import HepaticError
from hepatic.io.labelmap import read_labelmap
from hepatic.tasks.discover import discover_tasks
from sample_data.write import write_dsa
from tests.slicer import slicer_client_class

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, write_dsa(folder, 2, seed=0, size="small")


@pytest.fixture(scope="module")
def runs(demo):
    return demo[1]


@pytest.fixture(scope="module")
def server(demo):
    with stock.running(
        ROOT / "apps" / "hepatic",
        demo[0] / "studies",
        environment={"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "MONAI_LABEL_SESSION_PATH": str(demo[0] / "sessions")},
    ) as started:
        yield started


@pytest.fixture
def slicer(server, tmp_path):
    return slicer_client_class()(server.url, str(tmp_path), "reader-1")


def test_it_offers_our_models_trainers_and_strategies(slicer):
    info = slicer.info()
    assert info["name"] == "hepatic"
    assert info["models"]["dsa_unet"]["labels"] == ["tumour"]
    tasks = discover_tasks(infer_tasks)
    boxes = {f"{name}_boxes" for name, task in tasks.items() if task.type == "detection"}
    assert set(info["trainers"]) == set(tasks)
    regions = {f"{name}_region" for name in tasks if name.startswith("us_")}
    assert set(info["models"]) == set(tasks) | boxes | regions
    assert set(info["strategies"]) == {"first", "random", "uncertainty"}
    assert info["datastore"]["total"] == 2


def test_the_next_sample_is_an_image_that_can_be_opened(slicer, runs):
    sample = slicer.next_sample("first", {})
    assert sample["id"] in {run.series_uid for run in runs}
    assert Path(sample["path"]).is_file()


def test_an_inference_lies_on_its_image(slicer, runs):
    params = {"result_extension": ".nrrd", "result_dtype": "uint8"}
    file, told = slicer.infer("dsa_ltdnet", runs[0].series_uid, params)
    mask, image = SimpleITK.ReadImage(file), SimpleITK.ReadImage(str(runs[0].image))
    assert mask.GetSize() == image.GetSize()
    assert mask.GetSpacing() == pytest.approx(image.GetSpacing())
    assert told["label_names"] == {"tumour": 1, "liver": 2}
    assert SimpleITK.GetArrayViewFromImage(mask).any()


def test_a_saved_label_is_a_version_in_our_store(slicer, runs):
    labels = [{"name": "tumour", "idx": 1}, {"name": "liver", "idx": 2}]
    slicer.save_label(runs[1].series_uid, str(runs[1].segmentation), params={"label_info": labels})
    assert slicer.info()["datastore"]["completed"] == 1
    fetched = read_labelmap(Path(slicer.download_label(runs[1].series_uid, "final")))
    assert (fetched.array == read_labelmap(runs[1].segmentation).array).all()


def test_what_it_is_asked_for_by_other_clients_is_answered_too(server, runs):
    query = {"image": runs[0].series_uid, "output": "json"}
    answer = requests.post(f"{server.url}/infer/dsa_unet", params=query, data={"params": "{}"}, timeout=60)
    assert json.loads(answer.text)["label_names"] == {"tumour": 1}


def test_what_it_runs_in_processes_of_their_own_finds_monailabel_too(server):
    requests.post(f"{server.url}/scoring/dsa_unet_entropy", json={}, timeout=60)
    deadline = time.monotonic() + 60
    while scoring(server)["status"] in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert scoring(server)["status"] == "DONE", scoring(server)["details"]


def scoring(server):
    return requests.get(f"{server.url}/scoring/", timeout=30).json()


def test_it_listens_at_this_machine_alone_unless_told_otherwise():
    assert stock._on_loopback(["start_server", "--app", "a"])[-2:] == ["--host", "127.0.0.1"]
    assert stock._on_loopback(["start_server", "-i", "0.0.0.0"]) == ["start_server", "-i", "0.0.0.0"]
    assert stock._on_loopback(["apps"]) == ["apps"]


def test_an_app_that_is_none_is_told_with_what_the_server_printed(tmp_path):
    with pytest.raises(HepaticError, match=r"main\.py"), stock.running(tmp_path, tmp_path):
        pass
