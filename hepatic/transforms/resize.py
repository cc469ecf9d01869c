"""Bring a picture to the size a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional


@dataclass(frozen=True)
class ResizeTo:
    """Average ``image`` (and ``target``, then halved at .5) over areas to a fixed size, whatever the aspect ratio.

    Attributes:
        height, width: of the network's grid, pixels.
    """

    height: int
    width: int

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Replace ``image`` and ``target``."""
        resized = {**sample, "image": self._area(sample["image"])}
        if "target" in sample:
            resized["target"] = (self._area(sample["target"]) >= 0.5).float()
        return resized

    def _area(self, picture: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(picture[None], size=(self.height, self.width), mode="area")[0]
