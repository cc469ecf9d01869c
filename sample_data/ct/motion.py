"""How organs lie in one phase, against the venous one: a shift with breathing and a gentle warp."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sample_data.ct.field import Field, Image, draw_field
from sample_data.ct.space import Space, Window

Numbers = NDArray[np.float64]
WARP_MM, WARP_LENGTH_MM, STEP_MM = 1.0, 50.0, 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """From places in one phase to the same tissue's places in the venous phase.

    Attributes:
        shift_mm: (z, y, x) of the organs, without the warp.
        displacement: millimetres along z, y and x, each at the knots of the same lattice; linear between them. It
            fades outside the abdominal cavity: ribs and spine stay.
    """

    shift_mm: tuple[float, float, float]
    displacement: tuple[Field, Field, Field]

    def to_venous(self, place_mm: Numbers) -> Numbers:
        """Where in the venous phase the tissue lies that this phase shows at ``place_mm`` (z, y, x)."""
        return np.asarray(place_mm + np.array([part.at(place_mm) for part in self.displacement]), dtype=np.float64)

    def from_venous(self, place_mm: Numbers) -> Numbers:
        """Where this phase shows the tissue that lies at ``place_mm`` (z, y, x) in the venous phase."""
        place = np.asarray(place_mm, dtype=np.float64)
        for _ in range(12):  # the displacement changes by less than 0.3 mm per mm
            place = place_mm - (self.to_venous(place) - place)
        return place


def draw_motion(
    rng: np.random.Generator, space: Space, build: float, shift_mm: tuple[float, float, float], *, still: bool
) -> Motion:
    """Draw how organs lie.

    Args:
        rng: source of randomness.
        space: the lattice reaches beyond it.
        build: of the patient.
        shift_mm: standard deviations along (z, y, x); nothing shifts beyond 15 mm.
        still: nothing moves.
    """
    span = (np.array(space.shape) - 1) * space.spacing_mm
    low = np.array(space.origin_mm) - STEP_MM
    counts = np.ceil((span + 2 * STEP_MM) / STEP_MM).astype(int) + 1
    z, y, x = (
        (start + STEP_MM * np.arange(count)).reshape(shape)
        for start, count, shape in zip(low, counts, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    shift = np.clip(rng.normal(0, shift_mm), -15, 15)
    warps = [draw_field(rng, low, low + STEP_MM * counts, WARP_LENGTH_MM).sample((z, y, x)) for _ in range(3)]
    outside = np.sqrt((y / (83 * build)) ** 2 + (x / (128 * build)) ** 2)
    moved = np.clip((1.35 - outside) / 0.3, 0, 1) * np.ones_like(z)
    if still:
        shift, warps = np.zeros(3), [np.zeros_like(warp) for warp in warps]
    parts = [
        Field((moved * (part + WARP_MM * warp)).astype(np.float32), (low[0], low[1], low[2]), (STEP_MM,) * 3)
        for part, warp in zip(shift, warps, strict=True)
    ]
    return Motion((float(shift[0]), float(shift[1]), float(shift[2])), (parts[0], parts[1], parts[2]))


def moving(space: Space, build: float) -> Window:
    """Voxels that may move: the cavity and what of its wall follows."""
    window = space.window((-1e6, -120 * build, -182 * build), (1e6, 116 * build, 182 * build))
    return window or space.whole


def sources(motion: Motion, space: Space, window: Window) -> Image:
    """Give (3, ...): where on the venous grid, in voxels (k, j, i), each voxel of a window has its value from."""
    axes = space.axes(window)
    found = np.empty((3, *(part.stop - part.start for part in window)), np.float32)
    for axis, (field, part, step) in enumerate(zip(motion.displacement, window, space.spacing_mm, strict=True)):
        shape = [1, 1, 1]
        shape[axis] = -1
        index = np.arange(part.start, part.stop, dtype=np.float32).reshape(shape)
        found[axis] = field.sample(axes, order="linear") / np.float32(step) + index
    return found


def carry(values: Image, source: Image, window: Window, *, beyond: float | None = None) -> Image:
    """Take values that lie in a window of the venous grid to another phase.

    Args:
        values: of the window.
        source: from ``sources``, of the same window.
        window: where both lie.
        beyond: value outside the window; None repeats the edge.
    """
    corner = np.array([part.start for part in window], np.float32).reshape(3, 1, 1, 1)
    mode = "nearest" if beyond is None else "constant"
    at = source - corner if corner.any() else source
    moved = np.empty(source.shape[1:], np.float32)
    ndimage.map_coordinates(values, at, output=moved, order=1, mode=mode, cval=beyond or 0.0)
    return moved
