"""How long an ultrasound task takes through REST, beside its bare forward pass and beside the stock server.

    python -m benchmarks ultrasound

Simulated stills and cines as DICOM. Three servers run at once with the same app, and are asked in turn for JSON, with a
new connection each time: ours, ours with OpenVINO, and the stock MONAI Label server. The bare forward pass of the
network in torch is timed in a process of its own between them. Every image was asked for once before, so that it is
decoded and prepared wherever that is remembered.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

import infer_tasks
from benchmarks._inputs import SHIPPED
from benchmarks._servers import ROOT, Contestant, ours, stock
from benchmarks.side_by_side import bare_forward, percentiles
from hepatic.engine.weights import Registry
from hepatic.io.header import header
from hepatic.tasks.discover import discover_tasks
from sample_data.ceus.write import write_ceus, write_ceus_stills

TASKS = {"us_bmode": "still", "us_fll": "still", "us_ceus": "cine"}
TITLES = {"ours": "ours", "openvino": "ours, OpenVINO", "hosted": "stock server, our app"}


def timed(server: Contestant, task: str, image: str) -> float:
    """Return the milliseconds until a server has said what a picture shows."""
    started = time.perf_counter()
    answer = requests.post(f"{server.address}/infer/{task}", params={"image": image, "output": "json"}, timeout=120)
    taken = 1000 * (time.perf_counter() - started)
    answer.raise_for_status()
    if not answer.json()["probabilities"]:
        raise RuntimeError(f"{server.name} says nothing of {image}")
    return taken


def measure(folder: Path, tasks: Sequence[str], servers: Sequence[str], *, images: int, turns: int) -> dict[str, Any]:
    """Write the images, start the servers, and ask."""
    demo = folder / "demo"
    if "us_ceus" in tasks:
        pairs = write_ceus(demo, images)
        files = {"still": [still for still, _ in pairs], "cine": [cine for _, cine in pairs]}
    else:
        files = {"still": write_ceus_stills(demo, images)}
    studies = demo / "studies"
    app = ROOT / "apps/hepatic"

    def copy(name: str) -> Path:
        return Path(shutil.copytree(studies, folder / f"studies-{name}"))

    makers = {
        "ours": partial(ours, app, log=folder / "ours.log"),
        "openvino": partial(
            ours, app, log=folder / "openvino.log", name="openvino", environment={"HEPATIC_ACCELERATOR": "openvino"}
        ),
        "hosted": partial(stock, "hosted", app),
    }
    known, registry = discover_tasks(infer_tasks), Registry(folder / "models", shipped=SHIPPED)
    out: dict[str, Any] = {}
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            contexts = [makers[name](studies=copy(name)) for name in servers]
            asked = list(pool.map(stack.enter_context, contexts))
        for name in tasks:
            sources = files[TASKS[name]]
            ids = [str(header(file).series_uid) for file in sources]
            for server in asked:
                for image in ids:
                    timed(server, name, image)
            taken: dict[str, list[float]] = {server.name: [] for server in asked}
            forwards = []
            with bare_forward(known[name], registry, sources[0]) as forward:
                for number in range(turns):
                    for server in asked:
                        taken[server.name].append(timed(server, name, ids[number % len(ids)]))
                    forwards.append(forward())
            out[name] = {
                "forward": percentiles(forwards),
                "servers": {server: percentiles(times) for server, times in taken.items()},
            }
    return {"tasks": out}


def show(results: dict[str, Any]) -> None:
    """Print every task."""
    table = Table(title=f"/infer of ultrasound, milliseconds by the clock; load {results['load']:.1f} at the start")
    for column in ("", "", "p50", "p95", "bare forward p50", "beyond it"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in results["tasks"].items():
        bare = row["forward"]["p50"]
        for server, times in row["servers"].items():
            table.add_row(
                name, TITLES[server], f"{times['p50']:.1f}", f"{times['p95']:.1f}", f"{bare:.1f}",
                f"{times['p50'] - bare:.1f}", end_section=server == list(row["servers"])[-1],
            )  # fmt: skip
    Console(width=120).print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3, help="patients, each with a still and a cine")
    parser.add_argument("--turns", type=int, default=15, help="requests per task to each server")
    parser.add_argument("--tasks", default=",".join(TASKS), help="which, separated by commas")
    parser.add_argument("--servers", default=",".join(TITLES), help="which, separated by commas")
    parser.add_argument("--quick", action="store_true", help="one patient, two requests: does it run?")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    if options.quick:
        options.images, options.turns = 1, 2
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="hepatic-bench-") as folder:
        results = measure(
            Path(folder),
            options.tasks.split(","),
            options.servers.split(","),
            images=options.images,
            turns=options.turns,
        )
    results["load"] = load
    show(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
