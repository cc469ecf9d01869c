"""The stacked hourglass network of CornerNet and CenterNet (Newell 2016; Law 2018), in two and three dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypedDict

import torch
from monai.networks.blocks import Convolution
from torch import nn
from torch.nn import functional


class Width(TypedDict):
    """How large a stacked hourglass with CenterNet's heads is: arguments of ``CenterNet``."""

    stem: int
    channels: tuple[int, ...]
    modules: tuple[int, ...]
    stacks: int
    light: bool


HOURGLASS_104 = Width(
    stem=128, channels=(256, 256, 384, 384, 384, 512), modules=(2, 2, 2, 2, 2, 4), stacks=2, light=False
)
"""569 M parameters in three dimensions."""
QUARTER = Width(stem=32, channels=(64, 64, 96, 96, 96, 128), modules=(2, 2, 2, 2, 2, 4), stacks=2, light=False)
"""Hourglass-104 at a quarter of its width: 36 M parameters in three dimensions."""
SMALL = Width(stem=12, channels=(24, 48, 64), modules=(1, 1, 1), stacks=1, light=True)
"""Trains in minutes on one CPU core: 0.84 M parameters in three dimensions."""


def convolution(
    dimension: int,
    before: int,
    after: int,
    *,
    kernel: int = 3,
    stride: Sequence[int] | int = 1,
    relu: bool = True,
) -> nn.Module:
    """Build convolution, batch norm and, unless told not to, ReLU; the size shrinks by the stride, rounded up."""
    built: nn.Module = Convolution(
        dimension,
        before,
        after,
        kernel_size=kernel,
        strides=stride if isinstance(stride, int) else tuple(stride),
        adn_ordering="NA" if relu else "N",
        act=("relu", {"inplace": True}) if relu else None,
        norm="batch",
        bias=False,
    )
    return built


class Residual(nn.Module):
    """Two convolutions and a short cut."""

    def __init__(self, dimension: int, before: int, after: int, *, stride: Sequence[int] | int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(dimension, before, after, stride=stride),
            convolution(dimension, after, after, relu=False),
        )
        plain = before == after and (stride == 1 or set(stride if not isinstance(stride, int) else ()) == {1})
        self.short_cut = (
            nn.Identity() if plain else convolution(dimension, before, after, kernel=1, stride=stride, relu=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, before, spatial...) to (B, after, spatial / stride...)."""
        return functional.relu(self.body(x) + self.short_cut(x))


class Hourglass(nn.Module):
    """Down and up again through ``len(channels) - 1`` halvings, with a branch at every size.

    A size that is not even is halved upwards, and the way up returns to the size of the branch it meets, so any size
    goes in: the paper's 12 slices become 6, 3, 2, 1 and 1.

    Args:
        dimension: 2 or 3.
        channels: at each size, the largest size first.
        modules: residual blocks at each size.
        light: one convolution instead of residual blocks in the branches.
    """

    def __init__(self, dimension: int, *, channels: Sequence[int], modules: Sequence[int], light: bool = False) -> None:
        super().__init__()
        here, below = channels[0], channels[1]
        self.branch = convolution(dimension, here, here) if light else _chain(dimension, [here] * (modules[0] + 1))
        self.down = _chain(dimension, [here, *[below] * modules[0]], stride=2)
        self.inner = (
            Hourglass(dimension, channels=channels[1:], modules=modules[1:], light=light)
            if len(channels) > 2
            else _chain(dimension, [below] * (modules[1] + 1))
        )
        self.up = _chain(dimension, [*[below] * modules[0], here])
        self.mode = {2: "bilinear", 3: "trilinear"}[dimension] if light else "nearest"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels[0], spatial...) to the same shape."""
        branch: torch.Tensor = self.branch(x)
        low = self.up(self.inner(self.down(x)))
        align = None if self.mode == "nearest" else False
        return branch + functional.interpolate(low, size=branch.shape[2:], mode=self.mode, align_corners=align)


def _chain(dimension: int, channels: Sequence[int], *, stride: int = 1) -> nn.Module:
    blocks = [
        Residual(dimension, before, after, stride=stride if number == 0 else 1)
        for number, (before, after) in enumerate(itertools.pairwise(channels))
    ]
    return nn.Sequential(*blocks)
