"""A task that puts boxes round lesions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hepatic.errors import BadInputError
from hepatic.tasks.option import Option
from hepatic.tasks.segmentation import SegmentationTask
from hepatic.tasks.task import Kind, Task

Decode = Callable[[Any], tuple[torch.Tensor, torch.Tensor]]


def detection_options(*, min_score: float = 0.1, max_iou: float = 0.2, most: int = 10) -> tuple[Option, ...]:
    """Return the options every detection task has.

    Args:
        min_score: candidates below it are dropped, in [0, 1].
        max_iou: of two boxes that overlap more, the one with the lower score is dropped (non-maximum suppression).
        most: candidates at most; at most 10 are shown to a reader (paper 001, section II-B).
    """
    return (
        Option(
            name="min_score", default=min_score, minimum=0.0, maximum=1.0, description="Lowest score of a candidate."
        ),
        Option(
            name="max_iou",
            default=max_iou,
            minimum=0.0,
            maximum=1.0,
            description="Of two boxes with a larger IoU only the better one stays.",
        ),
        Option(name="most", default=most, minimum=1, maximum=100, description="Candidates at most."),
    )


@dataclass(frozen=True, kw_only=True)
class DetectionTask(Task):
    """A detection model as data.

    Before ``pre`` a sample also has ``liver`` (bool array on the source grid, lesions not cut out of it) where the
    task names a ``liver`` task. After it: ``image`` (float32 tensor (C, k, j, i)) and ``grid`` (``Grid`` of that image,
    so that ``hepatic.boxes.from_voxels(voxels, sample["grid"])`` are boxes in the patient).

    In training the engine adds, after ``pre``, what ``Recipe.augment`` may move and ``Recipe.encode`` turns into dense
    targets: ``boxes`` (N, 6) and ``negatives`` (M, 6), float32 tensors of (k, j, i, k, j, i) in voxels of ``image``,
    and ``complete``, a bool: whether every lesion of the image has its box.

    Attributes:
        labels: one name; the score says how sure the model is of it.
        decode: network output for a batch -> boxes (B, K, 6) in voxels of ``image`` as
            ``hepatic.boxes.from_voxels`` has them, and scores (B, K) in [0, 1]; peaks only, neither thresholded nor
            suppressed, the engine does both.
        liver: task whose foreground the engine brings as ``liver`` where the sample has none; None where ``pre`` needs
            none.
        options: ``detection_options``, and more where wanted.
    """

    type: ClassVar[Kind] = "detection"

    decode: Decode
    liver: SegmentationTask | None = None
    options: tuple[Option, ...] = detection_options()

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        super().__post_init__()
        missing = {option.name for option in detection_options()} - {option.name for option in self.options}
        if missing:
            raise BadInputError(
                f"options of task '{self.name}'",
                expected="those of detection_options()",
                came="a tuple without " + ", ".join(sorted(missing)),
                fix="Add detection_options() to them.",
            )
        if len(self.labels) != 1:
            raise BadInputError(
                f"labels of task '{self.name}'",
                expected="one name: a detector of this kind has one score per box",
                came=repr(self.labels),
                fix="Correct the tuple.",
            )
