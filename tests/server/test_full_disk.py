"""A full disk: each write is refused with 507, and nothing half-written is left."""

import errno
import os
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest
import requests
import SimpleITK
from pydicom.uid import generate_uid
from safetensors.numpy import save

from hepatic.store.database import Database
from hepatic.store.disk import DiskFullError, StorageError
from server.app import create_app
from server.running import running
from tests.conftest import missing
from tests.harvest.proposed import decide, proposed
from tests.server.intake.test_archive import zipped
from tests.store.studies import write_ct_slice

TINY_APP = Path(__file__).parent.parent / "tiny_app"
_DISK_MIB = 8


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A file system of a few MiB."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(command, capture_output=True, check=False).returncode:
        missing("the right to mount a small file system", "Run the tests as root.")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture(scope="module")
def server(disk):
    (disk / "studies").mkdir()
    SimpleITK.WriteImage(volume(), str(disk / "studies" / "case.nrrd"))
    with running(create_app(TINY_APP, disk / "studies", score_in_background=False)) as address:
        requests.put(f"{address}/datastore/label", params={"image": "case"}, files={"label": label()}, timeout=30)
        yield address


def volume(shape=(4, 16, 16), value=0):
    return SimpleITK.GetImageFromArray(np.full(shape, value, np.uint8))


def written(image, suffix, folder):
    SimpleITK.WriteImage(image, str(folder / f"sent{suffix}"), suffix != ".nii")
    return (folder / f"sent{suffix}").read_bytes()


def label():
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        return ("label.nrrd", written(volume(value=1), ".nrrd", Path(folder)))


def small_image(tmp_path):
    return written(volume(value=2), ".nii", tmp_path)


def large_image(tmp_path):  # over what is spooled in memory
    return written(volume((100, 128, 128), 3), ".nii", tmp_path)


def series(tmp_path):
    uid, study = generate_uid(), generate_uid()
    for k in range(3):
        write_ct_slice(tmp_path / f"{k}", series=uid, study=study, k=k)
    return zipped(tmp_path / "series.zip", [(f"{k}", (tmp_path / f"{k}").read_bytes()) for k in range(3)]).read_bytes()


def weights(_tmp_path):
    return save({"weight": np.zeros(2000, np.float32)})


WRITES = {
    "a label": ("datastore/label?image=case", "label", "label.nrrd", lambda _: label()[1]),
    "an image": ("datastore/image", "file", "new.nii", small_image),
    "an image that is spooled": ("datastore/image", "file", "large.nii", large_image),
    "a series": ("datastore/image", "file", "series.zip", series),
    "a session": ("session/", "files", "new.nii", small_image),
    "a session with an archive": ("session/?uncompress=true", "files", "series.zip", series),
    "weights": ("model/nothing", "file", "w.safetensors", weights),
}


def tree(folder):
    """What is kept: names, sizes and contents, but for logs, the index (looked into through the server) and locks."""
    skipped = {"logs", "scratch", "audit"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and not skipped.intersection(path.relative_to(folder).parts)
        and "sqlite" not in path.name
        and "index.db" not in path.name
    }


class Full:
    """The disk is full as long as the block lasts, but for some bytes."""

    def __init__(self, disk, free=0):
        self._file, self._free = disk / "filler", free

    def __enter__(self):
        with self._file.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as full:
                assert full.errno == errno.ENOSPC  # noqa: PT017
            file.truncate(max(0, file.tell() - self._free))

    def __exit__(self, *_):
        self._file.unlink()


