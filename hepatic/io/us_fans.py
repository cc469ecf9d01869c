"""Find the images on an ultrasound screen by what it shows, whatever its header says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

Mask = NDArray[np.bool_]

LOOKED_AT = 40
"""Most frames that are looked at, evenly chosen."""

_BLACK = 10
_SMALLEST = 0.02  # of the screen
_TEXT = 1 / 24  # of its height: nothing thinner is an image


def some_frames(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return at most ``LOOKED_AT`` frames, evenly chosen, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), LOOKED_AT)).round().astype(int))
    return np.asarray(frames[chosen])


def find_fans(grey: NDArray[np.uint8]) -> list[Mask]:
    """Return the images on a screen, from left to right, each filled out to a convex shape.

    What is thinner than a line of text is none, nor what fills less than 2 % of the screen. A contrast cine fills its
    fan over time, so all frames count.

    Args:
        grey: (F, H, W), black background.

    Returns:
        (H, W) bool each.
    """
    lit = some_frames(grey).max(axis=0) > _BLACK
    thick = max(5, round(_TEXT * lit.shape[0]))
    solid = ndimage.binary_closing(np.pad(lit, thick), iterations=2)[thick:-thick, thick:-thick]
    bodies = ndimage.binary_opening(solid, np.ones((thick, thick)))
    parts, count = ndimage.label(bodies)
    found = []
    for number in range(1, count + 1):
        body = parts == number
        if body.mean() < _SMALLEST:
            continue
        whole = ndimage.binary_propagation(
            ndimage.binary_dilation(body, iterations=thick // 2) & solid & lit, mask=solid
        )
        near = whole & ndimage.binary_dilation(body, iterations=thick)
        found.append(np.asarray(convex_hull_image(near), dtype=bool))
    return sorted(found, key=lambda fan: float(np.nonzero(fan.any(0))[0].mean()))


def box_of(fan: Mask) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) around a fan, one past the last row and column."""
    rows, columns = np.nonzero(fan.any(1))[0], np.nonzero(fan.any(0))[0]
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
