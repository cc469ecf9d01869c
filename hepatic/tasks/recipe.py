"""How a task is trained: plain data beside the task it trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from hepatic.errors import BadInputError
from hepatic.tasks.spec import Sample, Task

Tensors = dict[str, torch.Tensor]
"""One training sample as the network and the loss get it, batched by ``default_collate``: ``image`` (C, spatial...) and
what the loss reads beside it.

Segmentation: ``target`` (labels, spatial...) and ``known`` (labels,). Classification: see ``ClassificationTask``.
Detection: whatever ``Recipe.encode`` makes of the boxes, such as a heatmap.
"""

Loss = Callable[[Any, Mapping[str, torch.Tensor]], torch.Tensor]
"""Network output and collated batch -> scalar."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stretch of training.

    Attributes:
        name: shown in logs and curves.
        epochs: passes over the training samples.
        loss: what is minimised.
        forward: what runs in this stage, given the network and the batch's images; the whole network unless said.
        parameters: which parameters learn, given the network; all of them unless said.
    """

    name: str
    epochs: int
    loss: Loss
    forward: Callable[[nn.Module, torch.Tensor], Any] = lambda network, image: network(image)
    parameters: Callable[[nn.Module], Iterable[nn.Parameter]] = lambda network: network.parameters()


def one_sample(sample: Sample) -> Iterable[Sample]:
    """Expand a case to itself."""
    return (sample,)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a task is trained.

    Attributes:
        task: what is trained; brings the pre-processing.
        stages: run in order, each with its own optimiser.
        expand: one labelled sample -> the training samples it stands for, before ``pre``; itself unless said.
        augment: random transforms after ``pre``, in training only; empty where anatomy forbids them. Those of a
            detector act on ``image``, ``boxes``, ``negatives`` and ``ignored`` alike.
        mix: a random change of a whole batch, in training only, such as mixup.
        encode: an augmented sample -> the tensors of a batch. A detector needs it: its boxes differ in number, so they
            become dense targets here. None takes the sample's tensors as they are.
        optimiser: parameters -> optimiser.
        fine_tune_optimiser: the same when training goes on from a served model, usually gentler.
        fine_tune_epochs: of the last stage, likewise; warm-up stages are left out then.
        scheduler: optimiser and number of steps -> schedule, stepped once per batch.
        batch_size: samples per step.
        key_metric: name in the validation metrics by which versions are compared, larger is better. Within a run the
            epoch is kept that judges best on the network's grid: by mean Dice of the first label, by mean average
            precision of the boxes, or by accuracy.
        checkpoints: of a task with findings, by name of a question the findings it asks for. In training a copy of the
            weights is kept for each, from the epoch with their best mean AUC on the tuning patients.
        answered_by: what becomes of them: ``best``, nothing, the epoch that is best otherwise answers everything;
            ``copies``, each copy answers its own question (paper 004); ``mean``, each answers everything, and the mean
            is taken.
        imagenet: name of the network in torchvision, such as ``resnet50``, where its ImageNet weights, if the user has
            them, are a start; empty where they are none.
        bf16: forward in bfloat16.
        eligible_only: leave out ultrasound images that the lists of paper 002 exclude (``hepatic.engine.eligibility``).
            What a reader excludes is left out anyway.
        presets: by name, the fields that differ (``task`` follows by the same name).
    """

    task: Task
    stages: tuple[Stage, ...]
    optimiser: Callable[[Iterable[nn.Parameter]], Optimizer]
    fine_tune_optimiser: Callable[[Iterable[nn.Parameter]], Optimizer]
    fine_tune_epochs: int
    scheduler: Callable[[Optimizer, int], LRScheduler]
    batch_size: int
    key_metric: str
    expand: Callable[[Sample], Iterable[Sample]] = one_sample
    augment: tuple[Callable[[Sample, torch.Generator], Sample], ...] = ()
    mix: Callable[[Tensors, torch.Generator], Tensors] | None = None
    encode: Callable[[Sample], Tensors] | None = None
    checkpoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answered_by: Literal["best", "copies", "mean"] = "best"
    imagenet: str = ""
    bf16: bool = False
    eligible_only: bool = False
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if not self.stages or self.batch_size < 1:
            raise BadInputError(
                f"recipe of task '{self.task.name}'",
                expected="at least one stage and a batch size of 1 or more",
                came=f"{len(self.stages)} stages, batch size {self.batch_size}",
                fix="Correct the recipe.",
            )
        if self.task.type == "detection" and self.encode is None:
            raise BadInputError(
                f"recipe of task '{self.task.name}'",
                expected="encode, which makes targets of one size out of boxes",
                came="none",
                fix="Add it.",
            )

        asked = {label for labels in self.checkpoints.values() for label in labels}
        if asked and asked != set(self.task.labels):
            raise BadInputError(
                f"recipe of task '{self.task.name}'",
                expected="checkpoints that ask for every label of the task, and for nothing else",
                came=", ".join(sorted(asked)),
                fix="Correct the recipe.",
            )

    @property
    def name(self) -> str:
        """Name of the task it trains."""
        return self.task.name

    def preset(self, name: str) -> Recipe:
        """Return the recipe, and its task, in another preset."""
        if name == self.task.preset_name:
            return self
        changes = self.presets.get(name, {})
        back = {field: getattr(self, field) for field in changes}
        presets = {**{n: p for n, p in self.presets.items() if n != name}, self.task.preset_name: back}
        return dataclasses.replace(self, task=self.task.preset(name), **changes, presets=presets)
