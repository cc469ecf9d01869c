"""Train and judge a classifier on split after split of the same images: the tables of papers 002 and 004."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hepatic.engine.device import LAYOUTS
from hepatic.engine.train_network import Progress, train_network
from hepatic.engine.trial_split import Split, View
from hepatic.metrics.classification import challenge_score, class_metrics, finding_metrics
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask, Sample

Probabilities = NDArray[np.float64]

BEST, CHECKPOINTS, MEAN = "best", "checkpoints", "mean"
"""Whose probabilities: of the epoch with the best true-class probability; of the copy of the weights that answers a
question best, each its own question; of all copies, their mean."""
DIGITS = 7
"""Of probabilities, as many as float32 has."""


@dataclass(frozen=True)
class Seen:
    """An image that was prepared.

    Attributes:
        patient_id: whose it is.
        truth: its class.
        views: it, and further views of it, as they train (``hepatic.engine.kind.training_sample``).
    """

    patient_id: str
    truth: str
    views: Sequence[Sample]


def run_cell(
    recipe: Recipe,
    images: Sequence[Seen],
    split: Split,
    *,
    seed: int,
    epochs: int = 0,
    device: torch.device,
    begin: Callable[[nn.Module], object] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Train on one split and judge.

    Args:
        recipe: of a classifier, in the preset to judge.
        images: all of them.
        split: of their views.
        seed: of the weights, order and augmentation.
        epochs: the recipe's own where 0.
        device: where.
        begin: puts weights into the new network, such as ImageNet's.
        progress: called after each epoch.

    Returns:
        JSON: ``test``, the images that judged (their places); ``probabilities`` by whose they are (``BEST``,
        ``CHECKPOINTS``), a row per image; ``metrics`` likewise, and of the ``MEAN`` (``measures``); ``epochs`` that
        were kept; ``seconds``.
    """
    started = time.monotonic()
    if epochs:
        last = dataclasses.replace(recipe.stages[-1], epochs=epochs)
        recipe = dataclasses.replace(recipe, stages=(*recipe.stages[:-1], last))
    torch.manual_seed(seed)
    network = recipe.task.network()
    if begin is not None:
        begin(network)
    trained = train_network(
        recipe,
        network,
        _samples(images, split.train),
        _samples(images, split.tuning),
        device=device,
        seed=seed,
        progress=progress,
    )
    test = _samples(images, split.test)
    answers = _answers(recipe, trained.network, trained.checkpoints, test, device)
    told = {whose: rows.round(DIGITS) for whose, rows in answers.items()}  # judged as kept: rounding makes ties
    truth = [images[n].truth for n, _ in split.test]
    return {
        "test": [n for n, _ in split.test],
        "probabilities": {whose: rows.tolist() for whose, rows in told.items() if whose != MEAN},
        "metrics": {whose: measures(recipe, truth, rows) for whose, rows in told.items()},
        "epochs": {BEST: trained.best_epoch, **{name: epoch for name, (epoch, _) in trained.checkpoints.items()}},
        "seconds": round(time.monotonic() - started, 1),
    }


def measures(recipe: Recipe, truth: Sequence[str], probabilities: Probabilities) -> dict[str, float]:
    """Judge probabilities (N, L): the six measures of paper 002, or the AUCs and the score (equation 4) of paper 004.

    Of a task with findings ``auc_<question>`` is the mean AUC of the findings that a question of the recipe
    (``Recipe.checkpoints``) asks for.
    """
    task = cast(ClassificationTask, recipe.task)
    if not task.findings:
        found = class_metrics([task.labels.index(name) for name in truth], probabilities, task.labels)
        return {name: round(value, 5) for name, value in found.items()}
    known = np.array([task.findings[name] for name in truth])
    found = finding_metrics(known, probabilities, task.labels)
    for question, labels in recipe.checkpoints.items():
        areas = [found[f"auc_{label}"] for label in labels if f"auc_{label}" in found]
        if areas:
            found[f"auc_{question}"] = float(np.mean(areas))
    types = {label: found[f"auc_{label}"] for label in recipe.checkpoints.get("type", ()) if f"auc_{label}" in found}
    if types and {"auc_lesion", "auc_malignant"} <= set(found):
        found["score"] = challenge_score(found["auc_lesion"], found["auc_malignant"], types)
    return {name: round(value, 5) for name, value in found.items()}


def _answers(
    recipe: Recipe,
    network: nn.Module,
    checkpoints: Mapping[str, tuple[int, dict[str, torch.Tensor]]],
    samples: Sequence[Sample],
    device: torch.device,
) -> dict[str, Probabilities]:
    task = cast(ClassificationTask, recipe.task)
    best = probabilities_of(task, network, samples, device)
    if not recipe.checkpoints:
        return {BEST: best}
    composed, copies = best.copy(), []
    for question, labels in recipe.checkpoints.items():
        own = best
        if question in checkpoints:
            network.load_state_dict(checkpoints[question][1])
            own = probabilities_of(task, network, samples, device)
        copies.append(own)
        places = [task.labels.index(label) for label in labels]
        composed[:, places] = own[:, places]
    return {BEST: best, CHECKPOINTS: composed, MEAN: np.mean(copies, axis=0)}


def probabilities_of(
    task: ClassificationTask, network: nn.Module, samples: Sequence[Sample], device: torch.device, *, batch: int = 16
) -> Probabilities:
    """Return what a network says of prepared samples, (N, L)."""
    network.eval()
    rows = []
    with torch.inference_mode():
        for first in range(0, len(samples), batch):
            images = torch.stack([sample["image"] for sample in samples[first : first + batch]]).to(device)
            if images.ndim in LAYOUTS:
                images = images.contiguous(memory_format=LAYOUTS[images.ndim])
            rows.append(task.probabilities(task.inferer(images, network)).double().cpu().numpy())
    return np.asarray(np.concatenate(rows), np.float64)


def _samples(images: Sequence[Seen], views: Sequence[View]) -> list[Sample]:
    return [images[n].views[view] for n, view in views]
