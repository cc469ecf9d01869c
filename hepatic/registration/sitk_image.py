"""Between arrays on our grids and SimpleITK's images."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from hepatic.geometry import Grid, grid_from_parts


def to_sitk(array: NDArray[np.generic], grid: Grid) -> sitk.Image:
    """Return an image: (K, J, I) of numbers, or (K, J, I, 3) of vectors, on a grid in LPS millimetres."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(tuple(float(cosine) for cosine in grid.direction.ravel()))
    return image


def grid_of(image: sitk.Image) -> Grid:
    """Return the grid of a SimpleITK image."""
    return grid_from_parts(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def resampled(
    image: sitk.Image,
    grid: Grid,
    *,
    transform: sitk.Transform | None = None,
    beyond: float | None = None,
) -> sitk.Image:
    """Resample an image linearly onto a grid.

    Args:
        image: what lies somewhere.
        grid: where it is wanted.
        transform: from places on the grid to places in the image; None leaves them as they are.
        beyond: value where the image does not reach; None repeats its edge.
    """
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size)
    resampler.SetOutputSpacing(grid.spacing)
    resampler.SetOutputOrigin(grid.origin)
    resampler.SetOutputDirection(tuple(float(cosine) for cosine in grid.direction.ravel()))
    if transform is not None:
        resampler.SetTransform(transform)
    if beyond is None:
        resampler.SetUseNearestNeighborExtrapolator(True)
    else:
        resampler.SetDefaultPixelValue(beyond)
    return resampler.Execute(image)
