"""The pixel grid of an image: its size and where it lies in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of pixels, as the viewers' own reader (ITK) sees it.

    Attributes:
        size: number of pixels along (i, j, k): columns, rows, slices or frames.
        affine: 4 x 4, float64, maps an index (i, j, k, 1) to LPS millimetres.
    """

    size: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a numpy array on this grid, (k, j, i)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Length of one step along (i, j, k): millimetres, except along the frames of a cine."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def origin(self) -> tuple[float, float, float]:
        """LPS millimetres of pixel (0, 0, 0)."""
        x, y, z = self.affine[:3, 3]
        return float(x), float(y), float(z)

    @property
    def direction(self) -> NDArray[np.float64]:
        """3 x 3 direction cosines (LPS), one column per index axis."""
        return np.asarray(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    def matches(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have the same size and their corners coincide within the tolerance."""
        if self.size != other.size:
            return False
        corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.maximum(np.array(self.size) - 1, 1)
        return bool(np.abs(corners @ (self.affine - other.affine).T).max() <= tolerance_mm)


def grid_from_parts(
    size: tuple[int, ...], spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...]
) -> Grid:
    """Build a grid from ITK's parts (size, spacing, origin, row-major direction), 2D padded to 3D."""
    n = len(size)
    axes = np.eye(3)
    axes[:n, :n] = np.asarray(direction, dtype=np.float64).reshape(n, n)
    affine = np.eye(4)
    affine[:3, :3] = axes @ np.diag([*spacing, 1.0, 1.0][:3])
    affine[:n, 3] = origin
    i, j, k = (*size, 1, 1)[:3]
    return Grid((int(i), int(j), int(k)), affine)
