"""``make demo-pacs``: one command, and a PACS, the server and OHIF are there."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
import requests

from sample_data.pacs.orthanc import orthanc_problem
from tests.conftest import missing

from .browser import browsing
from .conftest import ROOT
from .ohif import Ohif

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demonstration with the CT of one patient instead of six: its address, and what it said."""
    if problem := orthanc_problem():
        missing("Orthanc", problem)
    if shutil.which("make") is None or not (ROOT / ".venv").is_dir():
        missing("make or .venv", "Install make, and run `make install`.")
    folder = tmp_path_factory.mktemp("demo")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said, address = folder / "log", f"http://127.0.0.1:{port}"
    command = ["make", "demo-pacs", f"DEMO={folder / 'demo'}", f"PORT={port}", "PATIENTS=1"]
    with said.open("w") as log:
        running = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 200
    try:
        while not answers(address):
            assert running.poll() is None, said.read_text()[-3000:]
            assert time.monotonic() < deadline, said.read_text()[-3000:]
            time.sleep(0.3)
        yield address, said
    finally:
        os.killpg(running.pid, signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)


def answers(address):
    try:
        return requests.get(f"{address}/info/", timeout=5).ok
    except requests.RequestException:
        return False


def listed(address):
    """Studies that OHIF can list, by modality."""
    found = requests.get(f"{address}/proxy/dicom/qido/studies?includefield=00080061", timeout=10).json()
    return {one["00080061"]["Value"][0]: one["0020000D"]["Value"][0] for one in found}


def test_it_says_what_to_click_and_the_pacs_is_what_the_server_serves(demo):
    address, said = demo
    assert f"{address}/ohif/" in said.read_text()
    assert "choose ct_liver, press Run" in said.read_text()
    assert '<a href="ohif/">OHIF</a>' in requests.get(address, timeout=10).text
    assert set(listed(address)) == {"CT", "XA", "US"}
    assert requests.get(f"{address}/info/", timeout=10).json()["datastore"]["total"] > 4


def test_ohif_shows_angiographies_and_ultrasound_in_its_basic_viewer(demo, tool, tmp_path):
    address, _ = demo
    studies = listed(address)
    with browsing(tool("chromium", "chromium"), tmp_path, size="1400,900") as browser:
        ohif = Ohif(browser, address)
        for modality, at_least in (("XA", 10), ("US", 1)):
            ohif.open(studies[modality], mode="viewer", viewports=1)
            frames = browser.run("cornerstone.getEnabledElements().map(({viewport}) => viewport.getImageIds().length)")
            assert max(frames) >= at_least
