"""Turn, move, stretch, crop and mirror a picture, and what is marked on it, a little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional


@dataclass(frozen=True)
class WarpPicture:
    """``image`` (C, H, W) and ``mask`` (1, H, W) alike (paper 004, "Implementation").

    Attributes:
        zoom: the scale is drawn from 1 - zoom to 1 + zoom; above 1 crops.
        aspect: the height over the width is changed by up to this share.
        shift: up to this share of the edges.
        turn_degrees: up to.
        mirror: probability of a horizontal flip.
    """

    zoom: float = 0.1
    aspect: float = 0.1
    shift: float = 0.05
    turn_degrees: float = 8.0
    mirror: float = 0.5

    def __call__(self, sample: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
        """Draw, then warp; what comes in from outside is as dark as the darkest of the picture."""
        drawn = (2 * torch.rand(5, generator=generator) - 1).tolist()
        image = sample["image"]
        height, width = image.shape[1:]
        zoom, aspect = 1 + self.zoom * drawn[0], math.exp(self.aspect * drawn[1] / 2)
        turn = math.radians(self.turn_degrees * drawn[2])
        flip = -1.0 if float(torch.rand((), generator=generator)) < self.mirror else 1.0
        across, down = 1 / (zoom / aspect), 1 / (zoom * aspect)
        cos, sin, ratio = math.cos(turn), math.sin(turn), height / width
        matrix = torch.tensor(
            [
                [flip * across * cos, -flip * across * sin * ratio, self.shift * drawn[3] * 2],
                [down * sin / ratio, down * cos, self.shift * drawn[4] * 2],
            ]
        )
        grid = functional.affine_grid(matrix[None], [1, 1, height, width], align_corners=False)
        low = image.amin()
        warped = {**sample, "image": _sampled(image - low, grid) + low}
        return {**warped, "mask": _sampled(sample["mask"], grid)} if "mask" in sample else warped


def _sampled(picture: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return functional.grid_sample(picture[None], grid, mode="bilinear", align_corners=False)[0]
