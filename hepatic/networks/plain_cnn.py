"""The plain convolutional classifiers of paper 002: its VGG in two dimensions, its 3D-CNN in three."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from monai.networks.layers.factories import Pool
from torch import nn


class PlainCNN(nn.Module):
    """Stages of convolutions and max pooling, then fully connected layers (paper 002, section 1.2.1, figures 3 and 4).

    Args:
        dimension: 2 (VGG: two convolutions a stage) or 3 (3D-CNN: one).
        size: of the image, (rows, columns) or (frames, rows, columns); fixed by the fully connected layers.
        classes: outputs.
        in_channels: of the image.
        channels: after each stage; the paper doubles them.
        convolutions: 3 x 3 (x 3) convolutions in a stage.
        pool: edge of the max pooling, whose stride is 2.
        hidden: units of the fully connected layer.
        dropout: before it.
        norm: ``batch``, or None: the paper names none.
    """

    def __init__(
        self,
        dimension: int,
        size: Sequence[int],
        classes: int,
        *,
        in_channels: int = 1,
        channels: Sequence[int],
        convolutions: int,
        pool: int,
        hidden: int,
        dropout: float = 0.0,
        norm: str | None = "batch",
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before, left = in_channels, list(size)
        for after in channels:
            for _ in range(convolutions):
                stages.append(Convolution(dimension, before, after, norm=norm, act="relu", bias=norm is None))
                before = after
            stages.append(Pool[Pool.MAX, dimension](pool, stride=2, padding=(pool - 1) // 2))
            left = [(edge + 2 * ((pool - 1) // 2) - pool) // 2 + 1 for edge in left]
        self.features = nn.Sequential(*stages)
        flat = before * math.prod(left)
        self.classify = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, spatial...) to (B, classes) logits."""
        logits: torch.Tensor = self.classify(self.features(image))
        return logits
