"""An app with MONAI Label's own datastore in the server's process: what is slow or damaged there holds up nobody."""

import json
import time

import pytest

from server.host import AppSpec, Host

from .conftest import FOREIGN_APP, write_image


@pytest.fixture
def studies(tmp_path):
    for number in range(2):
        write_image(tmp_path / f"case{number}.nrrd", number)
    return tmp_path


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
    deadline = time.monotonic() + 10
    while "voxels" not in host.datastore.get_image_info("case0"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
