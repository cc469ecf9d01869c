"""What OpenVINO saves on a CPU, and what it costs: torch, float32 and bfloat16 side by side.

    python -m benchmarks acceleration
    python -m benchmarks acceleration --tasks us_fll,ct_centernet3d --preset paper

Each network with its shipped weights (random ones where a preset has none) on simulated images, prepared as for a
request, in one process with one thread: torch, OpenVINO in float32 and in bfloat16 in turn. Beside the times: the
largest difference of a logit from torch's, and what of it reaches the answer. Then, for shipped weights: how right each
is by the truth of simulated patients whom no weights have seen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch.utils._pytree import tree_leaves

import infer_tasks
import train_tasks
from benchmarks._accuracy import accuracy
from benchmarks._inputs import SHIPPED
from hepatic.engine.accelerate import TOLERANCE
from hepatic.engine.card import ModelCard
from hepatic.engine.device import LAYOUTS
from hepatic.engine.model import LoadedModel
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.io.read import read
from hepatic.settings import Accelerator
from hepatic.tasks.discover import discover_recipes, discover_tasks
from hepatic.tasks.spec import ClassificationTask, DetectionTask, SegmentationTask, Task
from sample_data.ceus.write import write_ceus
from sample_data.ct.write import write_ct
from sample_data.us.write import write_us
from sample_data.write import write_dsa

SIDES: tuple[Accelerator, ...] = ("none", "openvino", "openvino-bf16")
MIN_SCORE = 0.1
"""From which a peak counts as a candidate."""


def images(folder: Path, task: Task, count: int) -> list[Path]:
    """Write simulated images that a task takes."""
    match task.modality, task.dimension:
        case "XA", _:
            return [run.image for run in write_dsa(folder, count)]
        case "US", 3:
            return [cine for _, cine in write_ceus(folder, count)]
        case "US", _:
            return write_us(folder, count)
    studies = write_ct(folder, count, follow_ups=False)
    return [study.series["venous"] for study in studies]


def prepared(task: Task, file: Path) -> torch.Tensor:
    """Return an image as the network gets it, with an axis for the batch; a detector sees the whole of a CT."""
    source = task.accept(read(file))
    sample: dict[str, Any] = {"source": source, "options": task.parse_options({})}
    if isinstance(task, DetectionTask):
        sample["liver"] = np.ones(source.grid.shape, np.bool_)
    batch: torch.Tensor = task.prepare(sample)["image"][None]
    return batch.contiguous(memory_format=LAYOUTS[batch.ndim]) if batch.ndim in LAYOUTS else batch


def answer(task: Task, output: Any) -> tuple[NDArray[np.float64], Any]:
    """Return the probabilities a client is told, and what is concluded from them."""
    match task:
        case DetectionTask():
            scores = task.decode(output)[1][0].sort(descending=True).values.double().numpy()
            return scores, int((scores >= MIN_SCORE).sum())
        case ClassificationTask():
            p = task.probabilities(output)[0].double().numpy()
            return p, task.conclude(dict(zip(task.labels, p.tolist(), strict=True)))
        case SegmentationTask():
            p = task.probabilities(output)[0].double().numpy()
            return p, p >= 0.5
    raise TypeError(type(task))


def kept(task: Task, one: Any, other: Any) -> float:
    """Return how much of an answer stays: Dice of a segmentation, 1 or 0 for a class and a number of candidates."""
    if isinstance(task, SegmentationTask):
        return float(2 * (one & other).sum() / max(1, one.sum() + other.sum())) if (one | other).any() else 1.0
    return float(one == other)


def measure(
    task: Task, models: Mapping[Accelerator, LoadedModel[Task]], files: Sequence[Path], passes: int
) -> dict[str, Any]:
    """Time one network on every side, in turn, and compare what it says."""
    first: dict[Accelerator, float] = {}
    batches = [prepared(task, file) for file in files]
    with torch.inference_mode():
        for side in SIDES:
            started = time.perf_counter()
            task.inferer(batches[0], models[side].network)
            first[side] = time.perf_counter() - started
        taken: dict[Accelerator, list[tuple[float, float]]] = {side: [] for side in SIDES}
        for number in range(passes):
            for side in SIDES:
                started, cpu = time.perf_counter(), time.process_time()
                task.inferer(batches[number % len(batches)], models[side].network)
                taken[side].append((1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - started)))
        outputs = {side: [task.inferer(batch, models[side].network) for batch in batches] for side in SIDES}
    row: dict[str, Any] = {"shape": list(batches[0].shape[1:]), "passes": passes, "sides": {}}
    for side in SIDES:
        differences, probabilities, same = [0.0], [0.0], []
        for ours, torchs in zip(outputs[side], outputs["none"], strict=True):
            differences += [
                float((a - b).abs().max())
                for a, b in zip(*map(tree_leaves, (ours, torchs)), strict=True)
                if a is not None
            ]
            (p, concluded), (expected, meant) = answer(models[side].task, ours), answer(models[side].task, torchs)
            probabilities.append(float(np.abs(p - expected).max()))
            same.append(kept(task, concluded, meant))
        row["sides"][side] = {
            "cpu_ms": statistics.median(cpu for cpu, _ in taken[side]),
            "wall_ms": statistics.median(wall for _, wall in taken[side]),
            "first_s": first[side],
            "logit_difference": max(differences),
            "probability_difference": max(probabilities),
            "answers_kept": statistics.mean(same),
            "is_torch": side != "none" and not getattr(models[side].network, "differences", {}),
        }
    return row


def show_accuracy(results: dict[str, Any]) -> None:
    """Print how right every network is on every side."""
    judged = {name: row["accuracy"] for name, row in results["tasks"].items() if "accuracy" in row}
    if not judged:
        return
    table = Table(title=f"By the truth of {results['patients']} simulated patients")
    for name in ("", "images", "measure", "torch", "f32", "bf16", "bf16 costs"):
        table.add_column(name, justify="left" if name in ("", "measure") else "right")
    for name, told in judged.items():
        torchs, f32, bf16 = (told["measures"][side] for side in SIDES)
        for measure_, value in torchs.items():
            table.add_row(
                name, str(told["cases"]), measure_, f"{value:.4f}", f"{f32[measure_]:.4f}", f"{bf16[measure_]:.4f}",
                f"{value - bf16[measure_]:+.4f}",
            )  # fmt: skip
    Console(width=140).print(table)


def publish_random(task: Task, registry: Registry) -> None:
    """Serve random weights of a preset."""
    torch.manual_seed(0)
    metric = {"segmentation": "dice", "detection": "p1td_10", "classification": "auc"}[task.type]
    card = ModelCard(task=task.name, preset=task.preset_name, seed=0, key_metric=metric, notes="Random.")
    registry.promote(task.name, registry.publish(task.network().state_dict(), card).version)


def show(results: dict[str, Any]) -> None:
    """Print every network, and whether float32 is the same."""
    about = f"{results['threads']} thread(s), load {results['load']:.1f} at the start"
    table = Table(title=f"One forward pass, milliseconds of CPU (median), {about}")
    columns = (
        "",
        "image",
        "torch",
        "f32",
        "gain",
        "logits",
        "first s",
        "bf16",
        "gain",
        "logits",
        "probabilities",
        "answers",
    )
    for name in columns:
        table.add_column(name, justify="right" if name else "left")
    for name, row in results["tasks"].items():
        torchs, f32, bf16 = (row["sides"][side] for side in SIDES)
        table.add_row(
            name, "x".join(map(str, row["shape"])), f"{torchs['cpu_ms']:.1f}",
            f"{f32['cpu_ms']:.1f}", f"{torchs['cpu_ms'] / f32['cpu_ms']:.1f} x", f"{f32['logit_difference']:.1e}",
            f"{f32['first_s']:.1f}", f"{bf16['cpu_ms']:.1f}", f"{torchs['cpu_ms'] / bf16['cpu_ms']:.1f} x",
            f"{bf16['logit_difference']:.1e}", f"{bf16['probability_difference']:.1e}", f"{bf16['answers_kept']:.3f}",
        )  # fmt: skip
    Console(width=140).print(table)
    print("By the clock it is the same on a quiet core (--out has both). First: the first pass, with the export and")
    print("torch's beside it. Logits, probabilities: the largest difference from torch's over all images. Answers: how")
    print("much of them stays the same in bfloat16 (Dice; class; number of candidates).")
    worst = max(row["sides"]["openvino"]["logit_difference"] for row in results["tasks"].values())
    met = "met" if worst <= TOLERANCE else "NOT MET"
    print(f"float32 is the same to {worst:.1e}; expected: <= {TOLERANCE:g}: {met}")
    for name, row in results["tasks"].items():
        if row["sides"]["openvino"]["is_torch"]:
            print(f"{name} ran in torch: OpenVINO cannot run it, or says something else")


def main(arguments: list[str] | None = None) -> None:
    tasks = discover_tasks(infer_tasks)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(tasks), help="which, separated by commas")
    parser.add_argument("--preset", default="", help="another one than what is shipped, with random weights")
    parser.add_argument("--images", type=int, default=4, help="of each modality")
    parser.add_argument("--passes", type=int, default=20, help="timed on each side")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--patients", type=int, default=8, help="simulated, whose truth judges; 0 to leave that out, 32 took 20 minutes"
    )
    parser.add_argument("--quick", action="store_true", help="one image, two passes, eight patients: does it run?")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    if options.quick:
        options.images, options.passes, options.patients = 1, 2, min(options.patients, 8)
    chosen = options.tasks.split(",")
    if not set(chosen) <= set(tasks):
        parser.error(f"tasks are {', '.join(tasks)}")
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {
        "threads": options.threads,
        "load": os.getloadavg()[0],
        "patients": options.patients,
        "tasks": {},
    }
    recipes = discover_recipes(train_tasks)
    with tempfile.TemporaryDirectory(prefix="hepatic-bench-") as folder:
        files: dict[tuple[str, int], list[Path]] = {}
        for name in chosen:
            task, registry = tasks[name], Registry(Path(folder) / "models", shipped=SHIPPED)
            if options.preset:
                task = task.preset(options.preset)
                publish_random(task, registry)
            kind = task.modality, task.dimension if task.modality == "US" else 0
            if kind not in files:
                files[kind] = images(Path(folder) / "-".join(map(str, kind)), task, options.images)
            models = {side: Predictor(registry, device="cpu", accelerator=side).model(task) for side in SIDES}
            row = results["tasks"][name] = measure(task, models, files[kind], options.passes)
            if options.patients and not options.preset:
                started = time.perf_counter()
                row["accuracy"] = accuracy(recipes[name], models, Path(folder) / "judges" / name, options.patients)
                row["accuracy"]["seconds"] = time.perf_counter() - started
    show(results)
    show_accuracy(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
