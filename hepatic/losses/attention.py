"""The loss of supervised attention (paper 004, "Supervised attention mechanism")."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from hepatic.networks.supervised_attention import Attended


def attended_loss(output: Attended, batch: Mapping[str, torch.Tensor], *, attention: float = 1.0) -> torch.Tensor:
    """Binary cross-entropy of the findings that apply, plus that of the attention with the mask; scalar.

    Args:
        output: of ``SupervisedAttention``.
        batch: ``target`` (B, 2, L), how much each finding is true and how much it is false, ``mask`` (B, 1, H, W) in
            [0, 1], and ``mask_known`` (B,), 0 where nobody has said where the lesion is: such a picture teaches the
            findings alone. The mask is brought to the attention's size, a cell being 1 where any of it is.
        attention: weight of the second part; 0 leaves the attention to itself.
    """
    true, false = batch["target"].unbind(dim=1)
    logits = output.logits.float()
    each = true * functional.logsigmoid(logits) + false * functional.logsigmoid(-logits)
    findings = -each.sum() / (true + false).sum().clamp(min=1.0)
    if not attention:
        return findings
    z = output.attention.float()
    mask = functional.adaptive_max_pool2d(batch["mask"], z.shape[2:])
    unknown = (1 - batch["mask_known"])[:, None, None, None]  # of a mixture, the share whose mask is
    looked = functional.binary_cross_entropy_with_logits(z, mask, reduction="none") - unknown * functional.softplus(z)
    return findings + attention * looked.mean()
