"""An afternoon with 3D Slicer, by its own client: label, train, let the model propose, correct, ask for the next."""

import time
from pathlib import Path

import numpy as np
import pytest
import requests
import SimpleITK

from tests.slicer import connected, secret_of, web

pytestmark = [
    pytest.mark.viewer,
    pytest.mark.parametrize(
        ("auth", "studies"),
        [(False, "folder"), (True, "folder"), (False, "pacs")],
        ids=["open", "login", "pacs"],
        indirect=True,
        scope="module",
    ),
]

SLICER_PARAMS = {"result_extension": ".nrrd", "result_dtype": "uint8"}
LABEL_INFO = [{"name": "tumour", "idx": 1}, {"name": "liver", "idx": 2}]


@pytest.fixture(autouse=True)
def requests_of_an_admin(app, server, monkeypatch):
    monkeypatch.setitem(globals(), "requests", web(app))


def until(condition, limit_s=120.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def trained(server, app, demo, tmp_path_factory):
    """Label two runs, train, wait; return what was told before, and the record of the training."""
    slicer = connected(server, tmp_path_factory.mktemp("slicer"), secret_of(app, "reviewer"))
    before = slicer.info()
    _, runs = demo
    for run in runs[:2]:
        saved = slicer.save_label(run.series_uid, str(run.segmentation), params={"label_info": LABEL_INFO})
        assert saved["label"] == run.series_uid
        fetched = slicer.download_label(run.series_uid, "final")
        assert Path(fetched).read_bytes() == run.segmentation.read_bytes()
    assert slicer.info()["datastore"]["completed"] == 2
    slicer.train_start("dsa_ltdnet", {"max_epochs": 1})
    until(lambda: slicer.train_status(check_if_running=True))
    until(lambda: not slicer.train_status(check_if_running=True))
    return before, slicer.train_status()


def test_before_anything_is_trained_the_trainers_are_offered(trained):
    info, _ = trained
    assert info["name"] == "hepatic"
    assert "dsa_ltdnet" in info["trainers"]
    assert info["datastore"]["total"] == 4
    assert info["datastore"]["completed"] == 0


def test_the_first_image_can_be_opened(slicer, demo):
    sample = slicer.next_sample("first", {})
    assert sample["id"]
    assert sample["name"]
    if "path" in sample:
        assert Path(sample["path"]).is_file()


def test_a_series_is_downloaded_as_one_file_with_the_geometry_of_the_scanner(server, demo, ct_series, tmp_path):
    answer = requests.get(f"{server}/datastore/image", params={"image": ct_series}, timeout=60)
    assert answer.status_code == 200
    assert f'filename="{ct_series}.nrrd"' in answer.headers["content-disposition"]
    file = tmp_path / "ct.nrrd"
    file.write_bytes(answer.content)
    got = SimpleITK.ReadImage(str(file))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(demo[0] / "studies" / "CT0001")))
    expected = reader.Execute()
    assert got.GetSize() == expected.GetSize()
    assert got.GetOrigin() == pytest.approx(expected.GetOrigin())
    assert got.GetSpacing() == pytest.approx(expected.GetSpacing())
    assert got.GetDirection() == pytest.approx(expected.GetDirection())
    assert np.array_equal(SimpleITK.GetArrayFromImage(got), SimpleITK.GetArrayFromImage(expected))


def test_a_model_is_trained_and_offered(slicer, trained):
    _, done = trained
    assert done["status"] == "DONE", done["details"]
    info = slicer.info()
    assert info["models"]["dsa_ltdnet"]["type"] == "segmentation"
    assert info["models"]["dsa_ltdnet"]["labels"] == ["tumour", "liver"]
    assert isinstance(info["train_stats"]["dsa_ltdnet"]["best_metric"], float)


def test_its_proposal_fits_the_image_and_the_least_sure_image_is_next(slicer, demo, trained, app):
    open_case = demo[1][2]
    file, params = slicer.infer("dsa_ltdnet", open_case.series_uid, dict(SLICER_PARAMS, save_label=True))
    mask, image = SimpleITK.ReadImage(file), SimpleITK.ReadImage(str(open_case.image))
    assert params["label_names"] == {"tumour": 1, "liver": 2}
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    assert mask.GetSize() == image.GetSize()
    assert mask.GetOrigin() == pytest.approx(image.GetOrigin())
    assert mask.GetSpacing() == pytest.approx(image.GetSpacing())
    assert mask.GetDirection() == pytest.approx(image.GetDirection())
    original = slicer.datastore()["objects"][open_case.series_uid]["labels"]["original"]["info"]
    assert list(original["params"]["label_names"]) == ["tumour", "liver"]
    assert Path(slicer.download_label(open_case.series_uid, "original")).is_file()

    until(lambda: app.state.services.scoring.status()["status"] == "DONE")
    assert app.state.services.scoring.status()["failed"] == 0
    sample = slicer.next_sample("uncertainty", {"model": "dsa_ltdnet"})
    assert sample["id"] == open_case.series_uid


def test_a_model_runs_on_an_image_that_is_not_in_the_datastore(slicer, demo, trained):
    _, runs = demo
    session_id = slicer.create_session(str(runs[0].image))["session_id"]
    file, _ = slicer.infer("dsa_ltdnet", "loaded by hand", dict(SLICER_PARAMS), session_id=session_id)
    assert SimpleITK.ReadImage(file).GetSize() == SimpleITK.ReadImage(str(runs[0].image)).GetSize()
    slicer.remove_session(session_id)


def test_an_option_out_of_range_is_explained(server, demo, trained):
    _, runs = demo
    form = {"params": (None, '{"key_frame": -7}')}
    query = {"image": runs[0].series_uid}
    answer = requests.post(f"{server}/infer/dsa_ltdnet", params=query, files=form, timeout=60)
    assert answer.status_code == 422
    assert "key_frame" in answer.json()["detail"]


def test_weights_can_be_fetched_but_a_version_is_never_overwritten(server, trained):
    answer = requests.get(f"{server}/model/dsa_ltdnet", timeout=30)
    assert 'filename="dsa_ltdnet.safetensors"' in answer.headers["content-disposition"]
    files = {"file": ("m.safetensors", answer.content)}
    assert requests.put(f"{server}/model/dsa_ltdnet", files=files, timeout=30).status_code == 409
    assert requests.delete(f"{server}/model/dsa_ltdnet", timeout=30).status_code == 409
    assert requests.get(f"{server}/model/info/dsa_ltdnet", timeout=30).json()["checksum"].startswith("SHA256:")
