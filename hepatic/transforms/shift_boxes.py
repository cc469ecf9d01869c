"""Move a picture and the boxes on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class ShiftBoxes:
    """Move ``image`` (C, spatial...) and its boxes (N, 2 * axes; voxels) by whole voxels.

    Boxes are ``boxes``, ``negatives`` and ``ignored``, those of them that are there. What comes in from outside repeats
    the edge; boxes whose centres go out are dropped.

    Attributes:
        most: largest move by axis, voxels.
    """

    most: tuple[int, ...]

    def __call__(self, sample: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
        """Draw a move, then apply it."""
        move = [int(torch.randint(-most, most + 1, (), generator=generator)) for most in self.most]
        return shifted(sample, move)


def shifted(sample: dict[str, Any], move: Sequence[int]) -> dict[str, Any]:
    """Return a sample moved by voxels along each axis."""
    image = sample["image"]
    axes, shape = image.ndim - 1, image.shape[1:]
    for axis, (step, length) in enumerate(zip(move, shape, strict=True)):
        if step:
            image = image.index_select(axis + 1, (torch.arange(length) - step).clamp(0, length - 1))
    moved = {**sample, "image": image}
    for name in ("boxes", "negatives", "ignored"):
        if name in sample:
            boxes = np.array(sample[name], np.float32).reshape(-1, 2 * axes) + np.tile(np.asarray(move, np.float32), 2)
            centres = (boxes[:, :axes] + boxes[:, axes:]) / 2
            moved[name] = boxes[((centres >= 0) & (centres < np.array(shape))).all(axis=1)]
    return moved
