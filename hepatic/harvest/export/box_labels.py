"""Accepted boxes as a labelmap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatic.boxes import sizes, to_voxels
from hepatic.geometry import Grid
from hepatic.harvest.export.reviewed import ReviewedStudy
from hepatic.io.image import Labelmap


def box_labels(study: ReviewedStudy) -> Labelmap:
    """Return the accepted boxes of a study on the grid of its reference phase.

    Values count from 1 in the order of ``study.accepted()``; names are the candidates' UIDs. A voxel belongs to a box
    if its centre lies in it; every box has a voxel at least. Where boxes overlap, the smaller one is seen.
    """
    accepted = study.accepted()
    boxes = np.array([candidate.box for candidate in accepted], np.float64).reshape(-1, 6)
    array = np.zeros(study.grid.shape, np.uint8 if len(boxes) < 256 else np.uint16)
    for index in np.argsort(-sizes(boxes).prod(axis=1), kind="stable"):
        array[_inside(boxes[index], study.grid)] = index + 1
    return Labelmap(array, study.grid, {candidate.uid: value for value, candidate in enumerate(accepted, 1)})


def _inside(box: NDArray[np.float64], grid: Grid) -> tuple[slice, ...]:
    """Return the slices (k, j, i) of a box, cut off at the edges of the grid."""
    low, high = to_voxels(box[None], grid)[0].reshape(2, 3)
    first = np.ceil(low - 0.5).astype(int)
    last = np.maximum(np.ceil(high - 0.5).astype(int), first + 1)
    last_voxel = np.array(grid.shape)
    first, last = np.clip(first, 0, last_voxel), np.clip(last, 0, last_voxel)
    return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
