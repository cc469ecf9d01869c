"""Mirror a picture and the boxes on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class FlipBoxes:
    """Mirror ``image`` (C, spatial...) and its boxes (N, 2 * axes; voxels) along an axis, now and then.

    Boxes are ``boxes``, ``negatives`` and ``ignored``, those of them that are there.

    Attributes:
        axis: of the voxels, counted from 0 (k); the last one is the patient's left and right.
        probability: of mirroring.
    """

    axis: int = 2
    probability: float = 0.5

    def __call__(self, sample: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
        """Draw, then mirror."""
        if float(torch.rand((), generator=generator)) >= self.probability:
            return sample
        return flipped(sample, self.axis)


def flipped(sample: dict[str, Any], axis: int) -> dict[str, Any]:
    """Return a sample mirrored along an axis of its voxels."""
    image = sample["image"]
    axes, length = image.ndim - 1, image.shape[axis + 1]
    mirrored = {**sample, "image": torch.flip(image, (axis + 1,))}
    for name in ("boxes", "negatives", "ignored"):
        if name in sample:
            boxes = np.array(sample[name], np.float32).reshape(-1, 2 * axes)
            boxes[:, [axis, axis + axes]] = length - boxes[:, [axis + axes, axis]]
            mirrored[name] = boxes
    return mirrored
