"""Change the contrast and brightness of a picture a little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class JitterIntensity:
    """``image`` times a factor, plus an offset.

    Attributes:
        factor: the factor is drawn evenly from 1 - factor to 1 + factor.
        offset: standard deviation of the offset, in units of the image.
    """

    factor: float = 0.1
    offset: float = 0.1

    def __call__(self, sample: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
        """Draw both, then apply them."""
        scale = 1 + self.factor * (2 * float(torch.rand((), generator=generator)) - 1)
        added = self.offset * float(torch.randn((), generator=generator))
        return {**sample, "image": sample["image"] * scale + added}
