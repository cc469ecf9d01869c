"""Losses of segmentation networks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from monai.losses import DiceCELoss, DiceLoss
from torch.nn import functional

from hepatic.networks.ltdnet import LTDOutput


def bce_dice(
    logits: torch.Tensor, target: torch.Tensor, *, known: torch.Tensor | None = None, a: float = 0.5
) -> torch.Tensor:
    """``a * BCE + (1 - a) * Dice`` (paper 000, equations 2 and 3); scalar.

    Args:
        logits: (B, 1, H, W).
        target: (B, 1, H, W) in [0, 1].
        known: (B,), 1 where the reader drew this structure at all; the other samples do not count.
        a: weight of the cross-entropy.
    """
    logits = logits.float()
    bce = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(1, 2, 3))
    dice = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, reduction="none")(logits, target).reshape(
        len(logits), -1
    )
    each: torch.Tensor = a * bce + (1 - a) * dice.mean(dim=1)
    if known is None:
        return each.mean()
    return (each * known).sum() / known.sum().clamp(min=1.0)


def key_frame_loss(output: torch.Tensor, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Loss of a network whose output is the tumour logits alone."""
    return bce_dice(output, batch["target"][:, :1], known=batch["known"][:, 0])


def mask_loss(logits: torch.Tensor, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy and Dice of one structure's logits (B, 1, spatial...) with ``batch["target"]``; scalar."""
    loss: torch.Tensor = DiceCELoss(sigmoid=True)(logits.float(), batch["target"])
    return loss


def frame_difference(frames: torch.Tensor) -> torch.Tensor:
    """FD = f_k - f_(k-9), signed: first from last frame of the window (B, T, H, W) to (B, 1, H, W)."""
    return frames[:, -1:] - frames[:, :1]


def difference_loss(difference: torch.Tensor, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """``L_LTD = L1(TD, FD)`` (paper 000, equation 1)."""
    return functional.l1_loss(difference.float(), frame_difference(batch["image"]))


def ltd_loss(output: LTDOutput, batch: Mapping[str, torch.Tensor], *, l0: float = 0.1, l1: float = 1.0) -> torch.Tensor:
    """``L_total = l0 * L_LTD + l1 * L_LRS + L_seg`` (paper 000, equation 4).

    Terms of branches the network does not have are left out; so is the liver term for samples without a liver label.
    ``batch["target"]`` is (B, 2, H, W): tumour, liver (the liver including its tumours).
    """
    target, known = batch["target"], batch["known"]
    total = bce_dice(output.tumour, target[:, :1], known=known[:, 0])
    if output.difference is not None and l0:
        total = total + l0 * difference_loss(output.difference, batch)
    if output.liver is not None:
        total = total + l1 * bce_dice(output.liver, target[:, 1:2], known=known[:, 1])
    return total
