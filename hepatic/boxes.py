"""Boxes around lesions: where they lie in the patient, and how much two of them share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from monai.data.box_utils import box_iou, non_max_suppression
from numpy.typing import NDArray

from hepatic.geometry import Grid

Boxes = Annotated[NDArray[np.float64], "(N, 6)"]
"""N boxes, each (x, y, z, x, y, z) in LPS millimetres: the lowest corner, then the highest; edges along the LPS axes.

CT slices are axial in practice. Where a grid is turned against the LPS axes, a box of voxels becomes the box around it.
"""

HIT_IOU = 0.1
"""From which IoU a candidate counts as the lesion, if its centre does not lie in it anyway (paper 001 does not say)."""


def from_voxels(corners: NDArray[np.floating] | Sequence[Sequence[float]], grid: Grid) -> Boxes:
    """Return boxes of voxels in the patient.

    Args:
        corners: (N, 6), first (k, j, i) and one past the last (k, j, i), as array slices have them: the box from 0 to 1
            is the first voxel, whose centre lies at index 0.
        grid: what they are voxels of.
    """
    edges = np.asarray(corners, np.float64).reshape(-1, 2, 3)[..., ::-1] - 0.5  # in continuous (i, j, k)
    return _around(edges, grid.affine)


def to_voxels(boxes: Boxes, grid: Grid) -> Annotated[NDArray[np.float64], "(N, 6)"]:
    """Return boxes as (k, j, i, k, j, i) on a grid, not rounded and not cut off at its edges; see ``from_voxels``."""
    given = np.asarray(boxes, np.float64).reshape(-1, 2, 3)
    edges = _around(given, np.asarray(np.linalg.inv(grid.affine), np.float64)).reshape(-1, 2, 3)
    return (edges[..., ::-1] + 0.5).reshape(-1, 6)


def voxels_inside(box: NDArray[np.floating] | Sequence[float], grid: Grid) -> tuple[slice, slice, slice] | None:
    """Return the voxels (k, j, i) of a box: those whose centre lies in it, one at least; None for one off the grid."""
    low, high = to_voxels(np.asarray(box, np.float64), grid)[0].reshape(2, 3)
    if (high <= 0).any() or (low >= grid.shape).any():
        return None
    spans = []
    for first, last, length in zip(low, high, grid.shape, strict=True):
        start, stop = math.ceil(first - 0.5), math.ceil(last - 0.5)
        if stop <= start:  # it lies between two centres
            start = math.floor((first + last) / 2)
            stop = start + 1
        start = min(max(start, 0), length - 1)
        spans.append(slice(start, max(start + 1, min(stop, length))))
    k, j, i = spans
    return k, j, i


def centres(boxes: Boxes) -> NDArray[np.float64]:
    """Return the centres, (N, 3) in LPS millimetres."""
    return np.asarray(np.asarray(boxes, np.float64).reshape(-1, 2, 3).mean(axis=1))


def sizes(boxes: Boxes) -> NDArray[np.float64]:
    """Return the edge lengths, (N, 3) in millimetres."""
    given = np.asarray(boxes, np.float64).reshape(-1, 2, 3)
    return np.asarray(given[:, 1] - given[:, 0])


def iou(a: Boxes, b: Boxes) -> Annotated[NDArray[np.float64], "(N, M)"]:
    """Return intersection over union of every box of one list with every box of another."""
    a, b = np.asarray(a, np.float64).reshape(-1, 6), np.asarray(b, np.float64).reshape(-1, 6)
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    return np.asarray(box_iou(a, b))


def hits(candidates: Boxes, lesions: Boxes, *, min_iou: float = HIT_IOU) -> Annotated[NDArray[np.bool_], "(N, M)"]:
    """Return which candidate counts as which lesion: IoU reached, or the candidate's centre within the lesion's box."""
    lesions = np.asarray(lesions, np.float64).reshape(-1, 6)
    middle = centres(np.asarray(candidates, np.float64).reshape(-1, 6))[:, None]
    inside = ((middle >= lesions[None, :, :3]) & (middle <= lesions[None, :, 3:])).all(axis=-1)
    return np.asarray((iou(candidates, lesions) >= min_iou) | inside)


def kept_by_nms(boxes: Boxes, scores: NDArray[np.floating], *, max_iou: float, most: int) -> list[int]:
    """Return which boxes stay, the best score first, when those that overlap a better one are dropped."""
    given = torch.as_tensor(np.asarray(boxes, np.float64).reshape(-1, 6))
    if not len(given):
        return []
    kept = non_max_suppression(given, torch.as_tensor(np.asarray(scores)), nms_thresh=max_iou, max_proposals=most)
    return [int(index) for index in kept]


def _around(corners: NDArray[np.floating], affine: NDArray[np.floating]) -> NDArray[np.float64]:
    """Carry boxes (N, 2, 3) along an affine map and return the axis-aligned boxes around them, (N, 6)."""
    half = (corners[:, 1] - corners[:, 0]) / 2 @ np.abs(affine[:3, :3]).T
    middle = corners.mean(axis=1) @ affine[:3, :3].T + affine[:3, 3]
    return np.asarray(np.concatenate([middle - np.abs(half), middle + np.abs(half)], axis=1), np.float64)
