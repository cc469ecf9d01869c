"""What time and the liver are worth: the rows of paper 000's tables on held-out phantoms.

    python -m benchmarks.dsa_ablation --seeds 5
    python -m benchmarks.dsa_ablation --seeds 2 --rows unet,fd,lrs,tdl,full --control a --control b

Every row is the fusion network of DSA-LTDNet with other branches, trained by the recipe of ``dsa_ltdnet`` on the same
simulated runs for the same number of steps and tested on the same held-out ones (other seeds, so other anatomies). Rows
with a supervised temporal difference warm that branch up for one epoch first, as the paper does.
Phantoms test mechanisms, not clinical performance. Intervals: paired bootstrap over the anatomies of the test set.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hepatic.engine.train_network import train_network
from hepatic.losses import ltd_loss
from hepatic.networks.ltdnet import LTDNet, ltd_probabilities
from hepatic.networks.unet import SMALL, TINY
from hepatic.tasks.recipe import Recipe, Tensors
from sample_data.dsa import LearningSet, learning_set
from train_tasks.dsa_ltdnet import RECIPE

ROWS: dict[str, tuple[str, dict[str, bool], float, float | None]] = {
    # name: (title, branches, l0, Dice in the paper)
    "unet": ("U-Net on the key frame (dsa_unet)", {"learnt_difference": False, "liver": False}, 0.0, 70.75),
    "fd": ("KF + FD", {"learnt_difference": False, "liver": False, "frame_difference": True}, 0.0, 71.73),
    "lrs": ("FFS + LRS", {"learnt_difference": False}, 0.0, 72.01),
    "tdl0": ("FFS + TDL without supervision", {"liver": False}, 0.0, 69.90),
    "tdl": ("FFS + TDL", {"liver": False}, 0.1, 72.32),
    "full": ("DSA-LTDNet (dsa_ltdnet)", {}, 0.1, 73.68),
}
TRAIN_SEEDS, TEST_SEEDS = range(100_000, 100_150), range(200_000, 200_100)
DRAWS = 3
CACHE = Path("bench-cache")


def load(seeds: range, *, a: bool, b: bool, workers: int) -> LearningSet:
    """Simulate a learning set, or take it from the cache; the cache knows the generator by its source's hash."""
    import sample_data.dsa

    source = b"".join(f.read_bytes() for f in sorted(Path(str(sample_data.dsa.__file__)).parent.glob("*.py")))
    key = hashlib.sha256(source + f"{seeds} {DRAWS} {a} {b}".encode()).hexdigest()[:12]
    file = CACHE / f"dsa-{key}.npz"
    if not file.is_file():
        CACHE.mkdir(exist_ok=True)
        with Progress(transient=True) as bar:
            task = bar.add_task(f"simulating {len(seeds)} angiographies", total=len(seeds))
            made = learning_set(
                seeds, draws=DRAWS, confounder_a=a, confounder_b=b, workers=workers, progress=lambda: bar.advance(task)
            )
        np.savez_compressed(file, **{f.name: getattr(made, f.name) for f in dataclasses.fields(made)})
    with np.load(file) as arrays:
        return LearningSet(**arrays)


def samples(data: LearningSet, frames: tuple[int, ...]) -> list[Tensors]:
    """Windows that end with frame k + f, for each f: image (10, h, w), target and known (2, ...)."""
    image = (torch.from_numpy(data.X.astype(np.float32)) - 150) / 50
    tumour, whole = torch.from_numpy(data.tumour), torch.from_numpy(data.liver | data.tumour)
    out = []
    for i in range(len(image)):
        for f in frames:
            target = torch.stack([tumour[i, f], whole[i, f]]).float()
            out.append({"image": image[i, f : f + 10], "target": target, "known": torch.ones(2)})
    return out


def recipe_of(row: str, steps: int, count: int) -> Recipe:
    """The recipe of dsa_ltdnet with other branches and a fixed number of steps."""
    _, branches, l0, _ = ROWS[row]
    *warm_up, joint = RECIPE.stages
    per_epoch = count // RECIPE.batch_size
    joint = dataclasses.replace(joint, epochs=max(1, round(steps / per_epoch)), loss=partial(ltd_loss, l0=l0, l1=1.0))
    stages = (*[dataclasses.replace(s, epochs=1) for s in warm_up if l0], joint)
    network = partial(LTDNet, fusion=SMALL, branch=TINY, foreground_logit=-2.5, **branches)
    labels = RECIPE.task.labels if branches.get("liver", True) else RECIPE.task.labels[:1]
    task = dataclasses.replace(RECIPE.task, network=network, labels=labels, presets={})
    return dataclasses.replace(RECIPE, task=task, stages=stages, presets={})


