"""A server whose studies are in a PACS, over real HTTP: while the PACS is well, slow, stopped, and lies."""

import io
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import SimpleITK
from requests_toolbelt import MultipartDecoder

from tests.pacs.conftest import Uids
from tests.pacs.fake_pacs import FakePacs, serving
from tests.pacs.served import served

PARAMS = {"params": (None, json.dumps({"result_extension": ".nrrd", "result_dtype": "uint8"}))}
SILENCE_S = 1.0


@pytest.fixture(scope="module")
def pacs(pacs_files):
    fake = FakePacs()
    for file in pacs_files.values():
        fake.take(file)
    return fake


@pytest.fixture(scope="module")
def url(pacs):
    with serving(pacs) as url:
        yield url


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(url, data):
    with served(url, data, timeout_s=SILENCE_S) as address:
        yield address


@pytest.fixture(autouse=True)
def well(pacs):
    """The PACS is well at the beginning and at the end, and nothing is on this machine that was fetched before."""
    pacs.trouble = {}
    yield
    pacs.trouble = {}


def forget(data, image_id):
    """Let an image be fetched anew."""
    shutil.rmtree(data / "cache" / "pacs" / image_id, ignore_errors=True)


def info(server):
    return requests.get(f"{server}/info/", timeout=30).json()


def infer(server, image_id):
    return requests.post(f"{server}/infer/bright", params={"image": image_id}, files=PARAMS, timeout=180)


def mask_of(answer, tmp_path):
    assert answer.status_code == 200, answer.text
    for part in MultipartDecoder.from_response(answer).parts:
        if b"filename" in part.headers[b"Content-Disposition"]:
            file = tmp_path / "result.nrrd"
            file.write_bytes(part.content)
            return SimpleITK.ReadImage(str(file))
    raise AssertionError("no file came")


def test_images_are_listed_without_being_fetched(server, pacs):
    assert info(server)["datastore"]["total"] == 4
    assert "trouble" not in info(server)["datastore"]
    told = requests.get(f"{server}/datastore/image/info", params={"image": Uids.ct}, timeout=30).json()
    assert (told["PatientID"], told["modality"], told["StudyInstanceUID"]) == ("P1", "CT", Uids.study)
    assert "path" not in told
    assert requests.head(f"{server}/datastore/image", params={"image": Uids.ct}, timeout=30).status_code == 200
    assert requests.head(f"{server}/datastore/image", params={"image": "1.2.3"}, timeout=30).status_code == 404
    assert not any("/instances/" in asked or asked.endswith(Uids.ct) for asked in pacs.asked)


def test_a_model_runs_on_a_series_and_its_label_is_kept(server, pacs, data, tmp_path):
    forget(data, Uids.ct)
    mask = mask_of(infer(server, Uids.ct), tmp_path)
    got = SimpleITK.GetArrayFromImage(mask)
    assert got.shape == (3, 4, 4)
    assert np.array_equal(got, np.broadcast_to((np.arange(3) > 1)[:, None, None], (3, 4, 4)))
    with (tmp_path / "result.nrrd").open("rb") as file:
        saved = requests.put(
            f"{server}/datastore/label", params={"image": Uids.ct}, files={"label": ("l.nrrd", file)}, timeout=60
        )
    assert saved.status_code == 200, saved.text
    assert info(server)["datastore"]["completed"] == 1
    assert (data / "labels" / Uids.ct / "final" / "1.nrrd").is_file()
    assert (
        requests.delete(f"{server}/datastore/label", params={"id": Uids.ct, "tag": "final"}, timeout=30).status_code
        == 200
    )
    assert len(pacs.instances) == 6  # nothing was sent


def test_a_series_is_downloaded_as_one_file(server, data, tmp_path):
    forget(data, Uids.ct)
    answer = requests.get(f"{server}/datastore/image", params={"image": Uids.ct}, timeout=180)
    assert answer.status_code == 200
    file = tmp_path / "ct.nrrd"
    file.write_bytes(answer.content)
    assert SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).max() == 2