@pytest.mark.parametrize(
    "free", [0, 8192, 65536, 262144], ids=["nothing free", "8 KiB free", "64 KiB free", "256 KiB free"]
)
@pytest.mark.parametrize("what", WRITES)
def test_what_does_not_fit_is_refused_whole(server, disk, tmp_path, what, free):
    path, field, name, make = WRITES[what]
    content = make(tmp_path)
    before = tree(disk / "studies")
    known = requests.get(f"{server}/datastore/?output=all", timeout=10).json()
    with Full(disk, free):
        answer = requests.put(f"{server}/{path}", files={field: (name, content)}, timeout=30)
        assert requests.get(f"{server}/info/", timeout=10).ok
    fits = free > 2 * len(content) + 98304
    if answer.status_code == 507:
        assert "free some space" in answer.json()["detail"].lower()
        assert tree(disk / "studies") == before
        assert requests.get(f"{server}/datastore/?output=all", timeout=10).json() == known
        assert not fits
    else:
        assert answer.status_code == 200
        assert free
    scratch = disk / "studies" / ".hepatic" / "scratch"
    assert not [file for file in scratch.rglob("*") if file.is_file() and file.suffix != ".lock"]


def test_notes_about_an_image_are_refused_whole(server, disk):
    url = f"{server}/datastore/image/info?image=case"
    assert requests.put(url, data={"info": '{"kept": 1}'}, timeout=10).ok
    with Full(disk):
        answer = requests.put(url, data={"info": '{"kept": 2, "long": "' + "x" * 500_000 + '"}'}, timeout=10)
        told = requests.get(url, timeout=10).json()
    assert answer.status_code == 507
    assert told["kept"] == 1
    assert "long" not in told


@pytest.mark.parametrize("what", WRITES)
def test_it_is_taken_once_there_is_space(server, disk, tmp_path, what):
    path, field, name, make = WRITES[what]
    content = make(tmp_path)
    with Full(disk):
        assert requests.put(f"{server}/{path}", files={field: (name, content)}, timeout=30).status_code == 507
    answer = requests.put(f"{server}/{path}", files={field: (name, content)}, timeout=30)
    assert answer.status_code == 200
    told = answer.json()
    if "session_id" in told:
        assert requests.delete(f"{server}/session/{told['session_id']}", timeout=10).ok
    elif told.get("image", "case") != "case":
        assert requests.delete(f"{server}/datastore/image", params={"id": told["image"]}, timeout=10).ok


def test_a_decision_is_refused_whole_and_taken_once_there_is_space(server, disk):
    from hepatic.harvest.store import ReviewStore

    store = ReviewStore(disk / "studies" / ".hepatic" / "harvest")
    store.proposals.add(proposed())
    url = f"{server}/qa/api/v1"
    assert requests.post(f"{url}/lease", json={"study": "1.2.3"}, timeout=10).ok
    sent = {"events": [decide("2.25.1", "true", device="x" * 40) for _ in range(500)]}
    with Full(disk):
        answer = requests.post(f"{url}/events", json=sent, timeout=30)
        assert answer.status_code == 507
        assert "free some space" in answer.json()["detail"].lower()
        with store.database.read() as connection:
            assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
    again = requests.post(f"{url}/events", json=sent, timeout=30).json()["results"]
    assert {one["status"] for one in again} == {"stored"}
    store.close()


def test_an_index_that_cannot_grow_says_so(tmp_path):
    database = Database(tmp_path / "index.db")
    with database.read() as connection:
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(DiskFullError, match="full"), database.write() as connection:
        connection.execute("INSERT INTO about VALUES ('a', zeroblob(100000))")
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM about").fetchone() == (0,)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_is_a_full_disk_and_other_trouble_is_not(server, disk, monkeypatch, code):
    def refuse(*_args):
        raise OSError(code, os.strerror(code))

    url, sent = f"{server}/datastore/label?image=case", {"label": label()}
    monkeypatch.setattr("hepatic.store.labels.put_in_place", refuse)
    assert requests.put(url, files=sent, timeout=30).status_code == 507
    code = errno.EROFS
    assert requests.put(url, files=sent, timeout=30).status_code == 503
    monkeypatch.undo()
    assert requests.put(url, files=sent, timeout=30).status_code == 200
    assert issubclass(DiskFullError, StorageError)
    assert issubclass(sqlite3.OperationalError, sqlite3.DatabaseError)
