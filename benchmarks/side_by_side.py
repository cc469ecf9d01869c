"""Our server, and the stock MONAI Label server, side by side: the same network, weights, input and requests.

    python -m benchmarks side_by_side
    python -m benchmarks side_by_side --quick
    python -m benchmarks side_by_side --only ct --out results.json

Three servers run at once, each in processes of its own and driven by 3D Slicer's client, one request to each in turn:

* ours: our server with our app;
* stock: the stock server (``monailabel start_server``) with an app in the manner of MONAI Label's own radiology app
  (benchmarks/stock_style);
* hosted: the stock server with our app, which separates the server from the engine.

The bare forward pass of the same network on a prepared image is timed in a process of its own, in turn with them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import SimpleITK as sitk
import torch
from rich.console import Console

from benchmarks import _forward, _inputs
from benchmarks._report import show
from benchmarks._servers import ROOT, Contestant, ours, stock
from benchmarks._slicer import PARAMS, slicer_client
from benchmarks.our_ct.task import TASK as CT
from hepatic.engine.weights import Registry
from hepatic.metrics import dice
from hepatic.tasks.spec import SegmentationTask, Task
from server.slot import LocalSlot

INFO_PER_S = 20
"""/info/ requests per second, sent on time whether or not the last was answered."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        runs: DSA images.
        warm, warm_ct: requests per task to each server.
        each: requests of each concurrent client, by number of clients.
        info_s: seconds of /info/ while inferring.
        passive: let the stock server's waiting threads sleep, too.
        total: requests to our server after which its memory is compared with that after ``early``; the others get as
            many as the rest takes.
    """

    runs: int = 4
    warm: int = 15
    warm_ct: int = 3
    each: dict[int, int] = field(default_factory=lambda: {8: 5, 32: 2})
    info_s: float = 8.0
    early: int = 50
    total: int = 500
    ct_size: tuple[int, int, int] = (512, 512, 100)
    passive: bool = False


SHORT = Scale(runs=3, warm=7, warm_ct=2, each={8: 2, 32: 1}, info_s=4.0, total=150)
QUICK = Scale(runs=2, warm=3, warm_ct=1, each={4: 2}, info_s=1.0, early=10, total=16, ct_size=(48, 48, 20))


class Client:
    """A contestant as one user of 3D Slicer sees it; counts what was asked."""

    def __init__(self, contestant: Contestant, folder: Path) -> None:
        self.contestant, self._folder = contestant, folder
        self.asked = 0
        self.failures: list[str] = []
        self._counting = threading.Lock()

    def infer(self, task: str, image: str) -> tuple[float, Path | None]:
        """Return the milliseconds until the answer was saved, and the result file; None if it failed."""
        client = slicer_client(self.contestant.address, self._folder)
        started = time.perf_counter()
        try:
            file, _ = client.infer(task, image, dict(PARAMS))
        except Exception as failure:  # whatever the client raises is a failed request
            file = None
            self.failures.append(f"{task}: {failure}"[:300])
        taken = 1000 * (time.perf_counter() - started)
        with self._counting:
            self.asked += 1
        return taken, None if file is None else Path(file)

    def timed(self, task: str, image: str) -> float:
        """Milliseconds until the answer was saved."""
        taken, file = self.infer(task, image)
        if file is not None:
            file.unlink()
        return taken

    def info(self) -> None:
        """Ask for ``/info/``."""
        slicer_client(self.contestant.address, self._folder).info()


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Milliseconds: p50, p95, p99, and how many there were."""
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1), "n": len(times)}


@contextmanager
def bare_forward(task: Task, registry: Registry, image: Path) -> Iterator[Callable[[], float]]:
    """Give what times one forward pass of the served network on this image, prepared; milliseconds."""
    slot = LocalSlot(_forward.load_served, (task, registry, image))
    slot.open()

    def forward() -> float:
        taken: float = slot.call(_forward.forward, (), None)[0]
        return taken

    try:
        forward()
        yield forward
    finally:
        slot.kill()


