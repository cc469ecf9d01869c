"""A task that says which of several classes an image belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hepatic.errors import BadInputError
from hepatic.tasks.task import Kind, Task


@dataclass(frozen=True, kw_only=True)
class ClassificationTask(Task):
    """A classification model as data.

    In training a sample also has ``truth`` (the name of its class) before ``pre``, and the engine adds ``target`` (a
    long tensor without axes, the class's place in ``labels``) after it.

    Attributes:
        labels: two or more classes, one of which applies.
        probabilities: network output for a batch -> (B, len(labels)), rows that sum to 1.
        note: key of the notes of an image (``PUT /datastore/image/info``) in which its true class is kept.
    """

    type: ClassVar[Kind] = "classification"

    probabilities: Callable[[Any], torch.Tensor]
    note: str

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        super().__post_init__()
        if len(self.labels) < 2:
            raise BadInputError(
                f"labels of task '{self.name}'", expected="two or more", came=repr(self.labels), fix="Add the others."
            )
