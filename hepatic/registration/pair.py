"""Two pictures on one coarse grid about the organ that matters: what a registration works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from skimage.metrics import normalized_mutual_information

from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.registration.displacement import Displacement
from hepatic.registration.sitk_image import resampled, to_sitk

STEP_MM = 3.0
"""Edge of a voxel. Liver motion is smooth over centimetres; finer grids cost time and gain tenths of a millimetre."""
WINDOW_HU = (-150.0, 250.0)
MARGIN_MM = 30.0
FEWEST = 24
"""Steps along each axis at least, so that coarse levels of a registration still have a few cells."""
_BINS = 48


@dataclass(frozen=True, eq=False)
class Pair:
    """The fixed and the moving picture on one grid of cubic voxels, as wide as the region asked for and a margin.

    Attributes:
        fixed, moving: (K, J, I) float32, HU clipped to a soft-tissue window; edges repeat where nothing was scanned.
        region: (K, J, I) bool, where the registration must be good.
        grid: of all three, its axes those of the fixed picture.
        whole: the same steps over the whole fixed picture.
    """

    fixed: NDArray[np.float32]
    moving: NDArray[np.float32]
    region: NDArray[np.bool_]
    grid: Grid
    whole: Grid

    def widened(self, vectors_mm: NDArray[np.float32]) -> Displacement:
        """Continue vectors (K, J, I, 3) beyond this grid as they are at its edge, over the whole fixed picture."""
        first = np.linalg.inv(self.grid.affine) @ [*self.whole.origin, 1.0]
        before = np.maximum(np.rint(-first[:3]).astype(int), 0)
        after = np.maximum(np.array(self.whole.size) - before - np.array(self.grid.size), 0)
        widths = [(int(a), int(b)) for a, b in zip(before[::-1], after[::-1], strict=True)]
        padded = np.pad(vectors_mm, [*widths, (0, 0)], mode="edge")
        affine = self.grid.affine.copy()
        affine[:3, 3] -= affine[:3, :3] @ before
        size = padded.shape[2], padded.shape[1], padded.shape[0]
        return Displacement(np.ascontiguousarray(padded, np.float32), Grid(size, affine))

    def likeness(self, displacement: Displacement | None = None) -> float:
        """Return the normalised mutual information of both pictures in the region, 1 (none) to 2 (the same).

        Args:
            displacement: along which the moving picture is carried first.
        """
        moving = self.moving
        if displacement is not None:
            image = to_sitk(self.moving, self.grid)
            moving = sitk.GetArrayFromImage(resampled(image, self.grid, transform=displacement.transform))
        return float(normalized_mutual_information(self.fixed[self.region], moving[self.region], bins=_BINS))


def pair_of(fixed: Volume, moving: Volume, region: NDArray[np.bool_]) -> Pair:
    """Bring two volumes onto one coarse grid about a region.

    Args:
        fixed, moving: in one frame of reference; HU.
        region: (K, J, I) bool on the fixed grid, not empty.
    """
    found = [np.flatnonzero(region.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]  # i, j, k
    steps = np.array(fixed.grid.spacing)
    low = np.maximum([axis[0] for axis in found] - MARGIN_MM / steps, 0)
    high = np.minimum([axis[-1] for axis in found] + MARGIN_MM / steps, np.array(fixed.grid.size) - 1)
    whole = _grid(fixed.grid, np.zeros(3), np.array(fixed.grid.size) - 1.0)
    first = np.floor(low * steps / STEP_MM) * STEP_MM / steps  # on the steps of the whole grid
    grid = _grid(fixed.grid, first, high)
    outlines = resampled(to_sitk(region.astype(np.float32), fixed.grid), grid, beyond=0.0)
    return Pair(
        fixed=_picture(fixed, grid),
        moving=_picture(moving, grid),
        region=_grown(sitk.GetArrayFromImage(outlines) >= 0.5),
        grid=grid,
        whole=whole,
    )


def _grid(fixed: Grid, first: NDArray[np.float64], last: NDArray[np.float64]) -> Grid:
    """Cubic steps from one continuous index (i, j, k) to another or a little beyond."""
    spans = (last - first) * np.array(fixed.spacing)
    size = np.maximum(np.ceil(spans / STEP_MM).astype(int) + 1, FEWEST)
    affine = np.eye(4)
    affine[:3, :3] = fixed.direction * STEP_MM
    affine[:3, 3] = (fixed.affine @ [*first, 1.0])[:3]
    return Grid((int(size[0]), int(size[1]), int(size[2])), affine)


def _picture(volume: Volume, grid: Grid) -> NDArray[np.float32]:
    image = to_sitk(np.clip(volume.array, *WINDOW_HU).astype(np.float32), volume.grid)
    return np.asarray(sitk.GetArrayFromImage(resampled(image, grid)))


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take in 9 mm round the organ: its edge says most about where it lies."""
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(region.astype(np.uint8)), [3, 3, 3])
    return np.asarray(sitk.GetArrayFromImage(grown)).astype(bool)
