"""CenterNet: lesions as peaks of a heat map (Zhou 2019), in two and three dimensions (paper 001, section II-A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Conv
from torch import nn
from torch.nn import functional

from hepatic.errors import BadInputError
from hepatic.networks.hourglass import Hourglass, Residual, convolution

RARE = -2.19
"""Initial bias of the heat map's logits: centres are rare (CornerNet)."""
TYPICAL_CELLS = 2.0
"""Initial bias of the boxes' edges, in cells."""
LEAST_CELLS = 0.1
"""Smallest edge of a box, in cells; a network may predict less, or less than nothing."""


class CenterMaps(NamedTuple):
    """What one stack says about every cell, a cell being ``stride`` voxels.

    Attributes:
        heatmap: (B, 1, cells...), logits of "the centre of a lesion lies in this cell".
        offset: (B, axes, cells...), where in the cell, in [0, 1).
        size: (B, axes, cells...), edges of the box, in cells.
    """

    heatmap: torch.Tensor
    offset: torch.Tensor
    size: torch.Tensor


class CenterNet(nn.Module):
    """Stacked hourglass with the heads of CenterNet.

    Args:
        dimension: 2 or 3.
        stride: voxels per cell by axis, each 1, 2 or 4 (R of the paper, which takes 4 everywhere).
        in_channels: of the image.
        stem: channels after the first convolution.
        channels, modules, light: of the hourglass.
        stacks: hourglasses in a row, each with heads of its own that are trained.
    """

    def __init__(
        self,
        *,
        dimension: int,
        stride: Sequence[int],
        in_channels: int = 1,
        stem: int,
        channels: Sequence[int],
        modules: Sequence[int],
        stacks: int = 1,
        light: bool = False,
    ) -> None:
        super().__init__()
        if len(stride) != dimension or not set(stride) <= {1, 2, 4}:
            raise BadInputError(
                "stride of CenterNet",
                expected=f"{dimension} numbers, each 1, 2 or 4",
                came=repr(tuple(stride)),
                fix="Correct the task.",
            )
        first = [2 if step == 4 else 1 for step in stride]
        second = [step // done for step, done in zip(stride, first, strict=True)]
        width = channels[0]
        kernel = 3 if light else 7
        self.stem = nn.Sequential(
            convolution(dimension, in_channels, stem, kernel=kernel, stride=first),
            convolution(dimension, stem, width, stride=second)
            if light
            else Residual(dimension, stem, width, stride=second),
            *([Residual(dimension, width, width)] if light else []),
        )
        self.hourglasses = nn.ModuleList(
            Hourglass(dimension, channels=channels, modules=modules, light=light) for _ in range(stacks)
        )
        self.after = nn.ModuleList(convolution(dimension, width, width) for _ in range(stacks))
        between = range(stacks - 1)
        self.from_input = nn.ModuleList(convolution(dimension, width, width, kernel=1, relu=False) for _ in between)
        self.from_stack = nn.ModuleList(convolution(dimension, width, width, kernel=1, relu=False) for _ in between)
        self.join = nn.ModuleList(Residual(dimension, width, width) for _ in between)
        self.heads = nn.ModuleList(_Heads(dimension, width, light=light) for _ in range(stacks))

    def forward(self, image: torch.Tensor) -> tuple[CenterMaps, ...]:
        """(B, in_channels, voxels...) to the maps of every stack, the last stack's last; in evaluation only that."""
        x, maps = self.stem(image), []
        last = len(self.hourglasses) - 1
        for number, hourglass in enumerate(self.hourglasses):
            seen = self.after[number](hourglass(x))
            if self.training or number == last:
                maps.append(self.heads[number](seen))
            if number < last:
                x = self.join[number](functional.relu(self.from_input[number](x) + self.from_stack[number](seen)))
        return tuple(maps)


class _Heads(nn.Module):
    """(B, width, cells...) to the three maps."""

    def __init__(self, dimension: int, width: int, *, light: bool) -> None:
        super().__init__()
        self.heatmap = _head(dimension, width, 1, light=light, bias=RARE)
        self.offset = _head(dimension, width, dimension, light=light)
        self.size = _head(dimension, width, dimension, light=light, bias=TYPICAL_CELLS)

    def forward(self, x: torch.Tensor) -> CenterMaps:
        return CenterMaps(self.heatmap(x), self.offset(x), self.size(x))


def _head(dimension: int, width: int, maps: int, *, light: bool, bias: float = 0.0) -> nn.Sequential:
    kernel = 1 if light else 3
    hidden = Convolution(dimension, width, width, kernel_size=kernel, adn_ordering="A", act="relu", norm=None)
    last = Conv[Conv.CONV, dimension](width, maps, 1)
    if bias:
        nn.init.constant_(last.bias, bias)
    return nn.Sequential(hidden, last)


def peaks(maps: CenterMaps, *, stride: Sequence[int], most: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode the highest peaks of the heat maps into boxes.

    A peak is a cell that no neighbour (3 per axis) exceeds, which is CenterNet's stand-in for non-maximum suppression.

    Args:
        maps: of B images.
        stride: as the network's.
        most: K, boxes per image, the best first; fewer where there are not as many cells.

    Returns:
        (B, K, 2 * axes) voxels, first and one past the last along each axis, as ``hepatic.boxes.from_voxels`` has them,
        not cut off at the edges of the image; and (B, K) scores in [0, 1].
    """
    heat = torch.sigmoid(maps.heatmap.float())
    axes = heat.ndim - 2
    pool = functional.max_pool3d if axes == 3 else functional.max_pool2d
    heat = heat * (pool(heat, 3, stride=1, padding=1) == heat)
    scores, places = heat.flatten(1).topk(min(most, heat[0].numel()))
    cells = torch.stack(torch.unravel_index(places, heat.shape[2:]), dim=-1).float()
    step = torch.tensor(tuple(stride), dtype=torch.float32, device=heat.device)
    offset, size = (_at(of.float(), places) for of in (maps.offset, maps.size))
    middle, edges = (cells + offset) * step, (size.clamp(min=LEAST_CELLS) * step).clamp(min=1.0)
    return torch.cat([middle - edges / 2, middle + edges / 2], dim=-1), scores


def last_peaks(
    output: Sequence[CenterMaps], *, stride: Sequence[int], most: int = 20
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``peaks`` of the last stack: the ``decode`` of a detection task whose network is a ``CenterNet``."""
    return peaks(output[-1], stride=stride, most=most)


def _at(maps: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Values of (B, axes, cells...) at flat places (B, K): (B, K, axes)."""
    flat = maps.flatten(2)
    return flat.gather(2, places[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
