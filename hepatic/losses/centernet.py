"""The losses of CenterNet (Zhou 2019, equations 1 to 4; paper 001, section II-A)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from hepatic.networks.centernet import CenterMaps

ALPHA, BETA = 2.0, 4.0
SURE = 1e-4
"""Probabilities are kept that far from 0 and 1, so that one bad cell does not drown the rest."""


def penalty_reduced_focal(
    logits: torch.Tensor, heatmap: torch.Tensor, *, at_centre: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Pixel-wise focal loss with less penalty around centres, over the number of centres; scalar.

    Args:
        logits: (B, 1, cells...).
        heatmap: likewise, in [0, 1]: equation 1 of paper 001.
        at_centre: likewise, 1 in the cells of centres and 0 elsewhere.
        weight: likewise, of each cell; 0 where it is not known whether there is a lesion.
    """
    p = torch.sigmoid(logits.float()).clamp(SURE, 1 - SURE)
    found = (1 - p) ** ALPHA * torch.log(p) * at_centre
    silent = (1 - heatmap) ** BETA * p**ALPHA * torch.log(1 - p) * (1 - at_centre)
    return -((found + silent) * weight).sum() / at_centre.sum().clamp(min=1.0)


def centernet_loss(
    output: Sequence[CenterMaps],
    batch: Mapping[str, torch.Tensor],
    *,
    weights: tuple[float, float, float] = (1.0, 1.0, 0.1),
) -> torch.Tensor:
    """Focal loss of the heat map, L1 of offset and size at the centres (weights 1 : 1 : 0.1), mean over the stacks.

    Args:
        output: of ``CenterNet``, one entry per stack.
        batch: what ``CenterNetTarget`` made: ``heatmap``, ``offset``, ``size``, ``at_centre``, ``weight``.
        weights: of heat map, offset and size.
    """
    at_centre = batch["at_centre"]
    count = at_centre.sum().clamp(min=1.0)
    total = torch.zeros((), device=at_centre.device)
    for maps in output:
        focal = penalty_reduced_focal(maps.heatmap, batch["heatmap"], at_centre=at_centre, weight=batch["weight"])
        offset = ((maps.offset.float() - batch["offset"]).abs() * at_centre).sum() / count
        size = ((maps.size.float() - batch["size"]).abs() * at_centre).sum() / count
        total = total + weights[0] * focal + weights[1] * offset + weights[2] * size
    return total / len(output)