def agreement(clients: Sequence[Client], task: str, images: Sequence[str]) -> dict[str, Any]:
    """Smallest Dice over images and labels of each contestant's result with the first one's, on the same grid."""
    smallest, voxels = 1.0, []
    for image in images:
        answers = []
        for client in clients:
            _, file = client.infer(task, image)
            if file is None:
                raise RuntimeError(client.failures[-1])
            answers.append(sitk.ReadImage(str(file)))
            file.unlink()
        first = answers[0]
        arrays = [sitk.GetArrayFromImage(answer) for answer in answers]
        voxels.append(int((arrays[0] > 0).sum()))
        for answer, array in zip(answers[1:], arrays[1:], strict=True):
            if not np.allclose(answer.GetOrigin(), first.GetOrigin(), atol=1e-3) or array.shape != arrays[0].shape:
                raise RuntimeError(f"{task}: the results lie on different grids")
            for value in np.unique(arrays[0]):
                smallest = min(smallest, dice(array == value, arrays[0] == value))
    if smallest < 0.99 or not any(voxels):
        raise RuntimeError(f"{task}: the contestants disagree (Dice {smallest:.4f}, {voxels} voxels found)")
    return {"dice": round(smallest, 5), "voxels_found": voxels}


def info_while_inferring(client: Client, task: str, image: str, seconds: float) -> dict[str, float]:
    """Time ``/info/`` while inferences run one after the other, at least one whole."""
    ended = threading.Event()
    once = threading.Event()

    def infer() -> None:
        while not ended.is_set():
            client.timed(task, image)
            once.set()

    def ask(due: float) -> float:
        client.info()
        return 1000 * (time.perf_counter() - due)

    inferring = threading.Thread(target=infer)
    inferring.start()
    with ThreadPoolExecutor(64) as pool:
        started = time.perf_counter()
        asked: list[Future[float]] = []
        while time.perf_counter() - started < seconds or not once.is_set():
            due = started + len(asked) / INFO_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            asked.append(pool.submit(ask, due))
        wait(asked)
    ended.set()
    inferring.join()
    times = [answer.result() for answer in asked]
    return {**percentiles(times), "longest": round(max(times), 1)}


def crowd(client: Client, work: Sequence[tuple[str, str]], clients: int, each: int) -> dict[str, float]:
    """Let many clients ask at once, each again as soon as it is answered."""
    failed = len(client.failures)

    def one(number: int) -> list[float]:
        return [client.timed(*work[(number + turn) % len(work)]) for turn in range(each)]

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = [taken for times in pool.map(one, range(clients)) for taken in times]
    seconds = time.perf_counter() - started
    return {
        **percentiles(times),
        "per_s": round(len(times) / seconds, 1),
        "failed": len(client.failures) - failed,
    }


def measure_latency(
    clients: Sequence[Client],
    task: SegmentationTask,
    registry: Registry,
    images: Sequence[str],
    studies: Path,
    count: int,
) -> dict[str, Any]:
    """Cold, new images, warm, the bare forward pass, and whether the results agree."""
    rows: dict[str, dict[str, Any]] = {client.contestant.name: {} for client in clients}
    for client in clients:
        rows[client.contestant.name]["cold"] = round(client.timed(task.name, images[0]), 1)
    new = [[client.timed(task.name, image) for client in clients] for image in images[1:]]
    warm: list[list[float]] = []
    forwards: list[float] = []
    with bare_forward(task, registry, studies / f"{images[0]}.nii.gz") as forward:
        for turn in range(count):
            warm.append([client.timed(task.name, images[turn % len(images)]) for client in clients])
            forwards.append(forward())
    for place, row in enumerate(rows.values()):
        row["warm"] = percentiles([times[place] for times in warm])
        if new:
            row["new_image"] = percentiles([times[place] for times in new])
    agreed = agreement(clients, task.name, images)
    return {"forward": percentiles(forwards), "agreement": agreed, "servers": rows}


