"""A task that says of every voxel what it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hepatic.errors import BadInputError
from hepatic.tasks.task import Kind, Sample, Task, Transform, apply


@dataclass(frozen=True, kw_only=True)
class SegmentationTask(Task):
    """A segmentation model as data.

    Before ``pre`` a sample also has, in training, ``label`` (Labelmap); after it ``target`` (float32 tensor, one
    channel per label, network grid) and ``known`` (float32, one number per label). Before ``post`` it has
    ``probabilities`` (float32 tensor, one channel per label, network grid); after it ``labelmap`` (uint8 array on the
    source grid) and ``facts``.

    Attributes:
        labels: names; label ``labels[i]`` has value ``i + 1`` in the result.
        probabilities: network output for a batch -> (B, len(labels), spatial...) in [0, 1].
        post: from probabilities to the labelmap on the source grid and the facts about it.
    """

    type: ClassVar[Kind] = "segmentation"

    probabilities: Callable[[Any], torch.Tensor]
    post: tuple[Transform, ...]

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        super().__post_init__()
        if not self.post:
            raise BadInputError(f"task '{self.name}'", expected="post transforms", came="none", fix="Add at least one.")

    def finish(self, sample: Sample) -> Sample:
        """Apply ``post``."""
        return apply(self.post, sample)
