"""Is it faster to answer several requests by one forward pass?

    python -m benchmarks batching

Each network alone, in a process like an inference worker's, on one device (the GPU where there is one): a batch of n
images against n batches of one, in turn. A batch pays when ``gain`` is well above 1: then requests that wait anyway
could share a pass. What it cannot give is less waiting: everybody in a batch waits for the whole of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

from monai.inferers import SimpleInferer
from rich.console import Console
from rich.table import Table

from benchmarks import _forward
from benchmarks.our_ct.task import TASK as CT
from hepatic.tasks.spec import SegmentationTask
from infer_tasks import dsa_ltdnet, dsa_unet
from server.slot import LocalSlot

SIZES = (1, 2, 4, 8, 16)
MODELS: dict[str, tuple[SegmentationTask, tuple[int, ...]]] = {
    "dsa_unet small": (dsa_unet.TASK, (1, 96, 128)),
    "dsa_ltdnet small": (dsa_ltdnet.TASK, (10, 96, 128)),
    "dsa_ltdnet paper": (dsa_ltdnet.TASK.preset("paper"), (10, 256, 256)),
    "3D U-Net 64": (dataclasses.replace(CT, inferer=SimpleInferer()), (1, 64, 64, 64)),
}


def measure(task: SegmentationTask, shape: tuple[int, ...], *, seconds: float) -> dict[str, Any]:
    """Time one network at every batch size, in turn."""
    slot = LocalSlot(_forward.load_random, (task, shape))
    slot.open()
    try:
        taken: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
        spent = 0.0
        while spent < 1000 * seconds or len(taken[1]) < 4:
            for size in SIZES:
                wall, cpu = slot.call(_forward.forward, (size,), None)
                taken[size].append((wall, cpu))
                spent += wall
        rows = {}
        for size, times in taken.items():
            wall, cpu = (statistics.median(t[part] for t in times[1:]) for part in (0, 1))
            rows[size] = {"ms": wall, "ms_per_image": wall / size, "cpu_ms_per_image": cpu / size}
        return {"rows": rows, "passes": len(taken[1]) - 1}
    finally:
        slot.kill()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of forward passes per network")
    parser.add_argument("--models", default=",".join(MODELS), help="which, separated by commas")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for name in options.models.split(","):
        measured = results[name] = measure(*MODELS[name], seconds=options.seconds)
        table = Table(title=f"{name}: median of {measured['passes']} passes of each size")
        for column in ("batch", "ms until all are answered", "ms per image", "gain", "CPU ms per image", "gain"):
            table.add_column(column, justify="right")
        one = measured["rows"][1]
        for size, row in measured["rows"].items():
            table.add_row(
                str(size), f"{row['ms']:.1f}", f"{row['ms_per_image']:.1f}",
                f"{one['ms_per_image'] / row['ms_per_image']:.2f} x", f"{row['cpu_ms_per_image']:.1f}",
                f"{one['cpu_ms_per_image'] / row['cpu_ms_per_image']:.2f} x",
            )  # fmt: skip
        Console(width=120).print(table)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
