"""When a folder is scanned, and who waits for it."""

import threading
import time
from pathlib import Path

import pytest

from hepatic.io.header import header
from hepatic.store.breath import Breath
from hepatic.store.disk import StorageError
from hepatic.store.folder import FolderStore
from hepatic.store.rescan import Rescan
from tests.store.studies import write_image


def until(holds) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_first_scan_that_takes_long_goes_on_while_the_store_is_used(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nrrd")
    go_on = threading.Event()

    def slow(path: Path) -> object:
        assert go_on.wait(20)
        return header(path)

    store = FolderStore(tmp_path, header=slow)  # type: ignore[arg-type]
    rescan = Rescan(store, after_seconds=0.0)
    started = time.monotonic()
    rescan.first(wait_s=0.05)
    rescan.if_old()
    assert time.monotonic() - started < 5
    assert store.counts().images == 0
    go_on.set()
    until(lambda: store.counts().images == 1)


def test_what_is_wrong_with_the_folder_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path, header=header)

    def broken(**_: object) -> None:
        raise StorageError("not mounted")

    monkeypatch.setattr(store, "rescan", broken)
    with pytest.raises(StorageError, match="not mounted"):
        Rescan(store, after_seconds=1.0).first(wait_s=20.0)


def test_a_large_folder_is_scanned_rarely_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.nrrd")
    store = FolderStore(tmp_path, header=header)
    rescan = Rescan(store, after_seconds=0.0)
    monkeypatch.setattr("hepatic.store.rescan._FEW_FILES", 0)
    scans: list[float] = []
    scan = store.rescan

    def slow(**how: float) -> object:
        scans.append(time.monotonic())
        time.sleep(0.1)
        return scan(**how)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "rescan", slow)
    rescan.now()
    started = time.monotonic()
    for _ in range(100):
        rescan.if_old()
    assert len(scans) == 1
    rescan._scanned -= 3600
    rescan.if_old()
    until(lambda: len(scans) == 2)
    assert scans[1] - started < 10


def test_work_in_the_background_rests_as_long_as_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    rested: list[float] = []
    monkeypatch.setattr("hepatic.store.breath.time.sleep", rested.append)
    now = [0.0]
    monkeypatch.setattr("hepatic.store.breath.time.perf_counter", lambda: now[0])
    for after_s, worked_with_rests in ((0.0, 0.024), (0.012, 0.012), (float("inf"), 0.0)):
        rested.clear()
        now[0] = 0.0
        breath = Breath(after_s=after_s)
        for _ in range(40):
            now[0] += 0.0006
            breath()
        assert sum(rested) == pytest.approx(worked_with_rests, rel=0.25)
