"""The PACS that demonstrations and tests use: a real Orthanc, reached from this machine alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests
from dicomweb_client import DICOMwebClient

from hepatic.errors import NotFoundError
from sample_data.pacs import orthanc as module
from sample_data.pacs.orthanc import Orthanc
from tests.runs import write_run

START = """
from sample_data.pacs.orthanc import Orthanc
with Orthanc() as pacs:
    print(pacs.url, pacs._folder, flush=True)
    input()
"""


@pytest.fixture
def pacs(orthanc):
    yield orthanc
    orthanc.empty()


def test_what_is_stored_is_found_and_stays_when_it_was_down_until_it_is_emptied(pacs, tmp_path):
    pacs.store(write_run(tmp_path / f"{seed}.dcm", seed=seed) for seed in range(3))
    client = DICOMwebClient(pacs.dicomweb_url)
    stored = {study["0020000D"]["Value"][0] for study in client.search_for_studies()}
    assert len(stored) == 3

    pacs.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(pacs.url, timeout=5)
    pacs.start()
    assert {study["0020000D"]["Value"][0] for study in client.search_for_studies()} == stored

    pacs.empty()
    assert client.search_for_studies() == []


def test_only_this_machines_own_address_leads_to_it(pacs):
    port = int(pacs.url.rpartition(":")[2])
    listening = [one.laddr for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    assert [one.ip for one in listening if one.port == port] == ["127.0.0.1"]
    assert 8042 not in {one.port for one in listening}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_nothing_of_it_outlives_who_started_it(pacs, end):
    command = [sys.executable, "-c", START]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        url, folder = starter.stdout.readline().split()
        assert requests.get(f"{url}/system", timeout=5).ok
        starter.stdin.close() if end is None else starter.send_signal(end)
    deadline = time.monotonic() + 60
    while Path(folder).exists() or any(folder in " ".join(one.cmdline()) for one in processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes():
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and process.info["cmdline"]:
            yield process


def test_where_it_is_not_installed_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "_PLUGIN", Path("/nowhere"))
    with pytest.raises(NotFoundError, match="apt-get install orthanc orthanc-dicomweb"):
        Orthanc()
