"""What clicking is worth: detectors trained on gold, public and harvested studies (paper 001, table IV), on phantoms.

    python -m benchmarks ct_harvest
    python -m benchmarks ct_harvest --seeds 3 --models 3d --sets A,C --out results.json

A: simulated four-phase studies with every lesion boxed ("gold"). B: A and single-phase studies of other contrast, half
of them with one lesion boxed out of all ("public"). C: A and more four-phase studies that a simulated reader went
through: CenterNet-3D of A proposes up to 10 candidates per study, those above a score chosen on other gold studies are
shown, the reader says which are lesions and errs in 3 % of the verdicts, and a study in which no accepted candidate is
the primary tumour is boxed by hand. Every seed has patients of its own for training; all are tested on the same ones.
With --out what is measured is kept as it comes, and a run that was stopped goes on.
Phantoms test mechanisms, not clinical performance. Intervals: bootstrap over the patients of the test set.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks._harvest_models import MODELS
from benchmarks._harvest_studies import Study, load
from benchmarks._harvest_training import Reading, agreed_score, found, propose, read, train
from hepatic.boxes import hits
from hepatic.metrics import Found, bootstrap_interval, froc, primary_found
from hepatic.metrics.threshold import choose_threshold
from infer_tasks.ct_centernet3d import TASK

PAPER = {"2d": {"A": (74.1, 92.9), "B": (71.4, 92.9), "C": (78.6, 97.3)},
         "3d": {"A": (57.1, 84.8), "B": (73.2, 92.9), "C": (79.5, 93.8)}}  # fmt: skip
"""P1TD-1 and P1TD-10 in per cent, on patients (table IV)."""
SLIPS = 0.03
KEEP = 0.98
"""Share of the detector's sensitivity that the display threshold keeps."""
PUBLIC_CONTRAST = 1.0


@dataclass(frozen=True)
class Amounts:
    """How many studies of what, and how long a training is."""

    gold: int = 40
    threshold: int = 20
    public: int = 80
    harvested: int = 160
    test: int = 120
    steps: int = 1200


QUICK = Amounts(gold=3, threshold=2, public=2, harvested=2, test=3, steps=2)
TEST_SEED, TRAIN_SEED, PER_SEED = 950_000, 960_000, 1_000


class Patients:
    """The studies of every seed, simulated when they are needed; no patient is in two places."""

    def __init__(self, amounts: Amounts, *, contrast: float, cache: Path) -> None:
        self._amounts, self._contrast, self._cache = amounts, contrast, cache

    def _load(self, first: int, count: int, contrast: float | None = None) -> list[Study]:
        crop = TASK.pre[0]
        return load(range(first, first + count), contrast=contrast or self._contrast, crop=crop, cache=self._cache)  # type: ignore[arg-type]

    def test(self) -> list[Study]:
        return self._load(TEST_SEED, self._amounts.test)

    def gold(self, seed: int) -> list[Study]:
        return self._load(TRAIN_SEED + seed * PER_SEED, self._amounts.gold)

    def threshold(self, seed: int) -> list[Study]:
        return self._load(TRAIN_SEED + seed * PER_SEED + 100, self._amounts.threshold)

    def unread(self, seed: int) -> list[Study]:
        return self._load(TRAIN_SEED + seed * PER_SEED + 200, self._amounts.harvested)

    def public(self, seed: int) -> list[Study]:
        """Single-phase studies: most venous; every other one knows one lesion only, as a measured one of a report."""
        draw = np.random.default_rng(seed)
        studies = []
        for number, study in enumerate(
            self._load(TRAIN_SEED + seed * PER_SEED + 600, self._amounts.public, PUBLIC_CONTRAST)
        ):
            phase = int(draw.choice([1, 2, 3], p=[0.15, 0.7, 0.15]))
            one = replace(study, images=study.images[phase : phase + 1])
            if number % 2:
                chosen = int(draw.integers(len(study.lesions)))
                one = replace(one, known=study.lesions[chosen : chosen + 1], complete=len(study.lesions) == 1)
            studies.append(one)
        return studies


