"""The README's first command, as a newcomer types it, and then what the README says to do in Slicer."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import requests
import SimpleITK

from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap, write_labelmap
from tests.slicer import slicer_client_class

from .conftest import ROOT

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory):
    """``make demo``, in a folder and on a port of its own, with five runs instead of twelve."""
    if shutil.which("make") is None or not (ROOT / ".venv").is_dir():
        from tests.conftest import missing

        missing("make or .venv", "Install make, and run `make install`.")
    folder = tmp_path_factory.mktemp("demo") / "demo"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert re.findall(r"^make (\w+)$", (ROOT / "README.md").read_text(), flags=re.MULTILINE) == ["demo", "test"]
    command = ["make", "demo", f"DEMO={folder}", f"PORT={port}", "RUNS=5", "PATIENTS=1"]
    log = (folder.parent / "log").open("w+")
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 200
        while True:
            assert process.poll() is None, Path(log.name).read_text()[-3000:]
            assert time.monotonic() < deadline, Path(log.name).read_text()[-3000:]
            try:
                if requests.get(f"{address}/info/", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.3)
        yield address, folder
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def test_a_newcomer_gets_a_proposal_that_is_visibly_right_corrects_it_and_retrains(demo_server, tmp_path):
    address, folder = demo_server
    slicer = slicer_client_class()(address, str(tmp_path), "newcomer")
    assert slicer.auth_enabled() is False
    info = slicer.info()
    runs = 5
    assert info["datastore"]["total"] > runs, "the series of a CT study lie beside the runs"
    assert info["datastore"]["completed"] == 4
    served = info["models"]["dsa_ltdnet"]["version"]

    deadline = time.monotonic() + 120
    while "score" not in (sample := slicer.next_sample("uncertainty", {"model": "dsa_ltdnet"})):
        assert time.monotonic() < deadline, "the runs are scored in the background"
        time.sleep(0.5)
    image = SimpleITK.ReadImage(sample["path"])
    file, params = slicer.infer("dsa_ltdnet", sample["id"], {"result_extension": ".nrrd", "result_dtype": "uint8"})
    found = SimpleITK.ReadImage(file)
    assert found.GetSize() == image.GetSize()
    truth = read_labelmap(folder / "truth" / f"{sample['id']}.seg.nrrd")
    key = params["key_frame"]
    liver_found = np.isin(SimpleITK.GetArrayFromImage(found)[key], (1, 2))
    liver = np.isin(truth.array[key], (1, 2))
    assert liver.any(), "the model chose the key frame of the truth"
    overlap = 2 * (liver_found & liver).sum() / (liver_found.sum() + liver.sum())
    assert overlap > 0.8, "the liver, tumours included, is found on a run the weights have not seen"

    corrected = tmp_path / "corrected.nii.gz"
    write_labelmap(corrected, Labelmap(truth.array, truth.grid))
    label_info = [{"name": "tumour", "idx": 1}, {"name": "liver", "idx": 2}]
    slicer.save_label(sample["id"], str(corrected), params={"label_info": label_info})
    assert slicer.info()["datastore"]["completed"] == 5
    assert (folder / "truth" / f"{slicer.next_sample('first', {})['id']}.lesions.mha").is_file(), "only CT is left"

    slicer.train_start("dsa_ltdnet", {"max_epochs": 2})
    deadline = time.monotonic() + 200
    while slicer.train_status(check_if_running=True) or slicer.train_status()["status"] in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    done = slicer.train_status()
    assert done["status"] == "DONE", done["details"]
    stats = slicer.info()["train_stats"]["dsa_ltdnet"]
    now = slicer.info()["models"]["dsa_ltdnet"]["version"]
    assert stats["promoted"] == (now == stats["version"])
    assert now == (stats["version"] if stats["promoted"] else served)
    assert (stats["metrics"]["dice"] >= stats["served_metrics"]["dice"]) == stats["promoted"]


def test_a_ct_study_waits_for_clicks_within_minutes(demo_server):
    address, _ = demo_server
    deadline = time.monotonic() + 200
    while not (studies := requests.get(f"{address}/qa/api/v1/queue", timeout=10).json()["studies"]):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert 0 < studies[0]["candidates"] <= 10
    assert requests.get(f"{address}/qa", timeout=10).headers["content-type"].startswith("text/html")
    given = requests.post(f"{address}/qa/api/v1/lease", json={}, timeout=10).json()["study"]
    card = f"{address}/qa/api/v1/studies/{given['study_uid']}/candidates/{given['cards'][0]['candidate']}/card.png"
    assert requests.get(card, timeout=30).content.startswith(b"\x89PNG")
