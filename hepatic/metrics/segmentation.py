"""Measures of a segmentation against a reader's, and of a model's own doubt."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance
from numpy.typing import NDArray
from scipy import ndimage

# MONAI 1.6 warns about an argument of its own making whenever a distance is computed
warnings.filterwarnings("ignore", message=".*always_return_as_numpy.*", category=FutureWarning)

Mask = NDArray[np.bool_]


def dice(predicted: Mask, reference: Mask) -> float:
    """Dice coefficient of two masks of one shape; 1 when both are empty."""
    total = int(predicted.sum()) + int(reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else 1.0


def iou(predicted: Mask, reference: Mask) -> float:
    """Intersection over union of two masks; 1 when both are empty."""
    union = int((predicted | reference).sum())
    return int((predicted & reference).sum()) / union if union else 1.0


def hd95_px(predicted: Mask, reference: Mask) -> float:
    """95th percentile of the symmetric surface distance in pixels, shape (H, W) or (D, H, W).

    0 when both are empty; not a number when one is.
    """
    if not predicted.any() and not reference.any():
        return 0.0
    if not predicted.any() or not reference.any():
        return math.nan
    pair = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (predicted, reference)]
    return float(compute_hausdorff_distance(*pair, include_background=True, percentile=95)[0, 0])


def lesion_recall(predicted: Mask, reference: Mask, *, covered: float = 0.5) -> float:
    """Share of the reference's connected lesions of which at least ``covered`` is predicted; 1 without lesions."""
    lesions, count = ndimage.label(reference)
    if not count:
        return 1.0
    found = ndimage.mean(predicted, lesions, range(1, count + 1)) >= covered
    return float(np.mean(found))


def foreground_entropy(probabilities: torch.Tensor, *, threshold: float = 0.1) -> float:
    """Binary entropy of the first label in bits, averaged over the foreground (never summed: size must not count).

    Args:
        probabilities: (labels, spatial...) in [0, 1].
        threshold: foreground is where any label's probability reaches it; the whole image where none does.
    """
    p = probabilities[0].float().clamp(1e-6, 1 - 1e-6)
    entropy = -(p * p.log2() + (1 - p) * (1 - p).log2())
    foreground = (probabilities >= threshold).any(dim=0)
    return float(entropy[foreground].mean() if foreground.any() else entropy.mean())