def measure_dsa(folder: Path, scale: Scale, told: Callable[[str], None]) -> dict[str, Any]:
    """The two models on DSA runs: one request at a time, many at once, and memory."""
    images = _inputs.write_runs(folder, scale.runs)
    studies = folder / "studies"
    registry = Registry(folder / "models", shipped=_inputs.SHIPPED)
    style = _inputs.stock_style_app(folder, registry, list(_inputs.DSA))
    out: dict[str, Any] = {"tasks": {}, "memory": {}, "crowds": {}}
    told("DSA: starting three servers")
    with ExitStack() as stack:
        clients = _start(
            stack, folder, ROOT / "apps/hepatic", style, {"models": ",".join(_inputs.DSA)}, passive=scale.passive
        )
        for task in _inputs.DSA.values():
            told(f"{task.name}: one request after the other")
            out["tasks"][task.name] = measure_latency(clients, task, registry, images, studies, scale.warm)
        work = [(name, image) for image in images for name in _inputs.DSA]
        for client in clients:
            crowd(client, work, 1, max(1, scale.early - client.asked))
            out["memory"][client.contestant.name] = {
                "early_mib": round(client.contestant.rss_mib()), "early_requests": client.asked
            }  # fmt: skip
        for name, measured in out["tasks"].items():
            told(f"{name}: /info/ meanwhile")
            for client in clients:
                row = measured["servers"][client.contestant.name]
                row["info"] = info_while_inferring(client, name, images[0], scale.info_s)
        for at_once, each in scale.each.items():
            told(f"DSA: {at_once} clients at once")
            out["crowds"][at_once] = {client.contestant.name: crowd(client, work, at_once, each) for client in clients}
        our, *_ = clients
        told(f"DSA: memory after {scale.total} requests")
        crowd(our, work, 4, max(1, -(-(scale.total - our.asked) // 4)))
        for client in clients:
            out["memory"][client.contestant.name] |= {
                "late_mib": round(client.contestant.rss_mib()), "late_requests": client.asked
            }  # fmt: skip
        out["failures"] = {client.contestant.name: client.failures for client in clients}
    return out


def measure_ct(folder: Path, scale: Scale, told: Callable[[str], None]) -> dict[str, Any]:
    """A 3D model on a volume."""
    image = _inputs.write_ct(folder, scale.ct_size)
    app = _inputs.our_ct_app(folder, image)
    registry = Registry(app / "models")
    style = _inputs.stock_style_app(folder, registry, [CT.name])
    told("CT: starting three servers")
    with ExitStack() as stack:
        clients = _start(stack, folder, app, style, {"models": CT.name}, passive=scale.passive)
        told(f"{CT.name}: one request after the other")
        measured = measure_latency(clients, CT, registry, [image], folder / "studies", scale.warm_ct)
        told(f"{CT.name}: /info/ meanwhile")
        for client in clients:
            measured["servers"][client.contestant.name]["info"] = info_while_inferring(client, CT.name, image, 0.0)
        failures = {client.contestant.name: client.failures for client in clients}
    return {"tasks": {CT.name: measured}, "failures": failures}


def _start(
    stack: ExitStack, folder: Path, app: Path, style: Path, conf: dict[str, str], *, passive: bool
) -> list[Client]:
    """Start the three, each over its own copy of the studies."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(folder / "studies", folder / f"studies-{name}"))

    results = folder / "results"
    results.mkdir()
    servers = [
        ours(app, copy("ours"), folder / "ours.log"),
        stock("stock", style, copy("stock"), conf, passive=passive),
        stock("hosted", app, copy("hosted"), passive=passive),
    ]
    with ThreadPoolExecutor() as pool:
        return [Client(contestant, results) for contestant in pool.map(stack.enter_context, servers)]


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cpus": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_before": round(psutil.getloadavg()[0], 1),
        "torch": torch.__version__,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="tiny: does it run? Its figures mean nothing")
    size.add_argument("--short", action="store_true", help="fewer requests")
    parser.add_argument(
        "--passive",
        action="store_true",
        help="let the stock server's waiting threads sleep (OMP_WAIT_POLICY=PASSIVE), as our workers' do by default; "
        "on a busy machine its own default slows it most",
    )
    parser.add_argument("--only", choices=["dsa", "ct"], help="leave the other out")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else SHORT if options.short else Scale()
    scale = dataclasses.replace(scale, passive=options.passive)
    console = Console(stderr=True)
    results: dict[str, Any] = {"machine": machine(), "scale": dataclasses.asdict(scale)}
    started = time.monotonic()

    def told(what: str) -> None:
        console.print(f"{time.monotonic() - started:5.0f} s  {what}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="hepatic-bench-") as folder:
        for name, measure in (("dsa", measure_dsa), ("ct", measure_ct)):
            if options.only in (None, name):
                results[name] = measure(Path(folder) / name, scale, told)
                if options.out:
                    options.out.write_text(json.dumps(results, indent=1))
    results["seconds"] = round(time.monotonic() - started)
    results["expected"] = show(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))
    if any(failed for part in ("dsa", "ct") if part in results for failed in results[part]["failures"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
