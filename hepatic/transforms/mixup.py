"""Mixup: every sample of a batch becomes a mixture of two (Zhang 2018; paper 004 takes alpha = .2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Mixup:
    """A batch to ``share`` of itself and 1 - ``share`` of itself in another order, targets and masks alike.

    The share is drawn from Beta(alpha, alpha). Losses that are linear in their targets, as the cross-entropy is, are
    then those of mixup.

    Attributes:
        alpha: 0 mixes nothing.
    """

    alpha: float = 0.2

    def __call__(self, batch: dict[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Draw, then mix everything that is floating."""
        if not self.alpha:
            return batch
        seed = int(torch.randint(2**31, (), generator=generator))
        share = float(np.random.default_rng(seed).beta(self.alpha, self.alpha))
        order = torch.randperm(len(batch["image"]), generator=generator)
        return {
            name: share * tensor + (1 - share) * tensor[order] if tensor.is_floating_point() else tensor
            for name, tensor in batch.items()
        }
