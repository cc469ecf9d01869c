"""When the echo of the contrast agent begins in a cine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import block_reduce

RISE = 0.15
"""Share of the rise from its lowest to its highest value at which an intensity counts as begun."""
LEAST_RISE = 6.0
"""Grey values that an intensity must rise by to be an echo."""
HELD = 0.7
"""Share of its highest value from which an intensity rises no more for the first time: its echo began before."""
SQUARES = 20
"""So many squares are as high as a picture: one is about 8 mm wide."""


def onset_of(curve: NDArray[np.float64]) -> int:
    """Return the frame in which the echo of a region begins: the last below ``RISE`` of its rise, plus one.

    Args:
        curve: (F,), mean grey value of the region.

    Returns:
        0 where nothing rises, or from more than ``HELD`` of its highest value: the cine begins after the onset; else 1
        or more.
    """
    smooth = ndimage.median_filter(curve, size=min(5, len(curve)), mode="nearest")
    peak = int(smooth.argmax())
    low = float(smooth[: peak + 1].min())
    if smooth[peak] - low < LEAST_RISE or low > HELD * smooth[peak]:
        return 0
    below = np.flatnonzero(smooth[: peak + 1] < low + RISE * (smooth[peak] - low))
    return min(int(below[-1]) + 1, len(curve) - 1) if len(below) else 0


def first_echo(pictures: NDArray[np.uint8]) -> int:
    """Return the frame in which echo begins anywhere on a contrast image, a vessel or a lesion; 0 as ``onset_of``.

    It is that of the brightest square of each frame: the mean of the image rises with the liver, which is later.

    Args:
        pictures: (F, h, w).
    """
    edge = max(1, pictures.shape[1] // SQUARES)
    return onset_of(block_reduce(pictures, (1, edge, edge), np.mean).max(axis=(1, 2)))
