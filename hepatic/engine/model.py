"""A network with a version's weights."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from hepatic.engine.card import ModelCard
from hepatic.engine.device import LAYOUTS, place
from hepatic.engine.weights import ModelVersion
from hepatic.errors import BadInputError
from hepatic.networks.ensemble import Ensemble, Member, told_attention, told_probabilities
from hepatic.tasks.spec import ClassificationTask, DetectionTask, SegmentationTask, Task

logger = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask", bound=Task)
OfTask = TypeVar("OfTask", bound=Task, covariant=True)


@dataclass(frozen=True, eq=False)
class LoadedModel(Generic[OfTask]):
    """A network with a version's weights, ready on the device, and the task in that version's preset."""

    task: OfTask
    card: ModelCard
    network: nn.Module


def load_model(task: AnyTask, version: ModelVersion, device: torch.device) -> LoadedModel[AnyTask]:
    """Build the network of a version's preset and put its weights in.

    Raises:
        BadInputError: they are another network's, as of a preset that has changed since.
    """
    card, chosen = version.card, task.preset(version.card.preset)
    if card.pre_fingerprint not in ("", chosen.pre_fingerprint):
        logger.warning("%s %s was trained with another pre-processing; train it again", task.name, version.version)
    networks = [task.preset(preset).network() for preset in [m.preset for m in card.members] or [card.preset]]
    for number, network in enumerate(networks):
        put_in(network, version, number)
    return assemble(chosen, card, networks, device)


def put_in(network: nn.Module, version: ModelVersion, number: int) -> None:
    """Put the weights of a version's member of a number into its network; errors are those of ``load_model``."""
    try:
        network.load_state_dict(version.load(number))
    except RuntimeError as error:
        raise BadInputError(
            f"weights {version.version} of '{version.task}'",
            expected=f"those of the network that preset '{version.card.preset}' has now",
            came="others, as of an earlier hepatic",
            fix="Serve another version (`hepatic models promote`), or train with the parameter start=scratch.",
        ) from error


def assemble(
    task: AnyTask, card: ModelCard, networks: Sequence[nn.Module], device: torch.device
) -> LoadedModel[AnyTask]:
    """Make a model of its network, or of those that answer together.

    Args:
        task: in the preset of the card.
        card: says which network answers which labels, where there are several.
        networks: as many as the card has members, or one.
        device: where they run.
    """
    network = networks[0]
    if card.members and isinstance(task, ClassificationTask):
        network = Ensemble(
            [
                Member(one, tuple(task.labels.index(label) for label in told.answers), task.members.get(told.preset))
                for one, told in zip(networks, card.members, strict=True)
            ],
            labels=len(task.labels),
            probabilities=task.probabilities,
            attention=task.attention,
        )
        attention = None if task.attention is None else told_attention
        task = dataclasses.replace(task, probabilities=told_probabilities, attention=attention)
    place(network, device).eval().requires_grad_(False)
    return LoadedModel(task, card, network)


def run_network(model: LoadedModel[SegmentationTask], image: torch.Tensor, device: torch.device) -> torch.Tensor:
    """One prepared image (C, spatial...) to probabilities (labels, spatial...), float32 on the CPU."""
    with torch.inference_mode():
        return model.task.probabilities(_output(model, image, device))[0].float().cpu()


def run_classifier(
    model: LoadedModel[ClassificationTask], image: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One prepared image (C, spatial...) to probabilities (labels,) and where the task says it looked, (h, w)."""
    task = model.task
    with torch.inference_mode():
        output = _output(model, image, device)
        shares = None if task.attention is None else task.attention(output)
        attention = None if shares is None else shares[0, 0].float().cpu()
        return task.probabilities(output)[0].float().cpu(), attention


def run_detector(
    model: LoadedModel[DetectionTask], image: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """One prepared image (C, k, j, i) to peaks: boxes (K, 6) in its voxels and scores (K,), float32 on the CPU."""
    with torch.inference_mode():
        boxes, scores = model.task.decode(_output(model, image, device))
        return boxes[0].float().cpu(), scores[0].float().cpu()


def _output(model: LoadedModel[Task], image: torch.Tensor, device: torch.device) -> Any:
    batch = image[None].to(device, non_blocking=True)
    if batch.ndim in LAYOUTS:
        batch = batch.contiguous(memory_format=LAYOUTS[batch.ndim])
    return model.task.inferer(batch, model.network)
