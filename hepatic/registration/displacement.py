"""Where in one picture the tissue lies that another shows at a place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from hepatic.geometry import Grid
from hepatic.registration.sitk_image import to_sitk


@dataclass(frozen=True, eq=False)
class Displacement:
    """Vectors from places in the fixed picture to the same tissue in the moving one; linear between them.

    Beyond the grid nothing moves, so a registration makes its grid as large as the fixed picture.

    Attributes:
        vectors_mm: (K, J, I, 3) float32, (x, y, z) in LPS millimetres.
        grid: where they stand; usually coarser than the picture's.
    """

    vectors_mm: NDArray[np.float32]
    grid: Grid

    @property
    def transform(self) -> sitk.Transform:
        """As SimpleITK has it: fixed point to moving point, LPS millimetres."""
        return sitk.DisplacementFieldTransform(to_sitk(self.vectors_mm.astype(np.float64), self.grid))

    def at(self, places_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry places (N, 3), LPS millimetres, from the fixed picture to the moving one."""
        transform = self.transform
        return np.array([transform.TransformPoint(place) for place in np.asarray(places_mm, np.float64).tolist()])

    @property
    def largest_mm(self) -> float:
        """Length of the longest vector."""
        return float(np.linalg.norm(self.vectors_mm, axis=-1).max())

    @property
    def folded(self) -> float:
        """Share of places where the map turns inside out: the determinant of its Jacobian is not positive."""
        image = to_sitk(self.vectors_mm.astype(np.float32), self.grid)
        determinant = sitk.DisplacementFieldJacobianDeterminant(image)
        return float((sitk.GetArrayFromImage(determinant) <= 0).mean())
