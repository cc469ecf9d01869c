"""Small networks over whole volumes that run in a fraction of a second on one CPU core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import UNet
from torch import nn


def small_unet3d(*, channels: Sequence[int] = (16, 32, 64, 96)) -> nn.Module:
    """Build a 3D U-Net that halves the picture at once: (B, 1, k, j, i) to one map of logits, (B, 1, k, j, i).

    Sizes must be divisible by 2 to the power of the levels below the first. Most of the work of a classic U-Net is done
    at full resolution, which an organ as large as the liver does not need.

    Args:
        channels: by level.
    """
    built = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=tuple(channels),
        strides=(2,) * (len(channels) - 1),
        num_res_units=1,
        norm="batch",
    )
    return cast(nn.Module, built)


class PooledClassifier(nn.Module):
    """Strided convolutions, then mean and maximum over all places, then one linear layer.

    What it sees counts wherever it lies: (B, 1, k, j, i) of any size to (B, classes) logits.
    """

    def __init__(self, classes: int, *, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        stages = []
        before = 1
        for after in channels:
            stages.append(Convolution(3, before, after, strides=2, norm="batch", act="relu", bias=False))
            stages.append(Convolution(3, after, after, norm="batch", act="relu", bias=False))
            before = after
        self.features = nn.Sequential(*stages)
        self.classify = nn.Linear(2 * before, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 1, k, j, i) to (B, classes)."""
        found = self.features(image).flatten(2)
        logits: torch.Tensor = self.classify(torch.cat([found.mean(-1), found.amax(-1)], dim=1))
        return logits
