"""How far liver tissue still lies from its true place once a phase was registered, and how long that takes.

    python -m benchmarks ct_registration

Simulated four-phase studies, whose motion between phases is known: every phase is registered to the venous one, by each
method on its own, with the true liver as the region. The error is the distance from a place in the venous liver to
where the true motion brings the tissue that the registration found for it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hepatic.io.image import Volume
from hepatic.registration.register import Method, register
from sample_data.ct.motion import Motion
from sample_data.ct.space import Size
from sample_data.ct.study import CTStudy, simulate

PLACES = 300


def measure(study: CTStudy, method: Method) -> list[dict[str, float]]:
    """Register the other three phases of a study; error in millimetres, CPU seconds."""
    fixed = Volume(study["venous"].hu, study.grid, "CT")
    liver = study["venous"].liver
    voxels = np.argwhere(liver)[:, ::-1]
    voxels = voxels[:: max(1, len(voxels) // PLACES)]
    places = voxels @ study.grid.affine[:3, :3].T + study.grid.affine[:3, 3]
    rows = []
    for phase in ("nc", "arterial", "delayed"):
        moving = Volume(study[phase].hu, study.grid, "CT")
        started = time.process_time()
        found = register(fixed, moving, liver, methods=(method,))
        registered = time.process_time()
        found.carry(moving, study.grid)
        carried = places if found.displacement is None else found.displacement.at(places)
        motion = study[phase].motion
        rows.append(
            {
                "before_mm": _error_mm(motion, places, places),
                "after_mm": _error_mm(motion, carried, places),
                "taken": float(found.method == method),
                "register_s": registered - started,
                "carry_s": time.process_time() - registered,
            }
        )
    return rows


def _error_mm(motion: Motion, found: NDArray[np.float64], places: NDArray[np.float64]) -> float:
    true = np.array([motion.to_venous(place[::-1])[::-1] for place in found])
    return float(np.linalg.norm(true - places, axis=1).mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=10, help="studies of 24 x 72 x 96")
    parser.add_argument("--full", type=int, default=2, help="studies of 40 x 512 x 512")
    parser.add_argument("--methods", default="convexadam,bspline", help="which, separated by commas")
    parser.add_argument("--seed", type=int, default=820_000, help="of the first patient")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    table = Table(title="Registration to the venous phase, one thread")
    for name in ("size", "method", "pairs", "taken", "mm before", "mm after", "worst pair", "register s", "carry s"):
        table.add_column(name, justify="right")
    counts: dict[Size, int] = {"small": options.small, "full": options.full}
    results: dict[str, Any] = {}
    for size, count in counts.items():
        studies = [simulate(options.seed + index, size=size) for index in range(count)]
        for method in cast(list[Method], options.methods.split(",")):
            rows = [row for study in studies for row in measure(study, method)]
            results[f"{size} {method}"] = rows
            if rows:
                mean = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
                table.add_row(
                    size, method, str(len(rows)), f"{mean['taken']:.0%}", f"{mean['before_mm']:.2f}",
                    f"{mean['after_mm']:.2f}", f"{max(row['after_mm'] for row in rows):.2f}",
                    f"{mean['register_s']:.1f}", f"{mean['carry_s']:.2f}",
                )  # fmt: skip
    Console(width=120).print(table)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))
