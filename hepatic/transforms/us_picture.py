"""A whole ultrasound picture as the supervised attention network takes it (paper 004, "Preprocessing")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

TOP = 0.2
"""Share of the rows in which tissue above the liver lies."""
PEAK = 70.0
"""Grey value to which the median of that tissue is brought: equation 1."""
MEAN, DEVIATION = 0.45, 0.225
"""Of grey values in [0, 1], as networks trained on ImageNet expect them (mean of its three channels)."""


@dataclass(frozen=True)
class UltrasoundPicture:
    """``picture`` and ``boxes`` to ``image`` (3, H, W), the same grey three times, and ``mask`` (1, H, W).

    Equation 1: x <- 70 x / m, m being the median of the pixels that are not black in the top fifth of the rows.

    Attributes:
        height, width: of the network's picture; the aspect ratio is given up.
        black: grey value up to which a pixel is black.
    """

    height: int = 240
    width: int = 345
    black: int = 10

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``image`` and ``mask``, 1 in the boxes."""
        picture = normalised(sample["picture"], black=self.black)
        grey = resized(torch.from_numpy(picture)[None], (self.height, self.width))
        height, width = sample["picture"].shape
        scale = np.array([self.height / height, self.width / width] * 2)
        mask = torch.zeros(1, self.height, self.width)
        for top, left, bottom, right in np.asarray(sample["boxes"], np.float64).reshape(-1, 4) * scale:
            if bottom > top and right > left:
                mask[
                    :, round(top) : max(round(top) + 1, round(bottom)), round(left) : max(round(left) + 1, round(right))
                ] = 1
        return {**sample, "image": ((grey / 255 - MEAN) / DEVIATION).expand(3, -1, -1), "mask": mask}


def normalised(picture: NDArray[np.uint8], *, black: int = 10) -> NDArray[np.float32]:
    """Bring a picture (h, w) to the common brightness of equation 1; one that is black on top stays as it is."""
    top = picture[: max(1, round(TOP * len(picture)))]
    lit = top[top > black]
    factor = PEAK / float(np.median(lit)) if len(lit) else 1.0
    return np.asarray(picture.astype(np.float32) * np.float32(factor)).clip(0, 255)


def resized(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(C, h, w) to (C, *size)."""
    return functional.interpolate(picture[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
