"""Accepted boxes as a labelmap."""

from __future__ import annotations

import numpy as np

from hepatic.boxes import sizes, voxels_inside
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
        inside = voxels_inside(boxes[index], study.grid)
        if inside:
            array[inside] = index + 1
    return Labelmap(array, study.grid, {candidate.uid: value for value, candidate in enumerate(accepted, 1)})
