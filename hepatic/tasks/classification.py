"""A task that says which of several classes an image belongs to, or which of several findings it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from hepatic.errors import BadInputError
from hepatic.tasks.task import Kind, Task


def most_probable(probabilities: Mapping[str, float]) -> str:
    """Return the label with the highest probability."""
    return max(probabilities, key=probabilities.__getitem__)


@dataclass(frozen=True)
class PresentThenType:
    """Concludes ``absent`` where ``present`` is less than 50 % probable, else the most probable of ``types``."""

    present: str
    absent: str
    types: tuple[str, ...]

    def __call__(self, probabilities: Mapping[str, float]) -> str:
        """Return the class."""
        if probabilities[self.present] < 0.5:
            return self.absent
        return max(self.types, key=probabilities.__getitem__)


@dataclass(frozen=True, kw_only=True)
class ClassificationTask(Task):
    """A classification model as data.

    In training a sample also has ``truth`` (the name of its class) before ``pre``. After it the engine adds ``target``:
    a long tensor without axes, the class's place in ``labels``; or, where ``findings`` are given, (2, labels) float32:
    how much each label is true and how much it is false, both 0 where it does not apply. ``mask`` is kept if ``pre``
    makes one, and ``mask_known``, float32 without axes, is then 1 where a box is drawn or the class is ``absent``, else
    0: nobody has said where the lesion is.

    Attributes:
        labels: two or more classes, one of which applies, or two or more findings.
        probabilities: network output for a batch -> (B, len(labels)); rows that sum to 1, or, of findings, each in
            [0, 1].
        note: key of the notes of an image (``PUT /datastore/image/info``) in which its true class is kept.
        findings: by each class that a reader may name, what every label then is: 1, 0, or nan where it does not apply.
            Empty: the labels are the classes and exclude one another.
        coarse: likewise, by each class that no reader is asked for and that a data set may give of an image
            (``malignant``, of whichever type); it teaches what it says where no reader's class is noted.
        conclude: probabilities by label -> the class that is told.
        attention: network output for a batch -> (B, 1, h, w), the share that each part of the picture has in what it
            looks at, or None where it looks everywhere alike. None where it does not say.
        uses_boxes: whether ``pre`` wants ``boxes`` of lesions, (N, 4) in pixels of an ultrasound picture (top, left,
            bottom, right), where a reader has drawn some, and ``boxes_frames``, (N, 2), the first frame of each and one
            past its last.
        needs_boxes: whether the class is that of a box, so that an image without one teaches nothing. Others learn the
            class without.
        members: of an ensemble, the presets that answer together, each with the size (H, W) to which it brings the
            image that ``pre`` makes; ``network`` is then that of none.
    """

    type: ClassVar[Kind] = "classification"

    probabilities: Callable[[Any], torch.Tensor]
    note: str
    findings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    coarse: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    conclude: Callable[[Mapping[str, float]], str] = most_probable
    attention: Callable[[Any], torch.Tensor | None] | None = None
    uses_boxes: bool = False
    needs_boxes: bool = False
    members: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        super().__post_init__()
        if len(self.labels) < 2:
            raise BadInputError(
                f"labels of task '{self.name}'", expected="two or more", came=repr(self.labels), fix="Add the others."
            )
        wrong = [name for name, told in self.known.items() if len(told) != len(self.labels)]
        if wrong:
            raise BadInputError(
                f"findings of task '{self.name}'",
                expected=f"{len(self.labels)} numbers for each class, one per label",
                came="another count for " + ", ".join(wrong),
                fix="Correct the tuples.",
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """What a reader may say of an image."""
        return tuple(self.findings) or self.labels

    @property
    def known(self) -> dict[str, tuple[float, ...]]:
        """What every label is, by each class that an image may have: those of readers, and coarser ones of data sets.

        Empty where the labels are the classes.
        """
        return {**self.findings, **self.coarse}

    @property
    def absent(self) -> str | None:
        """The class of an image that shows nothing of what the labels name; None where there is no such class."""
        return next((name for name, told in self.findings.items() if 1.0 not in told), None)

    def by_class(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Return how probable each class is, the most probable first, out of the probabilities of labels.

        Where labels are findings, a class that is one of them is as probable as that finding, and one that is told by
        what it lacks as improbable as the most probable of that.
        """
        told = {
            name: probabilities[name] if name in probabilities else 1.0 - self._lacking(name, probabilities)
            for name in self.classes
        }
        return dict(sorted(told.items(), key=lambda one: -one[1]))

    def target(self, truth: str) -> torch.Tensor:
        """Return the ``target`` of a class."""
        if not self.findings:
            return torch.tensor(self.labels.index(truth))
        told = torch.tensor(self.known[truth])
        return torch.stack([(told == 1).float(), (told == 0).float()])

    def _lacking(self, name: str, probabilities: Mapping[str, float]) -> float:
        lacks = [label for label, is_true in zip(self.labels, self.findings[name], strict=True) if is_true == 0]
        return max((probabilities[label] for label in lacks), default=1.0)