class Experiment:
    """Trains and measures cell by cell; keeps results, and the first detector of each seed, in the cache."""

    def __init__(
        self, amounts: Amounts, *, contrast: float, cache: Path, out: Path | None, tell: Callable[[str], None]
    ) -> None:
        self.patients = Patients(amounts, contrast=contrast, cache=cache)
        self._amounts, self._out, self._tell = amounts, out, tell
        self._key = f"{amounts.gold}-{amounts.steps}-{contrast}-{TRAIN_SEED}"
        self.results: dict[str, Any] = {
            "settings": {**asdict(amounts), "contrast": contrast, "public_contrast": PUBLIC_CONTRAST, "slips": SLIPS},
            "cells": {},
            "readings": {},
        }
        if out is not None and out.is_file():
            before = json.loads(out.read_text())
            if before["settings"] == self.results["settings"]:
                self.results = before
        self._cache = cache
        self._test = self.patients.test()

    def cell(self, model: str, name: str, seed: int) -> None:
        """Train one detector on one set, and test it."""
        key = f"{model}/{name}/{seed}"
        if key in self.results["cells"]:
            return
        started = time.monotonic()
        studies = self.patients.gold(seed)
        if name == "B":
            studies = [*studies, *self.patients.public(seed)]
        if name == "C":
            studies = [*studies, *self._harvest(seed).studies]
        network = self._train(model, studies, seed)
        if (model, name) == ("3d", "A"):
            torch.save(network.state_dict(), self._first(seed))
        minutes = (time.monotonic() - started) / 60
        merged = propose(network, MODELS[model], self._test)
        both = {"": found(self._test, merged), "agreed": found(self._test, merged, score=agreed_score)}
        self.results["cells"][key] = {
            "minutes": round(minutes, 2),
            **{f"p1td_1{'_' + how if how else ''}": _flags(some, 1) for how, some in both.items()},
            **{f"p1td_10{'_' + how if how else ''}": _flags(some, 10) for how, some in both.items()},
            "froc": froc(both[""])[2],
        }
        told = self.results["cells"][key]
        rates = ", ".join(f"{n} {np.mean(told[n]):.3f}" for n in told if n.startswith("p1td"))
        self._tell(f"{key}: {rates}, FROC {told['froc']:.3f}, {minutes:.1f} min")
        self._keep()

    def _train(self, model: str, studies: Sequence[Study], seed: int) -> nn.Module:
        return train(MODELS[model], studies, seed=seed, steps=self._amounts.steps, tell=self._tell)

    def _first(self, seed: int) -> Path:
        return self._cache / f"ct-harvest-{self._key}-{seed}.pt"

    def _harvest(self, seed: int) -> Reading:
        """Let the 3D detector of set A propose, and the reader judge."""
        self.cell("3d", "A", seed)
        model = MODELS["3d"]
        network = model.build()
        network.load_state_dict(torch.load(self._first(seed), weights_only=True))
        network.eval()
        gold = self.patients.threshold(seed)
        scored = found(gold, propose(network, model, gold))
        hit = [(study.scores, hits(study.boxes, study.lesions)) for study in scored]
        shown_from = choose_threshold(hit, keep=KEEP).score if any(h.any() for _, h in hit) else 0.0
        unread = self.patients.unread(seed)
        reading = read(unread, propose(network, model, unread), shown_from=shown_from, slips=SLIPS, seed=seed)
        about = {n: round(float(v), 4) for n, v in asdict(replace(reading, studies=[])).items() if n != "studies"}
        self.results["readings"][str(seed)] = {"shown_from": round(shown_from, 4), **about}
        self._tell(f"seed {seed}, reader: {self.results['readings'][str(seed)]}")
        self._keep()
        return reading

    def _keep(self) -> None:
        if self._out is not None:
            temporary = self._out.with_suffix(".new")
            temporary.write_text(json.dumps(self.results, indent=1))
            temporary.replace(self._out)


