"""Where voxels lie, and distances to simple bodies there.

Millimetres are DICOM's: x to the patient's left, y to the back, z to the head. Arrays run along (z, y, x).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatic.geometry import Grid
from sample_data.ct.field import Image, Place

Size = Literal["small", "full"]
Window = tuple[slice, slice, slice]
Axis = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Preset:
    """Grid and picture quality.

    Attributes:
        shape: slices, rows, columns.
        spacing_mm: along (z, y, x), for a patient of average build.
        centre_mm: (z, y, x) of the middle of the grid, for a patient of average build.
        grows: whether spacing and centre follow the patient's build, so that the liver always fills the grid.
        noise_hu: standard deviation in the middle of the body, lowest and highest.
        shift_mm: standard deviation of the liver's shift between phases along (z, y, x).
        edge_mm: width of edges before blurring.
    """

    shape: tuple[int, int, int]
    spacing_mm: Place
    centre_mm: Place
    grows: bool
    noise_hu: tuple[float, float]
    shift_mm: Place
    edge_mm: float


PRESETS: Final[dict[Size, Preset]] = {
    "small": Preset((24, 72, 96), (6.0, 2.3, 2.3), (0.0, -8.0, -28.0), True, (4.0, 6.0), (2.2, 1.8, 1.2), 1.2),
    "full": Preset((40, 512, 512), (5.0, 0.69, 0.69), (0.0, 4.0, 0.0), False, (11.0, 15.0), (5.0, 2.0, 1.2), 0.55),
}


@dataclass(frozen=True, slots=True)
class Space:
    """A grid along the patient's axes.

    Attributes:
        shape: slices, rows, columns.
        spacing_mm, origin_mm: along (z, y, x); the origin is the middle of voxel (0, 0, 0).
    """

    shape: tuple[int, int, int]
    spacing_mm: Place
    origin_mm: Place

    @property
    def grid(self) -> Grid:
        """The same as readers of DICOM say it: (i, j, k) to LPS millimetres."""
        affine = np.diag([*self.spacing_mm[::-1], 1.0])
        affine[:3, 3] = self.origin_mm[::-1]
        return Grid((self.shape[2], self.shape[1], self.shape[0]), affine)

    @property
    def whole(self) -> Window:
        """The window that is everything."""
        z, y, x = (slice(0, count) for count in self.shape)
        return z, y, x

    def axes(self, window: Window | None = None) -> tuple[Axis, Axis, Axis]:
        """Millimetres along z, y and x, shaped (K, 1, 1), (1, J, 1) and (1, 1, I)."""
        window = window or self.whole
        z, y, x = (
            (origin + step * np.arange(part.start, part.stop)).astype(np.float32)
            for origin, step, part in zip(self.origin_mm, self.spacing_mm, window, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def window(self, low_mm: ArrayLike, high_mm: ArrayLike) -> Window | None:
        """Voxels within a box (z, y, x); None where the grid does not reach it."""
        parts = []
        for low, high, origin, step, count in zip(
            np.asarray(low_mm), np.asarray(high_mm), self.origin_mm, self.spacing_mm, self.shape, strict=True
        ):
            first = max(0, int(np.floor((low - origin) / step)))
            last = min(count, int(np.ceil((high - origin) / step)) + 1)
            if first >= last:
                return None
            parts.append(slice(first, last))
        return parts[0], parts[1], parts[2]

    def around(self, centre_mm: ArrayLike, reach_mm: ArrayLike) -> Window | None:
        """Voxels within a box about a place (z, y, x)."""
        centre, reach = np.asarray(centre_mm), np.broadcast_to(np.asarray(reach_mm), 3)
        return self.window(centre - reach, centre + reach)


def space_for(size: Size, build: float) -> Space:
    """The grid of a preset for a patient whose build is ``build`` times the average."""
    preset = PRESETS[size]
    grown = build if preset.grows else 1.0
    steps = [round(step * grown, 4) for step in preset.spacing_mm]
    origin = [
        round(centre * grown - (count - 1) / 2 * step, 4)
        for centre, count, step in zip(preset.centre_mm, preset.shape, steps, strict=True)
    ]
    return Space(preset.shape, (steps[0], steps[1], steps[2]), (origin[0], origin[1], origin[2]))


def ellipsoid(axes: Sequence[Image], centre: ArrayLike, radii: ArrayLike, *, turned: float = 0.0) -> Image:
    """About the distance to an ellipsoid (z, y, x), positive inside; ``turned`` about z, radians."""
    z, y, x = (along - np.float32(c) for along, c in zip(axes, np.asarray(centre), strict=True))
    rz, ry, rx = np.asarray(radii, dtype=np.float32)
    y, x = _turn(y, x, turned)
    return np.asarray((1 - np.sqrt((z / rz) ** 2 + (y / ry) ** 2 + (x / rx) ** 2)) * min(rz, ry, rx), dtype=np.float32)


def upright(
    axes: Sequence[Image], centre: tuple[float, float], radii: tuple[float, float], *, turned: float = 0.0
) -> Image:
    """About the distance to an elliptic cylinder along z (y, x), positive inside; it has one slice."""
    y, x = _turn(axes[1] - np.float32(centre[0]), axes[2] - np.float32(centre[1]), turned)
    ry, rx = np.float32(radii[0]), np.float32(radii[1])
    return np.asarray((1 - np.sqrt((y / ry) ** 2 + (x / rx) ** 2)) * min(ry, rx), dtype=np.float32)


def _turn(y: Image, x: Image, by: float) -> tuple[Image, Image]:
    if not by:
        return y, x
    cos, sin = np.float32(np.cos(by)), np.float32(np.sin(by))
    return y * cos - x * sin, x * cos + y * sin


def join(first: Image, second: Image, softness: float) -> Image:
    """Distance to both bodies together, rounded where they meet: the smaller ``softness`` (1/mm), the rounder."""
    k = np.float32(softness)
    return np.asarray(np.logaddexp(first * k, second * k) / k, dtype=np.float32)


def cut(body: Image, other: Image, softness: float) -> Image:
    """Distance to a body without another, rounded where they meet."""
    return -join(-body, other, softness)
