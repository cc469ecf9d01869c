"""Losses of classifiers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional


def class_loss(logits: torch.Tensor, batch: Mapping[str, torch.Tensor], *, smoothing: float = 0.05) -> torch.Tensor:
    """Cross-entropy of logits (B, classes) with ``batch["target"]`` (B,); scalar.

    Args:
        logits: of the network.
        batch: holds the classes.
        smoothing: share of the probability spread over all classes, so that being sure has to be earned.
    """
    return functional.cross_entropy(logits.float(), batch["target"], label_smoothing=smoothing)
