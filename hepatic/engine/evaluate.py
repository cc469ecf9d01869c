"""Judge a model by readers' labels, on the source grid and through the whole pipeline."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.engine.cases import Case
from hepatic.engine.predict import LoadedModel, run_network
from hepatic.io.image import Labelmap
from hepatic.metrics import dice, hd95_px, iou, lesion_recall
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import Sample


def evaluate(recipe: Recipe, model: LoadedModel, cases: Iterable[Case], *, device: torch.device) -> dict[str, float]:
    """Mean over cases; of a run, its first labelled frame is judged, with that key frame given.

    Returns:
        ``dice``, ``iou``, ``hd95_px`` (of the frames where both sides found something) and ``lesion_recall`` (a lesion
        counts when half of it is found) of the first label, ``dice_<name>`` of the others where they are labelled, and
        ``cases``, the number of images judged.
    """
    rows: list[dict[str, float]] = []
    for case in cases:
        sample = next(iter(recipe.expand(case.sample(model.task))))
        prepared = model.task.prepare(sample)
        finished = model.task.finish({**prepared, "probabilities": run_network(model, prepared["image"], device)})
        rows.append(_row(finished["labelmap"][finished["facts"]["key_frame"]], sample, model.task.labels))
    if not rows:
        return {}
    means = {
        name: _mean([row[name] for row in rows if name in row]) for name in sorted({n for row in rows for n in row})
    }
    return {**{name: mean for name, mean in means.items() if not math.isnan(mean)}, "cases": float(len(rows))}


def _row(predicted: NDArray[np.uint8], sample: Sample, labels: tuple[str, ...]) -> dict[str, float]:
    labelmap: Labelmap = sample["label"]
    picture = labelmap.array[sample["key_frame"]]
    row: dict[str, float] = {}
    for value, name in enumerate(labels, start=1):
        named = labelmap.names.get(name, value if not labelmap.names else -1)
        ours, theirs = predicted == value, picture == named
        if value == 1:
            row = {
                "dice": dice(ours, theirs),
                "iou": iou(ours, theirs),
                "hd95_px": hd95_px(ours, theirs),
                "lesion_recall": lesion_recall(ours, theirs),
            }
        elif theirs.any():
            row[f"dice_{name}"] = dice(ours, theirs)
    return row


def _mean(values: list[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    return round(float(np.mean(finite)), 4) if finite else math.nan
