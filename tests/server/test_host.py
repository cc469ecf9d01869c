"""An app with MONAI Label's own datastore in the server's process: what is slow or damaged there holds up nobody."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from hepatic.settings import settings
from server.host import Host
from server.monai_app import AppSpec
from server.routes.info import described

from .conftest import FOREIGN_APP, write_image


@pytest.fixture
def studies(tmp_path):
    for number in range(2):
        write_image(tmp_path / f"case{number}.nrrd", number)
    return tmp_path


def test_a_pacs_is_left_alone_in_the_background_unless_a_filter_says_what_is_for_this_server(monkeypatch):
    def bounded(studies, filter=""):
        monkeypatch.setenv("HEPATIC_DICOMWEB_FILTER", filter)
        settings.cache_clear()
        return AppSpec("app", studies).is_bounded

    try:
        assert bounded("studies")
        assert not bounded("http://pacs/dicom-web")
        assert bounded("http://pacs/dicom-web", "PatientID=HCC*")
    finally:
        settings.cache_clear()


@pytest.fixture
def host(studies):
    host = Host(AppSpec(str(FOREIGN_APP), str(studies)))
    yield host
    host.datastore._observer.stop()


def test_a_datastore_file_cut_in_half_is_taken_from_its_last_good_copy(host, studies, caplog):
    host.datastore.update_image_info("case0", {"voxels": 240})
    file = studies / "datastore_v2.json"
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    again = Host(AppSpec(str(FOREIGN_APP), str(studies)), "worker")
    assert again.datastore.get_image_info("case0")["voxels"] == 240
    assert json.loads(file.read_text()) == json.loads(whole)
    assert "last good copy" in caplog.text


def test_a_datastore_file_whose_write_fails_stays_as_it_was(host, studies, monkeypatch):
    before = (studies / "datastore_v2.json").read_text()
    monkeypatch.setattr("os.fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        host.datastore.update_image_info("case0", {"voxels": 240})
    assert (studies / "datastore_v2.json").read_text() == before
    assert not list(studies.glob(".writing-*"))


def test_what_another_process_writes_to_the_datastore_file_is_noticed(host, studies):
    Host(AppSpec(str(FOREIGN_APP), str(studies)), "worker").datastore.update_image_info("case0", {"voxels": 240})
    deadline = time.monotonic() + 60
    while "voxels" not in host.datastore.get_image_info("case0"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_info_answers_with_what_it_last_was_while_the_datastore_is_busy(host):
    before = described(host)
    busy, over = threading.Event(), threading.Event()

    def download():
        with host.storing():
            busy.set()
            over.wait(10)

    with ThreadPoolExecutor() as threads:
        threads.submit(download)
        busy.wait()
        started = time.monotonic()
        try:
            assert described(host) == before
            assert time.monotonic() - started < 5
        finally:
            over.set()
    host.datastore.save_label("case0", str(host.image_path("case1")), "final", {})
    assert described(host)["datastore"]["completed"] == 1


def test_images_of_a_remote_datastore_are_downloaded_side_by_side_and_each_once(host, monkeypatch):
    host.spec = SimpleNamespace(is_remote=True)
    locate, both, downloading = host.datastore.get_image_uri, threading.Barrier(2, timeout=10), []

    def slow(image):
        if image not in downloading:
            downloading.append(image)
            both.wait()
        return locate(image)

    monkeypatch.setattr(host.datastore, "get_image_uri", slow)
    with ThreadPoolExecutor() as threads:
        paths = list(threads.map(host.image_path, ["case0", "case1", "case0"]))
    assert [path.name for path in paths] == ["case0.nrrd", "case1.nrrd", "case0.nrrd"]
    assert sorted(downloading) == ["case0", "case1"]
