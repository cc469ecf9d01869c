"""How much vessel lies over a pixel, sorted by when the contrast gets there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sample_data.dsa import kinetics
from sample_data.dsa.tree import Numbers, Tree
from sample_data.noise import Image

BINS = 48
LOG_PER_PX = 0.019  # attenuation of one pixel (of the full picture) of filled vessel
SAME_VESSEL_BINS = 4


@dataclass(frozen=True, slots=True)
class Dots:
    """Spheres strung along vessels.

    Attributes:
        x_px, y_px, radius_px, arrival_s: (n,) each.
    """

    x_px: Numbers
    y_px: Numbers
    radius_px: Numbers
    arrival_s: Numbers


@dataclass(frozen=True, slots=True)
class Filling:
    """Thickness of vessel by pixel and time of arrival.

    Attributes:
        thickness_px: sparse (H * W, 48).
        arrival_s: (48,).
        shape: (H, W).
        scale: width over 1021 px.
    """

    thickness_px: sparse.csr_matrix
    arrival_s: Numbers
    shape: tuple[int, int]
    scale: float

    def contrast(self, time_s: float, duration_s: float) -> Image:
        """Line integral (H, W) of the contrast at one time, for an injection of ``duration_s``."""
        filled = kinetics.bolus(time_s, self.arrival_s, duration_s) * (LOG_PER_PX / self.scale)
        return np.asarray(self.thickness_px @ filled.astype(np.float32), dtype=np.float32).reshape(self.shape)


def string(tree: Tree, rng: np.random.Generator, *, curl_px: float) -> Dots:
    """Dots along the branches of a tree, each branch bent sideways by about ``curl_px``."""
    ends = tree.points_px[1:]
    starts = tree.points_px[tree.parent[1:]]
    radius = tree.radius_px[1:]
    run = (ends - starts)[:, :2]
    length = np.hypot(run[:, 0], run[:, 1])
    count = np.maximum(2, (length / np.maximum(0.5, 0.4 * radius)).astype(int) + 1)
    branch = np.repeat(np.arange(len(count)), count)
    along = (np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)) / (count[branch] - 1)
    sway = rng.normal(0, curl_px, len(count)) * np.minimum(1, length / 60)
    aside = sway[branch] * (np.sin(np.pi * along) + 0.35 * np.sin(2 * np.pi * along))
    normal = np.stack([-run[:, 1], run[:, 0]], 1) / (length[:, None] + 1e-6)
    at = starts[branch, :2] + along[:, None] * run[branch] + aside[:, None] * normal[branch]
    before, after = tree.arrival_s[tree.parent[1:]], tree.arrival_s[1:]
    return Dots(at[:, 0], at[:, 1], radius[branch], before[branch] * (1 - along) + after[branch] * along)


def fill(parts: list[Dots], shape: tuple[int, int], scale: float) -> Filling:
    """Paint dots into pixels and bins of arrival; what one vessel leaves in neighbouring bins counts once."""
    height, width = shape
    x, y, radius, arrival = (
        np.concatenate([getattr(dots, name) for dots in parts]) for name in ("x_px", "y_px", "radius_px", "arrival_s")
    )
    longest_s = max(6.0, float(arrival.max()) + 0.01)
    bins = (arrival / longest_s * BINS).astype(np.int64)
    keys, chords = [], []
    reach = np.ceil(radius).astype(int)
    for r in np.unique(reach):
        of = reach == r
        offset = np.arange(-r - 1, r + 2)
        rows = np.rint(y[of]).astype(int)[:, None, None] + offset[:, None]
        columns = np.rint(x[of]).astype(int)[:, None, None] + offset
        from_axis2 = (columns - x[of][:, None, None]) ** 2 + (rows - y[of][:, None, None]) ** 2
        size = radius[of][:, None, None]
        rim = np.clip(size + 0.5 - np.sqrt(from_axis2), 0, 1) * np.minimum(size, 1)
        chord = np.maximum(2 * np.sqrt(np.clip(size**2 - from_axis2, 0, None)), rim)
        keep = (chord > 0) & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        keys.append((((rows * width + columns) * BINS) + bins[of][:, None, None])[keep])
        chords.append(chord[keep].astype(np.float32))
    key, chord = np.concatenate(keys), np.concatenate(chords)
    order = np.argsort(key, kind="stable")
    key, chord = key[order], chord[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    pixel, bin_ = np.divmod(key[first], BINS)
    pixel, bin_, chord = _one_per_vessel(pixel, bin_, np.maximum.reduceat(chord, first))
    thickness = sparse.csr_matrix((chord, (pixel, bin_)), shape=(height * width, BINS), dtype=np.float32)
    return Filling(thickness, (np.arange(BINS) + 0.5) / BINS * longest_s, shape, scale)


def _one_per_vessel(
    pixel: NDArray[np.int64], bin_: NDArray[np.int64], chord: Image
) -> tuple[NDArray[np.int64], NDArray[np.int64], Image]:
    """Of entries of one pixel at most four bins apart keep the thickest."""
    for _ in range(3):
        same = (np.diff(pixel) == 0) & (np.diff(bin_) <= SAME_VESSEL_BINS)
        thinner_later = chord[1:] < chord[:-1]
        drop = np.zeros(len(pixel), dtype=bool)
        drop[1:] |= same & thinner_later
        drop[:-1] |= same & ~thinner_later
        pixel, bin_, chord = pixel[~drop], bin_[~drop], chord[~drop]
    return pixel, bin_, chord
