"""The plain U-Net every branch is made of."""

from __future__ import annotations

from typing import cast

from monai.networks.nets import BasicUNet
from torch import nn

Features = tuple[int, int, int, int, int, int]

CLASSIC: Features = (64, 64 * 2, 64 * 4, 64 * 8, 64 * 16, 64)
"""Channels of the original U-Net (31 M parameters), the `paper` presets."""
SMALL: Features = (16, 16, 32, 64, 128, 16)
"""Channels that train in minutes on one CPU core."""
TINY: Features = (8, 8, 16, 32, 64, 8)
"""Channels of an auxiliary branch beside a ``SMALL`` network."""


def unet(in_channels: int, out_channels: int, *, features: Features, foreground_logit: float = 0.0) -> nn.Module:
    """Build a 2D U-Net with batch normalisation and linear output: (B, C, H, W) to (B, out, H, W).

    Args:
        in_channels: C.
        out_channels: number of output maps.
        features: channels of the five encoder levels and of the last decoder level.
        foreground_logit: initial bias of the last convolution; a negative one (rare foreground) shortens the plateau
            at the start of training.
    """
    network = BasicUNet(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=out_channels,
        features=features,
        norm=("batch", {}),
        dropout=0.0,
    )
    if foreground_logit:
        nn.init.constant_(network.final_conv.bias, foreground_logit)
    return cast(nn.Module, network)
