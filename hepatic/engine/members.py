"""The networks of one version: one, copies of it that answer a question each, or several that answer together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hepatic.engine.card import CardMember, ModelCard
from hepatic.engine.curves import draw_curves
from hepatic.engine.kind import MEASURES
from hepatic.engine.model import put_in
from hepatic.engine.prepared_cases import PreparedCases
from hepatic.engine.train_network import Progress, Trained, train_network
from hepatic.engine.tuning import epoch_chosen, tunes
from hepatic.engine.weights import ModelVersion
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Members:
    """Trained networks.

    Attributes:
        told: what the card says of each; empty where there is one network, which answers everything.
        networks: one, or as many.
        best_epoch: of the first that was trained.
        epochs: trained, all in all.
        begins_with: by preset, weights that a new network began with, where it did.
    """

    told: tuple[CardMember, ...]
    networks: list[nn.Module]
    best_epoch: int
    epochs: int
    begins_with: dict[str, str]

    def states(self) -> list[Mapping[str, torch.Tensor]]:
        """Weights of each, as ``Registry.publish`` takes them."""
        return [network.state_dict() for network in self.networks]


def train_members(
    recipes: Sequence[Recipe],
    prepared: Callable[[Recipe], tuple[PreparedCases, PreparedCases]],
    *,
    parent: ModelVersion | None,
    begin: Callable[[Recipe, nn.Module], str],
    device: torch.device,
    seed: int,
    run: Path,
    progress: Callable[[Progress], None] | None,
) -> Members:
    """Train one network after the other.

    Args:
        recipes: one, or those of an ensemble's members.
        prepared: cases to train on and to tune by, prepared as a recipe has it.
        parent: version to go on from: of several networks of a preset, from the first.
        begin: puts weights into a new network where there is no parent, and says which for the card.
        device: where.
        seed: of weights, order and augmentation.
        run: folder of curves, events and checkpoints; of several networks each has a folder in it.
        progress: called after each epoch.
    """
    told: list[CardMember] = []
    networks: list[nn.Module] = []
    begins_with: dict[str, str] = {}
    best_epoch = epochs = 0
    for recipe in recipes:
        training, tuning = prepared(recipe)
        folder = run if len(recipes) == 1 else run / recipe.task.preset_name
        torch.manual_seed(seed)
        network = recipe.task.network()
        if parent is None:
            begun = begin(recipe, network)
            begins_with |= {recipe.task.preset_name: begun} if begun else {}
        else:
            put_in(network, parent, _place_in(parent.card, recipe.task.preset_name))
        trained = train_network(
            recipe,
            network,
            training.samples,
            tuning.samples if tunes(recipe, tuning) else (),
            device=device,
            seed=seed,
            run=folder,
            progress=progress,
        )
        title = f"{recipe.name} ({recipe.task.preset_name})"
        draw_curves(trained.history, folder / "curves.png", metric=MEASURES[recipe.task.type], title=title)
        own, copies = _copies(recipe, trained, epoch_chosen(recipe, tuning))
        told += own
        networks += copies
        best_epoch = best_epoch or trained.best_epoch
        epochs += len(trained.history)
    for network in networks:
        network.eval().requires_grad_(False)
    return Members(tuple(told) if len(networks) > 1 else (), networks, best_epoch, epochs, begins_with)


def _copies(recipe: Recipe, trained: Trained, otherwise: str) -> tuple[list[CardMember], list[nn.Module]]:
    """The network, or, as the recipe says, once for each epoch that answers one of its questions best.

    A question that the tuning patients could not decide is answered by the epoch that is best otherwise.
    """
    task = recipe.task
    by_epoch: dict[int, list[str]] = {}
    for question in recipe.checkpoints:
        epoch = trained.checkpoints[question][0] if question in trained.checkpoints else trained.best_epoch
        by_epoch.setdefault(epoch, []).append(question)
    if not isinstance(task, ClassificationTask) or not by_epoch or recipe.answered_by == "best":
        labels = tuple(task.labels)
        return [CardMember(preset=task.preset_name, answers=labels, epoch=trained.best_epoch, chosen=otherwise)], [
            trained.network
        ]
    told, networks = [], []
    for epoch, questions in by_epoch.items():
        decided = [question for question in questions if question in trained.checkpoints]
        answers = [label for label in task.labels if any(label in recipe.checkpoints[q] for q in questions)]
        chosen = f"the best AUC of {', '.join(decided)} on the tuning patients" if decided else otherwise
        everything = recipe.answered_by == "mean"
        told.append(
            CardMember(
                preset=task.preset_name,
                answers=tuple(task.labels) if everything else tuple(answers),
                epoch=epoch,
                chosen=chosen,
            )
        )
        network = task.network()
        network.load_state_dict(trained.checkpoints[decided[0]][1] if decided else trained.network.state_dict())
        networks.append(network)
    return told, networks


def _place_in(card: ModelCard, preset: str) -> int:
    return next((place for place, member in enumerate(card.members) if member.preset == preset), 0)
