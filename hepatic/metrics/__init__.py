"""Measures of a model against readers, by what it finds."""

from hepatic.metrics.detection import Found, bootstrap_interval, froc, froc_interval, p1td, primary_found
from hepatic.metrics.segmentation import dice, foreground_entropy, hd95_px, iou, lesion_recall

__all__ = [
    "Found",
    "bootstrap_interval",
    "dice",
    "foreground_entropy",
    "froc",
    "froc_interval",
    "hd95_px",
    "iou",
    "lesion_recall",
    "p1td",
    "primary_found",
]