def _flags(studies: Sequence[Found], k: int) -> list[int]:
    return [int(primary_found(study, k=k)) for study in studies]


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Mean of the seeds, its interval and each seed's value, and the gain over A on the seeds both have, per row."""
    cells = results["cells"]
    rows: dict[str, Any] = {}
    for row in dict.fromkeys(key.rsplit("/", 1)[0] for key in cells):
        model, name = row.split("/")
        seeds = [key.rsplit("/", 1)[1] for key in cells if key.startswith(row + "/")]
        rows[row] = {"seeds": len(seeds)}
        for measure in ("p1td_1", "p1td_10"):
            values = np.array([cells[f"{row}/{seed}"][measure] for seed in seeds], float)
            rows[row][measure] = _described(values)
            paired = [seed for seed in seeds if f"{model}/A/{seed}" in cells]
            if name != "A" and paired:
                gain = np.array(
                    [
                        np.subtract(cells[f"{row}/{seed}"][measure], cells[f"{model}/A/{seed}"][measure])
                        for seed in paired
                    ],
                    float,
                )
                rows[row][f"{measure}_gain"] = _described(gain)
    return rows


def _described(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    """Values (seeds, patients) to mean, interval over the patients, and mean of each seed."""
    by_patient = values.mean(axis=0)
    low, high = bootstrap_interval(by_patient, [str(n) for n in range(len(by_patient))])
    return {
        "mean": round(float(by_patient.mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "by_seed": values.mean(axis=1).round(4).tolist(),
    }


def _percent(told: dict[str, Any], *, sign: str = "") -> str:
    mean, low, high = (format(100 * value, f"{sign}.1f") for value in (told["mean"], *told["interval"]))
    return f"{mean} ({low} to {high})"


def show(results: dict[str, Any]) -> None:
    """Print the tables."""
    settings = results["settings"]
    table = Table(
        title=f"{settings['gold']} gold, {settings['public']} public, {settings['harvested']} harvested studies, "
        f"{settings['steps']} steps; {settings['test']} test patients (phantoms). In brackets: 95 % interval"
    )
    for column in ("", "trained on", "seeds", "P1TD-1 %", "by seed", "gain", "P1TD-10 %", "by seed", "gain", "paper"):
        table.add_column(column)
    for row, told in sorted(summary(results).items()):
        model, name = row.split("/")
        columns = []
        for measure in ("p1td_1", "p1td_10"):
            own, gain = told[measure], told.get(f"{measure}_gain")
            columns += [_percent(own), " ".join(f"{100 * value:.1f}" for value in own["by_seed"])]
            columns.append("" if gain is None else _percent(gain, sign="+"))
        paper = PAPER.get(model, {}).get(name)
        told_there = "" if paper is None else f"{paper[0]} / {paper[1]}"
        table.add_row(MODELS[model].title, name, str(told["seeds"]), *columns, told_there)
    console = Console(width=190)
    console.print(table)
    for seed, reading in sorted(results["readings"].items()):
        console.print(
            f"seed {seed}: shown from {reading['shown_from']:.2f}, {reading['cards']:.1f} cards a study, m "
            f"{reading['m']:.3f}, {reading['minutes']:.2f} min a study, {reading['wrong']:.2f} wrongly accepted and "
            f"{reading['left']:.2f} lesions left out a study, median IoU of accepted boxes {reading['iou']:.2f}"
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="each with its own patients and initial weights")
    parser.add_argument("--models", default="3d,2d,retina", help=",".join(MODELS))
    parser.add_argument("--sets", default="A,C,B", help="A,B,C")
    for name in ("gold", "harvested", "test", "steps"):
        parser.add_argument(f"--{name}", type=int, help=f"{getattr(Amounts, name)} unless given")
    parser.add_argument("--contrast", type=float, default=0.85, help="of lesions to the liver; smaller is harder")
    parser.add_argument("--quick", action="store_true", help="a few studies and steps: does it run?")
    parser.add_argument("--cache", type=Path, default=Path("bench-cache"), help="folder of simulated studies")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    amounts = QUICK if options.quick else Amounts()
    given = {name: getattr(options, name) for name in ("gold", "harvested", "test", "steps")}
    amounts = replace(amounts, **{name: number for name, number in given.items() if number})
    started = time.monotonic()

    def tell(line: str) -> None:
        print(f"  {time.monotonic() - started:6.0f} s  {line}", flush=True)

    experiment = Experiment(amounts, contrast=options.contrast, cache=options.cache, out=options.out, tell=tell)
    for model in options.models.split(","):
        for seed in range(options.seeds):
            for name in options.sets.split(","):
                experiment.cell(model, name, seed)
    experiment.results["summary"] = summary(experiment.results)
    experiment._keep()
    show(experiment.results)


if __name__ == "__main__":
    main()
