"""From a detector's peaks to the candidates a reader is shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.boxes import Boxes, from_voxels, kept_by_nms
from hepatic.geometry import Grid


def choose(
    boxes: torch.Tensor, scores: torch.Tensor, grid: Grid, options: Mapping[str, int | float | str | bool]
) -> tuple[Boxes, NDArray[np.float64]]:
    """Return the candidates among peaks, the surest first: boxes (N, 6) in LPS millimetres and scores (N,).

    Peaks below ``min_score``, boxes without extent and those that overlap a surer one by more than ``max_iou`` are
    dropped; ``most`` are kept.

    Args:
        boxes: (K, 6), (k, j, i, k, j, i) in voxels of ``grid``.
        scores: (K,) in [0, 1].
        grid: of the image the network saw.
        options: those of ``detection_options``.
    """
    given, sure = boxes.double().numpy(), scores.double().numpy()
    sound = np.isfinite(given).all(axis=1) & (given[:, 3:] > given[:, :3]).all(axis=1)
    sound &= np.isfinite(sure) & (sure >= float(options["min_score"]))
    placed, sure = from_voxels(given[sound], grid), np.asarray(sure[sound], np.float64)
    kept = kept_by_nms(placed, sure, max_iou=float(options["max_iou"]), most=int(options["most"]))
    return placed[kept], sure[kept]
