"""A network with a version's weights."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from hepatic.engine.card import ModelCard
from hepatic.engine.device import LAYOUTS, place
from hepatic.engine.weights import ModelVersion
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
    """Build the network of a version's preset and put its weights in."""
    task = task.preset(version.card.preset)
    if version.card.pre_fingerprint not in ("", task.pre_fingerprint):
        logger.warning("%s %s was trained with another pre-processing; train it again", task.name, version.version)
    network = task.network()
    network.load_state_dict(version.load())
    place(network, device).eval().requires_grad_(False)
    return LoadedModel(task, version.card, network)


def run_network(model: LoadedModel[SegmentationTask], image: torch.Tensor, device: torch.device) -> torch.Tensor:
    """One prepared image (C, spatial...) to probabilities (labels, spatial...), float32 on the CPU."""
    with torch.inference_mode():
        return model.task.probabilities(_output(model, image, device))[0].float().cpu()


def run_classifier(
    model: LoadedModel[ClassificationTask], image: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One prepared image (C, spatial...) to probabilities (labels,) and, of a task with attention, logits (h, w)."""
    task = model.task
    with torch.inference_mode():
        output = _output(model, image, device)
        attention = None if task.attention is None else task.attention(output)[0, 0].float().cpu()
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
