"""Several threads and processes at one studies folder, and processes that are killed."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.store.test_labels import label_file, open_store

_ROOT = Path(__file__).resolve().parents[2]

_WRITER = """
import sys, tempfile
from pathlib import Path
from tests.store.test_labels import label_file, open_store
root, who, count, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = open_store(root)
folder = Path(tempfile.mkdtemp(dir=root.parent))
print("ready", flush=True)
for n in range(count):
    label = store.labels.save("a", "final", label_file(folder, f"{who} {n} ".ljust(size, ".")), author=who)
    store.images.update_info("a", {f"{who}-{n}": n})
    print(label.version, label.sha256, flush=True)
"""


def start_writer(root: Path, who: str, *, count: int, size: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(root), who, str(count), str(size)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def writers(root: Path, *, number: int, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [start_writer(root, f"w{n}", count=count, size=100) for n in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def test_no_version_is_lost_or_doubled_with_several_processes_and_threads(tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies", "a")

    def save(n: int) -> None:
        folder = tmp_path / f"t{n}"
        folder.mkdir()
        store.labels.save("a", "final", label_file(folder, f"thread {n}"), author="thread")
        store.images.update_info("a", {f"thread-{n}": n})

    started = time.perf_counter()
    with writers(store.root, number=3, count=15) as processes, ThreadPoolExecutor(4) as threads:
        list(threads.map(save, range(15)))
        acknowledged = [line.split() for p in processes for line in p.communicate()[0].splitlines()[1:]]
        assert [p.returncode for p in processes] == [0, 0, 0]
    print(f"60 labels and 60 notes by 3 processes and 4 threads: {time.perf_counter() - started:.1f} s")
    history = store.labels.history("a", "final")
    assert [label.version for label in history] == list(range(1, 61))
    by_version = {str(label.version): label.sha256 for label in history}
    assert len(acknowledged) == 45
    assert all(by_version[version] == sha for version, sha in acknowledged)
    assert len(store.images.get("a").info) == 60
    assert store.counts().labels == {"final": 1}


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies", "a")
    acknowledged: dict[int, str] = {}
    for round_ in range(5):
        with writers(store.root, number=0, count=0):
            process = start_writer(store.root, f"round{round_}", count=10_000, size=300_000)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.15 + 0.037 * round_)
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read()
            process.stdout.close()
            process.wait()
        for line in rest.splitlines(keepends=True):
            if line.endswith("\n"):
                version, sha = line.split()
                acknowledged[int(version)] = sha
        again = open_store(store.root)
        assert again.reconciled.vanished == ()
        assert again.reconciled.unclaimed == ()
    history = {label.version: label for label in store.labels.history("a", "final")}
    print(f"{len(acknowledged)} acknowledged over 5 kills, {len(history)} there")
    assert len(acknowledged) > 5
    assert list(history) == list(range(1, len(history) + 1))
    for version, sha in acknowledged.items():
        assert history[version].sha256 == sha
    for label in history.values():
        assert hashlib.sha256(store.labels.path(label).read_bytes()).hexdigest() == label.sha256
    assert store.labels.save("a", "final", label_file(tmp_path, "after")).version == len(history) + 1


def test_two_scans_at_once_index_every_image_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies")
    for n in range(300):
        (store.root / f"i{n}.nrrd").touch()
    other = open_store(store.root)
    scans = [threading.Thread(target=s.rescan) for s in (store, other, store)]
    for scan in scans:
        scan.start()
    for scan in scans:
        scan.join()
    assert store.counts().images == 300
    assert len(other.images.ids()) == 300


def test_a_store_goes_on_working_after_a_fork(tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies", "a")
    store.images.ids()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.labels.save("a", "final", label_file(tmp_path, "child"))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.labels.save("a", "final", label_file(tmp_path, "parent")).version == 2
