"""A lesion, followed through the frames of a cine by how it looks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import match_template

EDGE_PX = 20
"""Longer edge of the lesion's box when frames are compared: small lesions are enlarged, large ones made smaller."""
REACH = 0.06
"""How far a lesion is looked for round its last place, a share of the picture's height (about 1 cm)."""
NEW_SHARE = 0.2
"""Share of a frame in the look that the next is compared with; the rest is what was seen before."""
MOST_LOST = 3
"""Frames in a row for which a lesion may be gone; where it does not come back later, its look has changed for good."""
NOISE = 2.0
"""How many times worse than the worst third of neighbouring frames one must correlate to show something else: a small
lesion in coarse speckle looks a little different on every frame."""
LEAST_ALIKE = 0.7
"""Correlation below which a frame shows something else on the noisiest cine, too: many that do make a cine noisy."""
LEAST_STEP_PX = 0.25
"""Smallest step of that comparison: lesions of a few pixels are enlarged no further."""
_FLAT = 1.0  # standard deviation, grey values, below which there is nothing to see

Look = NDArray[np.float32]


def followed(
    frames: NDArray[np.uint8], box: Sequence[float], *, margin: float, alike: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Follow what lies in a box through frames, and say on which it is not there.

    Each frame is searched for the place that correlates best with how the lesion looked until then (normalised
    cross-correlation; Briechle and Hanebeck 2001, DOI 10.1117/12.421129). The look is the running mean of the frames
    that show it: it adapts slowly and does not drift, and a frame that shows something else leaves no trace in it.
    Where it looks otherwise on more than ``MOST_LOST`` frames in a row, its look has changed, unless a later frame
    looks as before: then it was lost all the while. A frame with nothing on it is lost once something was seen.

    Args:
        frames: (F, h, w).
        box: (top, left, bottom, right) in pixels, on the first frame.
        margin: share of the box's edges that is compared beyond it on every side.
        alike: correlation from 0 to 1, below which the frame shows something else; less on a noisy cine (``NOISE``),
            but not below ``LEAST_ALIKE``.

    Returns:
        (F, 2), rows and columns in pixels by which it has moved since the first frame, and (F,), whether it is lost:
        its place is then the last known.
    """
    patch = _Patch(box, margin, frames.shape[1:])
    smooth = [patch.smoothed(frame) for frame in frames]
    if alike > LEAST_ALIKE:
        alike = min(alike, max(LEAST_ALIKE, 1 - NOISE * patch.unlike(smooth)))
    places, lost = np.zeros((len(frames), 2)), np.zeros(len(frames), bool)
    look, kept = patch.cut(smooth[0], places[0]), 0
    before: tuple[Look, int] | None = None  # the look that has changed, and the last frame of it
    missed: list[int] = []  # frames since then that show something else
    number = 1
    while number < len(frames):
        now, moved, correlation = patch.find(look, smooth[number], places[kept])
        if before is not None:
            then, moved_then, alike_then = patch.find(before[0], smooth[number], places[before[1]])
            if alike_then >= max(alike, correlation):
                (look, kept), before = before, None
                lost[kept + 1 : number], places[kept + 1 : number] = True, places[kept]
                now, moved, correlation = then, moved_then, alike_then
        lost[number] = correlation < alike
        if lost[number] and now.std() >= _FLAT:
            missed.append(number)
        if len(missed) > MOST_LOST:
            before = before or (look, kept)
            number = missed[0]
            now, moved = patch.cut(smooth[number], places[kept]), np.zeros(2)
            look = now
            lost[number:] = False
        places[number] = places[kept]
        if not lost[number]:
            places[number] += moved
            look = (1 - NEW_SHARE) * look + NEW_SHARE * now
            kept, missed = number, []
        number += 1
    return places, lost


class _Patch:
    """A box and its surroundings, resampled to a fixed size."""

    def __init__(self, box: Sequence[float], margin: float, size: Sequence[int]) -> None:
        corners = np.array(box, np.float64).reshape(2, 2)
        edges = corners[1] - corners[0]
        self.step = max(float(edges.max()) / EDGE_PX, LEAST_STEP_PX)
        self.low = np.maximum(corners[0] - margin * edges, 0)
        high = np.minimum(corners[1] + margin * edges, size)
        self.size = np.maximum(np.ceil((high - self.low) / self.step), 2).astype(int)
        self.reach = max(1, round(REACH * size[0] / self.step))
        self.blur = max(1.0, 0.5 * self.step)

    def smoothed(self, frame: NDArray[np.uint8]) -> Look:
        """Return a whole frame as patches are cut out of it."""
        return np.asarray(ndimage.gaussian_filter(frame.astype(np.float32), self.blur), dtype=np.float32)

    def cut(self, frame: Look, at: NDArray[np.float64], beyond: int = 0) -> Look:
        """Return the patch of a smoothed frame, moved by ``at`` pixels, with so many of its pixels beyond each side."""
        axes = [
            first + moved + (np.arange(-beyond, count + beyond) + 0.5) * self.step - 0.5
            for first, moved, count in zip(self.low, at, self.size, strict=True)
        ]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        return np.asarray(ndimage.map_coordinates(frame, grid, order=1, mode="nearest"), dtype=np.float32)

    def unlike(self, frames: Sequence[Look]) -> float:
        """Return by how much neighbouring frames fail to correlate: of the worst third, the least; copies aside."""
        here, found = np.zeros(2), [1.0]
        for before, frame in itertools.pairwise(frames):
            if not np.array_equal(before, frame):
                found.append(self.find(self.cut(before, here), frame, here)[2])
        return 1 - float(np.percentile(found, 33))

    def find(self, look: Look, frame: Look, near: NDArray[np.float64]) -> tuple[Look, NDArray[np.float64], float]:
        """Return the patch most alike, how far in pixels it lies from ``near``, and its correlation."""
        around = self.cut(frame, near, self.reach)
        if look.std() < _FLAT:  # nothing to see yet
            correlations = np.ones((1, 1))
            row = column = self.reach
        else:
            correlations = match_template(around, look)
            row, column = (int(at) for at in np.unravel_index(correlations.argmax(), correlations.shape))
        rows, columns = self.size
        moved = (np.array([row, column]) - self.reach) * self.step
        return around[row : row + rows, column : column + columns], moved, float(correlations.max())
