"""The frame that stands for a whole picture in a labelmap: something to see, to name and to draw in, but no lesion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EDGE_PX = 2


def outline(size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return (h, w), true along the edges of a picture; in the middle, too, of one too small for a frame."""
    inside = np.zeros((max(0, size[0] - 2 * _EDGE_PX), max(0, size[1] - 2 * _EDGE_PX)), bool)
    if not inside.size:
        return np.ones(size, bool)
    return np.pad(inside, _EDGE_PX, constant_values=True)


def without_outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask (K, J, I) without the frames in it, as drawn by ``outline``; what is drawn in them stays.

    A rectangle that is filled is none: what lies next to its edge is set as well.
    """
    left = mask.copy()
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        labels, _ = ndimage.label(mask[k], structure=np.ones((3, 3)))
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
            part = labels[rows, columns] == number
            if min(part.shape) > 4 * _EDGE_PX and part[edge := outline(part.shape)].all():
                inner = part[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX]
                if inner[outline(inner.shape)].mean() < 0.5:
                    left[k, rows, columns] &= ~edge
    return left
