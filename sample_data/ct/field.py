"""Smooth random fields in space, drawn once and sampled on any grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.floating[Any]]
Axes = Sequence[NDArray[np.floating]]
Place = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Field:
    """Values at the knots of a lattice, (n, m, l), along (z, y, x).

    Attributes:
        knots: values.
        origin_mm: (z, y, x) of the first knot.
        step_mm: between knots along (z, y, x).
    """

    knots: Image
    origin_mm: Place
    step_mm: Place

    def sample(self, axes: Axes, *, order: Literal["linear", "cubic"] = "cubic") -> Image:
        """Interpolate on the grid that three axes span.

        Args:
            axes: millimetres along z, y and x; any shapes, taken flat.
            order: cubic convolution, or linear as ITK does; beyond the lattice its edge is repeated.

        Returns:
            (len(z), len(y), len(x)) float32.
        """
        z, y, x = (
            _weights((np.ravel(along) - origin) / step, count, order)
            for along, origin, step, count in zip(axes, self.origin_mm, self.step_mm, self.knots.shape, strict=True)
        )
        planes = y @ (self.knots @ x.T)
        whole = z @ planes.reshape(len(planes), -1)
        return np.asarray(whole.reshape(len(z), len(y), len(x)), dtype=np.float32)

    def at(self, point_mm: NDArray[np.floating]) -> float:
        """Interpolate linearly at one point (z, y, x)."""
        place = (np.asarray(point_mm) - self.origin_mm) / self.step_mm
        place = np.clip(place, 0, np.array(self.knots.shape) - 1.000001)
        (k, j, i), parts = np.floor(place).astype(int), place % 1
        corners = self.knots[k : k + 2, j : j + 2, i : i + 2].astype(np.float64)
        for part in parts:
            corners = corners[0] * (1 - part) + corners[1] * part
        return float(corners)


def draw_field(rng: np.random.Generator, low_mm: ArrayLike, high_mm: ArrayLike, length_mm: float) -> Field:
    """Draw a field of mean 0 and about unit variance that varies over ``length_mm``, for a box of space."""
    low, high = np.asarray(low_mm, dtype=np.float64), np.asarray(high_mm, dtype=np.float64)
    counts = np.ceil((high - low) / length_mm).astype(int) + 4
    origin = low - 1.5 * length_mm
    lost = 0.8**1.5  # interpolation takes a fifth of the variance along each axis
    knots = rng.standard_normal(tuple(counts), dtype=np.float32) / np.float32(lost)
    return Field(knots, (origin[0], origin[1], origin[2]), (length_mm,) * 3)


def _weights(at: NDArray[np.floating], count: int, order: Literal["linear", "cubic"]) -> Image:
    x = np.abs(np.clip(at, 0, count - 1)[:, None] - np.arange(count))
    if order == "linear":
        return np.asarray(np.clip(1 - x, 0, None), dtype=np.float32)
    inner = (1.5 * x - 2.5) * x**2 + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x <= 1, inner, np.where(x < 2, outer, 0))
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)
