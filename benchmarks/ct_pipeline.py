"""Where the time of proposing candidates in a CT study goes, stage by stage.

    python -m benchmarks ct_pipeline

Simulated four-phase studies of both sizes through the pipeline of the app, in one process with one thread: reading,
contrast phase, liver, registration, writing, detection. Then the detector alone: an answer for one phase against a bare
forward pass. Where no detector has been trained its weights are random, which changes what it finds but not how long it
takes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import SimpleITK as sitk
import torch
from rich.console import Console
from rich.table import Table

import infer_tasks
from hepatic.adapters.propose import Proposer
from hepatic.engine.card import ModelCard
from hepatic.engine.model import run_detector
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepared_cache import load_prepared
from hepatic.io.image import Volume
from hepatic.tasks.discover import discover_tasks
from hepatic.tasks.spec import DetectionTask
from sample_data.ct.space import Size
from sample_data.ct.write import WrittenCT, write_ct

STAGES = ("read", "phase", "liver", "register", "write", "detect")
SHIPPED = Path(__file__).parents[1] / "apps" / "hepatic" / "models"


def request(study: WrittenCT, model: str) -> dict[str, Any]:
    """Ask for a study's candidates as the server does."""
    series = [{"image_id": f.name, "path": str(f), "description": phase} for phase, f in study.series.items()]
    return {"study_uid": study.study_uid, "patient_id": study.patient_id, "series": series, "model": model}


def measure(
    detector: DetectionTask,
    predictor: Predictor,
    folder: Path,
    *,
    size: Size,
    studies: int,
    passes: int,
    warm: bool = True,
) -> dict[str, Any]:
    """Propose each study twice, from its files and from the cache; then time the detector on one phase."""
    written = write_ct(folder, studies + warm, seed=810_000, size=size, follow_ups=False)
    propose = Proposer(discover_tasks(infer_tasks) | {detector.name: detector}, predictor, folder / "data")
    if warm:
        propose(request(written.pop(), detector.name))  # models are loaded and libraries imported by the first one
    rows = []
    for study in written:
        started = time.perf_counter()
        answer = propose(request(study, detector.name))
        whole = time.perf_counter() - started
        started = time.perf_counter()
        propose(request(study, detector.name))
        again = time.perf_counter() - started
        rows.append(
            {
                "whole_s": whole,
                "again_s": again,
                "seconds": {stage: answer["seconds"].get(stage, 0.0) for stage in STAGES},
                "candidates": len(answer["candidates"]),
                "warnings": len(answer["warnings"]),
                "content": answer["content"],
            }
        )
    prepared = load_prepared(prepared_folder(folder / "data"), cast(str, rows[0]["content"]))
    volume = Volume(next(iter(prepared.phases.values())).hu, prepared.grid, "CT")
    model = predictor.model(detector)
    image = model.task.prepare({"source": volume, "liver": prepared.liver, "options": model.task.parse_options({})})
    taken: dict[str, list[float]] = {"detect_ms": [], "forward_ms": []}
    for _ in range(passes):
        started = time.perf_counter()
        predictor.detect(detector, volume, prepared.liver)
        between = time.perf_counter()
        run_detector(model, image["image"], predictor.device)
        taken["detect_ms"].append(1000 * (between - started))
        taken["forward_ms"].append(1000 * (time.perf_counter() - between))
    return {"studies": rows, **{name: statistics.median(times) for name, times in taken.items()}}


def served_or_random(detector: DetectionTask, registry: Registry) -> bool:
    """Publish random weights where none are served; return whether trained ones are."""
    if registry.served(detector.name) is not None:
        return True
    torch.manual_seed(0)
    card = ModelCard(task=detector.name, preset=detector.preset_name, seed=0, key_metric="p1td_10", notes="Random.")
    registry.promote(detector.name, registry.publish(detector.network().state_dict(), card).version)
    return False


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ct_centernet3d", help="the detector")
    parser.add_argument("--sizes", default="small,full", help="of the studies, separated by commas")
    parser.add_argument("--studies", type=int, default=4, help="of each size, after one that warms up")
    parser.add_argument("--passes", type=int, default=30, help="of the detector alone")
    parser.add_argument("--quick", action="store_true", help="one small study, nothing warmed up: does it run?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.studies, options.passes = "small", 1, 2
    torch.set_num_threads(options.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    detector = discover_tasks(infer_tasks).get(options.model)
    if not isinstance(detector, DetectionTask):
        parser.error(f"there is no detector named {options.model}")
    results: dict[str, Any] = {"threads": options.threads, "load": os.getloadavg()[0], "sizes": {}}
    with tempfile.TemporaryDirectory(prefix="hepatic-bench-") as folder:
        registry = Registry(Path(folder) / "models", shipped=SHIPPED)
        results["trained"] = served_or_random(detector, registry)
        for size in options.sizes.split(","):
            results["sizes"][size] = measure(
                detector,
                Predictor(registry, device="cpu"),
                Path(folder) / size,
                size=size,
                studies=options.studies,
                passes=options.passes,
                warm=not options.quick,
            )
    show(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))


def show(results: dict[str, Any]) -> None:
    """Print medians over the studies."""
    table = Table(title=f"Proposing a four-phase study, seconds (median), {results['threads']} thread(s)")
    names = ("size", *STAGES, "whole", "studies a minute", "prepared before", "candidates", "detector ms", "forward ms")
    for name in names:
        table.add_column(name, justify="right")
    for size, found in results["sizes"].items():
        rows = found["studies"]

        def median(name: str, rows: list[dict[str, Any]] = rows) -> float:
            return float(statistics.median(row["seconds"][name] if name in STAGES else row[name] for row in rows))

        table.add_row(
            size, *(f"{median(stage):.2f}" for stage in STAGES), f"{median('whole_s'):.2f}",
            f"{60 / median('whole_s'):.1f}", f"{median('again_s'):.2f}", f"{median('candidates'):.1f}",
            f"{found['detect_ms']:.1f}", f"{found['forward_ms']:.1f}",
        )  # fmt: skip
    Console(width=150).print(table)
    print("whole: from the files; candidates: of a study; detector: its answer for a phase; forward: its bare pass")
    if not results["trained"]:
        print("The detector's weights are random: only its time means something.")
