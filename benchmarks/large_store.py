"""What a store of 10,000 and one of 100,000 images cost: start-up, and what viewers ask all the time.

    python -m benchmarks.large_store
    python -m benchmarks.large_store --sizes 1000,10000 --requests 50

A server in its own process, as ``hepatic serve`` starts it, over real files: tiny NRRD volumes in folders of a
thousand, read by the real scanner. One in a hundred has a final label, saved through the store. All have a score by the
served model of ``dsa_ltdnet``; those are written into the index in one go rather than computed. Background scoring is
off: it would compute during the measurement. Requests come one after the other over one connection.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from rich.console import Console
from rich.table import Table

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine.weights import Registry
from hepatic.store.score import Score, write_score
from hepatic.store.waiting import note

APP = Path(__file__).resolve().parents[1] / "apps" / "hepatic"
MODEL = "dsa_ltdnet"
LIMIT_MS = 20.0
_HEADER = (
    "NRRD0004\ntype: {type}\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
    "space origin: (0,0,0)\n\n"
)


def build(studies: Path, images: int) -> None:
    """Write the files."""
    header = _HEADER.format(type="int16").encode()
    for n in range(images):
        folder = studies / f"{n // 1000:03d}"
        if n % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{n:06d}.nrrd").write_bytes(header + n.to_bytes(16, "little"))


def fill(studies: Path, label: Path) -> HepaticDatastore:
    """Give every hundredth image a label, and all of them a score."""
    datastore = HepaticDatastore(studies, auto_rescan_seconds=None)
    served = Registry(studies / ".hepatic" / "models", shipped=APP / "models").served(MODEL)
    assert served is not None
    ids = datastore.store.images.ids()
    for image_id in ids[::100]:
        datastore.store.labels.save(image_id, "final", label, info={"label_info": [{"name": "tumour"}]})
    draw = random.Random(0)
    with datastore.store.waiting.database.write() as connection:
        for image_id in ids:
            info = write_score(Score(MODEL, served.version, draw.random()))
            connection.execute("UPDATE image SET info = ? WHERE id = ?", (json.dumps(info), image_id))
            note(connection, image_id, info)
    return datastore


@contextmanager
def serving(studies: Path | str, *, log: Path) -> Iterator[tuple[str, float]]:
    """Start a server and yield its address and the seconds until it was ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "server.cli", "serve", "--app", str(APP), "--studies", str(studies)]
    environment = {**os.environ, "HEPATIC_SCORE_IN_BACKGROUND": "false", "HEPATIC_PROPOSE_IN_BACKGROUND": "false"}
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=output, stderr=output, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"The server ended:\n{log.read_text()}")
            try:
                if requests.get(f"{address}/ready", timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield address, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def times_ms(ask: Callable[[int], requests.Response], count: int) -> list[float]:
    """Ask so many times, one after the other, and return how long each took."""
    taken = []
    for n in range(count):
        started = time.perf_counter()
        answer = ask(n)
        taken.append(1000 * (time.perf_counter() - started))
        assert answer.status_code == 200, answer.text
    return taken


def measure(images: int, folder: Path, count: int) -> dict[str, list[float]]:
    """Measure a store of this size; milliseconds by what was done."""
    studies, label, log = folder / f"studies-{images}", folder / "label.nrrd", folder / "log.txt"
    label.write_bytes(_HEADER.format(type="uint8").encode() + np.ones(8, np.uint8).tobytes())
    build(studies, images)
    found: dict[str, list[float]] = {}
    with serving(studies, log=log) as (address, ready_s):
        found["start, nothing indexed: until ready"] = [1000 * ready_s]
        started, meanwhile = time.perf_counter(), []
        while True:
            meanwhile += times_ms(lambda _: requests.get(f"{address}/info/", timeout=60), 1)
            if requests.get(f"{address}/datastore/", timeout=60).json()["total"] == images:
                break
            time.sleep(0.05)
        found["... until all are indexed"] = [1000 * (ready_s + time.perf_counter() - started)]
        found["... GET /info/ until then"] = meanwhile
    datastore = fill(studies, label)
    waiting = datastore.waiting()
    with serving(studies, log=log) as (address, ready_s):
        found["start again: until ready"] = [1000 * ready_s]
        session = requests.Session()
        session.get(f"{address}/info/", timeout=60)
        found["GET /info/"] = times_ms(lambda _: session.get(f"{address}/info/", timeout=60), count)
        for strategy in ("first", "random", "uncertainty"):

            def next_sample(n: int, strategy: str = strategy) -> requests.Response:
                asked = {"client_id": f"reader-{n % 5}"}
                return session.post(f"{address}/activelearning/{strategy}", json=asked, timeout=60)

            found[f"POST /activelearning/{strategy}"] = times_ms(next_sample, count)
        found["GET /datastore/ (status)"] = times_ms(lambda _: session.get(f"{address}/datastore/", timeout=60), count)

        def save(n: int) -> requests.Response:
            query, files = {"image": f"000_{n:06d}"}, {"label": ("label.nrrd", label.read_bytes())}
            return session.put(f"{address}/datastore/label", params=query, files=files, timeout=60)

        found["PUT /datastore/label"] = times_ms(save, count)
        everything = {"output": "all"}
        found["GET /datastore/?output=all (lists all)"] = times_ms(
            lambda _: session.get(f"{address}/datastore/", params=everything, timeout=120), 3
        )
    found["background scoring: nothing new?"] = times_of(waiting.arrivals, count)
    found["background scoring: what is not scored (lists all)"] = times_of(
        lambda: waiting.without_score(MODEL, "another version"), 3
    )
    datastore.store.close()
    shutil.rmtree(studies)
    return found


def times_of(work: Callable[[], object], count: int) -> list[float]:
    """Call so many times and return how long each call took, in milliseconds."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return taken


def shown(taken: list[float]) -> str:
    """Word a measurement: seconds where it was one long one, else median and 95th percentile."""
    if len(taken) == 1:
        return f"{taken[0] / 1000:.1f} s"
    ordered = sorted(taken)
    return f"{statistics.median(ordered):.1f} / {ordered[int(0.95 * (len(ordered) - 1))]:.1f} ms"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000", help="numbers of images")
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    chosen = parser.parse_args(arguments)
    sizes = [int(size) for size in chosen.sizes.split(",")]
    console, found = Console(width=140), []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="large-store-") as folder:
            console.print(f"{size:,} images ...")
            found.append(measure(size, Path(folder), chosen.requests))
    table = Table(title=f"median / 95th percentile of {chosen.requests} requests", title_justify="left")
    table.add_column("")
    for size in sizes:
        table.add_column(f"{size:,} images", justify="right")
    table.add_column("ratio of medians", justify="right")
    for what in found[0]:
        ratio = statistics.median(found[-1][what]) / statistics.median(found[0][what])
        table.add_row(what, *(shown(one[what]) for one in found), f"{ratio:.2f}")
    console.print(table)
    slow = {w for one in found for w, taken in one.items() if _is_asked(w) and statistics.median(taken) > LIMIT_MS}
    console.print(f"Asked for all the time and slower than {LIMIT_MS:g} ms: {', '.join(sorted(slow)) or 'none'}")


def _is_asked(what: str) -> bool:
    return what.startswith(("GET /info/", "POST /activelearning", "GET /datastore/ (status)"))


if __name__ == "__main__":
    main()
