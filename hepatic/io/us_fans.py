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
_COMPARABLE = 0.25  # of the largest
_FILLED = 0.6  # share of what is around that is not black
_FLAT = 0.4  # share of five neighbouring tones
_TEXT = 1 / 24  # of its height: nothing thinner is an image


def some_frames(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return at most ``LOOKED_AT`` frames, evenly chosen, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), LOOKED_AT)).round().astype(int))
    return np.asarray(frames[chosen])


def find_fans(grey: NDArray[np.uint8]) -> list[Mask]:
    """Return the images on a screen, from left to right, each filled out to a convex shape.

    What is thinner than a line of text is none, nor what fills less than 2 % of the screen or a quarter of the largest,
    what has mostly one tone (a banner), or what is mostly black (a block of text). A contrast cine fills its fan over
    time, so all frames count.

    Args:
        grey: (F, H, W), black background.

    Returns:
        (H, W) bool each.
    """
    brightest = some_frames(grey).max(axis=0)
    lit = brightest > _BLACK
    thick = max(5, round(_TEXT * lit.shape[0]))
    solid = ndimage.binary_closing(np.pad(lit, thick), iterations=2)[thick:-thick, thick:-thick]
    dense = ndimage.uniform_filter(lit.astype(np.float32), thick) > _FILLED  # blocks of text are not
    bodies = opened(solid & dense, thick)
    parts, count = ndimage.label(bodies)
    found = []
    for number in range(1, count + 1):
        body = parts == number
        if body.mean() < _SMALLEST or _is_flat(brightest[body & lit]):
            continue
        whole = ndimage.binary_propagation(
            ndimage.binary_dilation(body, iterations=thick // 2) & solid & lit, mask=solid
        )
        near = whole & ndimage.binary_dilation(body, iterations=thick // 3)
        found.append(np.asarray(convex_hull_image(near), dtype=bool))
    largest = max((int(fan.sum()) for fan in found), default=0)
    found = [fan for fan in found if fan.sum() >= _COMPARABLE * largest]
    return sorted(found, key=lambda fan: float(np.nonzero(fan.any(0))[0].mean()))


def opened(mask: Mask, edge: int) -> Mask:
    """Binary opening by a square, as ``ndimage.binary_opening`` does, by rows and columns: the same in less time."""
    kept = ndimage.minimum_filter(mask.astype(np.uint8), edge, mode="constant")
    origin = 0 if edge % 2 else -1  # the square's other half
    return np.asarray(ndimage.maximum_filter(kept, edge, mode="constant", origin=origin) > 0)


def dilated(mask: Mask, size: tuple[int, int]) -> Mask:
    """Binary dilation by a rectangle of odd edges, as ``ndimage.binary_dilation`` does, by rows and columns."""
    return np.asarray(ndimage.maximum_filter(mask.astype(np.uint8), size, mode="constant") > 0)


def _is_flat(values: NDArray[np.generic]) -> bool:
    """Whether most values are of one tone; speckle has them all."""
    counts = np.bincount(values.astype(np.uint8), minlength=256)
    return bool(np.convolve(counts, np.ones(5))[2:-2].max() > _FLAT * len(values))


def box_of(fan: Mask) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) around a fan, one past the last row and column."""
    rows, columns = np.nonzero(fan.any(1))[0], np.nonzero(fan.any(0))[0]
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
