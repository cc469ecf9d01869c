"""Losses that MONAI and torch do not have as they are, by what they train."""

from hepatic.losses.centernet import centernet_loss, penalty_reduced_focal
from hepatic.losses.classification import class_loss
from hepatic.losses.segmentation import (
    bce_dice,
    difference_loss,
    frame_difference,
    key_frame_loss,
    ltd_loss,
    mask_loss,
)

__all__ = [
    "bce_dice",
    "centernet_loss",
    "class_loss",
    "difference_loss",
    "frame_difference",
    "key_frame_loss",
    "ltd_loss",
    "mask_loss",
    "penalty_reduced_focal",
]
