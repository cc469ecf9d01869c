"""Batch norms of a trained network folded into the convolutions before them: the same function in fewer passes."""

from __future__ import annotations

import itertools

from monai.networks.blocks import ADN
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution right before it, and take out dropout; in place.

    Only where the order is plain: neighbours in an ``nn.Sequential``, the norm itself or the first part of MONAI's
    ``ADN``. Whatever is put together otherwise stays as it is.

    Args:
        network: in evaluation mode.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fold_neighbours(module)
    for module in list(network.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, nn.Dropout):
                setattr(module, name, nn.Identity())
    return network


def _fold_neighbours(sequence: nn.Sequential) -> None:
    parts = list(sequence.named_children())
    for (here, part), (after, follower) in itertools.pairwise(parts):
        holder, name, norm = sequence, after, follower
        if isinstance(follower, ADN) and len(follower):
            holder, (name, norm) = follower, next(follower.named_children())
        if isinstance(part, _CONVOLUTIONS) and isinstance(norm, _NORMS) and norm.running_var is not None:
            setattr(sequence, here, fuse_conv_bn_eval(part, norm))
            setattr(holder, name, nn.Identity())
