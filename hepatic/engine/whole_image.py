"""The frame that stands for a whole picture in a labelmap: something to see, to name and to draw in, but no lesion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EDGE_PX = 2
_SMALLEST = 0.3  # of the picture's height and width


def outline(size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return (h, w), true along the edges of a picture; in the middle, too, of one too small for a frame."""
    inside = np.zeros((max(0, size[0] - 2 * _EDGE_PX), max(0, size[1] - 2 * _EDGE_PX)), bool)
    if not inside.size:
        return np.ones(size, bool)
    return np.pad(inside, _EDGE_PX, constant_values=True)


def without_outline(labels: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """Return a labelmap (K, J, I) without the frames in it, as drawn by ``outline``; what is drawn in them stays.

    A frame may be erased in part, and other segments may be drawn over it. A rectangle that is filled is none, nor one
    whose line is wider or thinner, nor one too small for an ultrasound image on a screen: a reader drew it.
    """
    left = labels.copy()
    for k in np.flatnonzero(labels.any(axis=(1, 2))):
        is_drawn = labels[k] > 0
        parts, _ = ndimage.label(is_drawn, structure=np.ones((3, 3)))
        for window in [*ndimage.find_objects(parts), *ndimage.find_objects(is_drawn.astype(np.uint8))]:
            if _is_large(window, is_drawn.shape):
                window = _between_lines(is_drawn, window)
                if _is_large(window, is_drawn.shape) and _is_frame(is_drawn[window]):
                    left[k][window][outline(is_drawn[window].shape)] = 0
    return left


def _is_large(window: tuple[slice, ...], size: tuple[int, ...]) -> bool:
    edges = [axis.stop - axis.start for axis in window]
    return all(edge > max(_SMALLEST * all_, 4 * _EDGE_PX) for edge, all_ in zip(edges, size, strict=True))


def _between_lines(is_drawn: NDArray[np.bool_], window: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return a window from the first to the last line in it, lest it reach to what is drawn over a frame's edge.

    A line is set for the most part. An edge without one, as it was erased, stays where it is.
    """
    found = []
    for axis, (start, stop) in enumerate((one.start, one.stop) for one in window):
        lines = np.flatnonzero(is_drawn[window].mean(axis=1 - axis) >= 0.5)
        middle = (stop - start) / 2
        low, high = lines[lines < middle], lines[lines >= middle]
        first, last = low[0] if len(low) else 0, high[-1] if len(high) else stop - start - 1
        found.append(slice(start + int(first), start + int(last) + 1))
    return tuple(found)


def _is_frame(part: NDArray[np.bool_]) -> bool:
    """Whether its outermost lines are set for the most part, as many as ``outline`` sets, and the next is not."""
    rows, columns = (np.minimum(np.arange(edge), np.arange(edge)[::-1]) for edge in part.shape)
    depth = np.minimum(rows[:, None], columns)
    *edge, inner = (part[depth == n].mean() > 0.5 for n in range(_EDGE_PX + 1))
    return all(edge) and not inner
