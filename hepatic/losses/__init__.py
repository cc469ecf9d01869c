"""Losses that MONAI and torch do not have as they are, by what they train."""

from hepatic.losses.centernet import centernet_loss, penalty_reduced_focal
from hepatic.losses.segmentation import bce_dice, difference_loss, frame_difference, key_frame_loss, ltd_loss

__all__ = [
    "bce_dice",
    "centernet_loss",
    "difference_loss",
    "frame_difference",
    "key_frame_loss",
    "ltd_loss",
    "penalty_reduced_focal",
]