def dice_of(network: torch.nn.Module, test: list[Tensors]) -> NDArray[np.float64]:
    """Dice of the tumour per test run."""
    network.eval()
    scores = []
    with torch.inference_mode():
        for start in range(0, len(test), 16):
            part = test[start : start + 16]
            predicted = ltd_probabilities(network(torch.stack([s["image"] for s in part])))[:, 0] >= 0.5
            truth = torch.stack([s["target"][0] for s in part]) > 0.5
            both, total = (predicted & truth).sum((1, 2)), predicted.sum((1, 2)) + truth.sum((1, 2))
            scores.append((200 * both / total.clamp(min=1)).numpy())
    return np.concatenate(scores).astype(np.float64)


def interval(difference: NDArray[np.float64], base: NDArray[np.intp]) -> tuple[float, float, float]:
    """Mean and 95 % interval of a paired difference, resampling anatomies."""
    by_base = np.array([difference[base == b].mean() for b in np.unique(base)])
    draw = np.random.default_rng(0).choice(by_base, (4000, len(by_base))).mean(axis=1)
    low, high = np.percentile(draw, [2.5, 97.5])
    return float(by_base.mean()), float(low), float(high)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="training seeds per row")
    parser.add_argument("--rows", default="unet,full", help=",".join(ROWS))
    parser.add_argument("--steps", type=int, default=504, help="joint training steps, rounded to whole epochs")
    parser.add_argument(
        "--control", choices=["a", "b"], action="append", default=[], help="also without confounder a / b"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that simulate")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    results: dict[str, Any] = {"settings": {**vars(options), "out": None}, "sets": {}}
    for control in ["", *options.control]:
        name = f"without confounder {control}" if control else "both confounders"
        results["sets"][name] = measure(name, options, a=control != "a", b=control != "b")
        if options.out:
            options.out.write_text(json.dumps(results, indent=1))


def measure(name: str, options: argparse.Namespace, *, a: bool, b: bool) -> dict[str, Any]:
    """Train and test every row on one kind of phantom; print the table."""
    train, test = (load(seeds, a=a, b=b, workers=options.workers) for seeds in (TRAIN_SEEDS, TEST_SEEDS))
    training, testing = samples(train, (0, 1, 2)), samples(test, (0,))
    rows = options.rows.split(",")
    scores: dict[str, NDArray[np.float64]] = {}
    minutes: dict[str, float] = {}
    for row in rows:
        started, per_seed = time.monotonic(), []
        recipe = recipe_of(row, options.steps, len(training))
        for seed in range(options.seeds):
            torch.manual_seed(seed)
            trained = train_network(recipe, recipe.task.network(), training, device=torch.device("cpu"), seed=seed)
            per_seed.append(dice_of(trained.network, testing))
            print(f"   {name}: {row} seed {seed}: Dice {per_seed[-1].mean():.1f}", flush=True)
        scores[row] = np.stack(per_seed)
        minutes[row] = (time.monotonic() - started) / 60 / options.seeds
    joint = recipe_of(rows[0], options.steps, len(training)).stages[-1].epochs
    taken = joint * (len(training) // RECIPE.batch_size)
    table = Table(
        title=f"{name}: {len(training)} training windows of {len(TRAIN_SEEDS)} anatomies, {taken} joint steps, "
        f"{len(testing)} test runs of {len(TEST_SEEDS)} other anatomies, {options.seeds} training seeds (phantoms)"
    )
    for column in (
        "",
        "Dice % (mean of seeds)",
        "lowest - highest seed",
        "gain over U-Net, 95 %",
        "paper",
        "min / seed",
    ):
        table.add_column(column)
    out: dict[str, Any] = {}
    for row in rows:
        means = scores[row].mean(axis=1)
        gain = interval((scores[row] - scores[rows[0]]).mean(axis=0), test.base) if row != rows[0] else None
        shown = "" if gain is None else f"{gain[0]:+.1f} ({gain[1]:+.1f} to {gain[2]:+.1f})"
        table.add_row(
            ROWS[row][0], f"{means.mean():.1f}", f"{means.min():.1f} - {means.max():.1f}", shown, f"{ROWS[row][3]}",
            f"{minutes[row]:.1f}",
        )  # fmt: skip
        out[row] = {"dice_by_seed": means.round(2).tolist(), "gain": gain, "minutes_per_seed": round(minutes[row], 2)}
    Console(width=150).print(table)
    return out


if __name__ == "__main__":
    main()