def test_the_next_sample_is_named_at_once_and_fetched_meanwhile(server, data):
    ids = requests.get(f"{server}/datastore/", params={"output": "all"}, timeout=30).json()["objects"]
    for image_id in ids:
        forget(data, image_id)
    sample = requests.post(f"{server}/activelearning/first", json={}, timeout=30).json()
    assert sample["id"] in ids
    deadline = time.monotonic() + 60
    while not list((data / "cache" / "pacs" / sample["id"]).glob("[!.]*/*.dcm")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_may_be_uploaded_or_removed(server, pacs_files):
    with pacs_files["ct0.dcm"].open("rb") as file:
        answer = requests.put(f"{server}/datastore/image", files={"file": ("a.dcm", file)}, timeout=30)
    assert answer.status_code == 409
    assert "HEPATIC_DICOMWEB_STOW" in answer.json()["detail"]
    answer = requests.delete(f"{server}/datastore/image", params={"id": Uids.ct}, timeout=30)
    assert answer.status_code == 409
    assert "nothing is ever removed" in answer.json()["detail"]


TROUBLES = {
    "slow": (504, "said nothing"),
    "html": (502, "cannot be understood"),
    "truncated": (502, "breaks off"),
    "locked": (502, "refuses this server"),
    "failing": (502, "could not answer"),
    "another": (502, "cannot be understood"),
    "half": (502, "cannot be understood"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_file_that_does_not_come_as_it_should_is_told_and_comes_when_the_pacs_is_well(
    server, pacs, data, trouble, tmp_path
):
    status, sentence = TROUBLES[trouble]
    forget(data, Uids.ct)
    pacs.trouble = {"file": trouble}
    answer = infer(server, Uids.ct)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.text
    assert info(server)["datastore"]["total"] == 4
    pacs.trouble = {}
    mask_of(infer(server, Uids.ct), tmp_path)


@pytest.mark.parametrize("trouble", ["slow", "html", "truncated", "locked", "failing", "endless"])
def test_a_list_that_does_not_come_as_it_should_changes_nothing_and_is_told(server, pacs, trouble, monkeypatch):
    monkeypatch.setattr("hepatic.pacs.client._MOST", 500)
    pacs.trouble = {"search": trouble}
    deadline = time.monotonic() + 60
    while "trouble" not in (told := info(server)["datastore"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert told["total"] == 4
    assert "DICOM server" in told["trouble"]
    pacs.trouble = {}
    while "trouble" in info(server)["datastore"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_slow_pacs_keeps_nobody_waiting_who_does_not_ask_it(server, pacs, data):
    forget(data, Uids.ct)
    pacs.trouble = {"file": "slow", "search": "slow"}
    with ThreadPoolExecutor(48) as clients:
        waiting = [clients.submit(infer, server, Uids.ct) for _ in range(40)]
        time.sleep(0.3)
        took = []
        for _ in range(10):
            started = time.monotonic()
            assert info(server)["datastore"]["total"] == 4
            assert requests.post(f"{server}/activelearning/first", json={}, timeout=30).status_code == 200
            took.append(time.monotonic() - started)
        assert not all(done.done() for done in waiting)
        pacs.trouble = {}
        assert {answer.result().status_code for answer in waiting} <= {200, 503, 504}
    assert sorted(took)[5] < SILENCE_S


def test_a_batch_waits_while_the_pacs_is_down_and_goes_on(server, pacs, data, monkeypatch):
    monkeypatch.setattr("server.jobs.items._PACS_PAUSE_S", 0.1)
    forget(data, Uids.ct)
    pacs.trouble = {"file": "locked"}
    asked = {"images": [Uids.ct], "save_label": False}
    assert requests.post(f"{server}/batch/infer/bright", json=asked, timeout=180).status_code == 200
    record = until(lambda: told if "goes on when it is back" in str(told := batch(server)) else None)
    assert record["status"] == "RUNNING"
    pacs.trouble = {}
    record = until(lambda: told if (told := batch(server))["status"] == "DONE" else None)
    assert "bright" in str(record["result"][Uids.ct])


def test_a_labelmap_is_kept_while_its_image_cannot_be_had_and_says_what_is_not_known(server, pacs, data, tmp_path):
    forget(data, Uids.ct)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((3, 4, 4), np.uint8)), str(tmp_path / "label.nrrd"))
    (tmp_path / "broken.nrrd").write_bytes((tmp_path / "label.nrrd").read_bytes()[:-20])

    def save(name, tag):
        with (tmp_path / name).open("rb") as file:
            answer = requests.put(
                f"{server}/datastore/label",
                params={"image": Uids.ct, "tag": tag},
                files={"label": (name, file)},
                timeout=60,
            )
        labels = requests.get(f"{server}/datastore/", params={"output": "all"}, timeout=30).json()["objects"]
        return answer.status_code, labels[Uids.ct]["labels"].get(tag, {}).get("info", {})

    pacs.trouble = {"file": "locked"}
    status, told = save("label.nrrd", "away")
    assert (status, told["unchecked"].startswith("whether it lies on its image")) == (200, True)
    assert (data / "labels" / Uids.ct / "away" / "1.nrrd").read_bytes() == (tmp_path / "label.nrrd").read_bytes()
    assert save("broken.nrrd", "broken") == (422, {})
    pacs.trouble = {}
    status, told = save("label.nrrd", "there")
    assert (status, "unchecked" in told) == (200, False)


def batch(server):
    return requests.get(f"{server}/batch/infer", timeout=180).json()


def until(condition, limit_s=60):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value


def test_a_server_starts_while_its_pacs_is_down_and_lists_it_when_it_is_up(pacs, tmp_path):
    with serving(FakePacs()) as url:
        port = int(url.split(":")[2].split("/")[0])
    with served(url, tmp_path, timeout_s=SILENCE_S) as address:
        told = info(address)["datastore"]
        assert told["total"] == 0
        assert "cannot be reached" in told["trouble"]
        with serving(pacs, port):
            deadline = time.monotonic() + 60
            while info(address)["datastore"]["total"] != 4:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert infer(address, Uids.ct).status_code == 200
        assert infer(address, Uids.ct).status_code == 200  # it is here
        answer = infer(address, Uids.xa)
        assert (answer.status_code, "cannot be reached" in answer.text) == (502, True)
        assert io.BytesIO(answer.content)
