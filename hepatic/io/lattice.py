"""Move a labelmap from one grid onto another."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.geometry import Grid

_TOLERANCE = 1e-2  # of a pixel, at the far corner


def onto_grid(
    array: NDArray[np.unsignedinteger], source: Grid, target: Grid, *, name: str, exactly: bool = False
) -> NDArray[np.unsignedinteger]:
    """Return labels on another grid, nearest neighbour, 0 outside.

    Where the axes align (permuted or flipped too) and pixels coincide, pixels are copied, exactly.

    Args:
        array: shape (k, j, i) on ``source``.
        source: index to LPS millimetres.
        target: the grid wanted.
        name: what an error calls the labelmap.
        exactly: refuse what would have to be resampled.

    Raises:
        BadInputError: the grids do not overlap, or pixels would have to be resampled along axes that are sheared.
    """
    if source.matches(target):
        return array
    to_source = np.linalg.inv(source.affine) @ target.affine
    corners = np.array([[i, j, k, 1.0] for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    corners[:, :3] = np.where(corners[:, :3] < 0, -0.5, np.array(target.size) - 0.5)
    reach = (corners @ to_source.T)[:, :3]
    low, high = -0.5 + _TOLERANCE, np.array(source.size) - 0.5 - _TOLERANCE
    if (reach.max(axis=0) < low).any() or (reach.min(axis=0) > high).any():
        raise BadInputError(
            name,
            expected="labels that overlap their image",
            came="labels that lie elsewhere in the patient",
            fix="Check that the label was drawn on this image.",
        )
    copied = _copied(array, to_source, target)
    if copied is None and exactly:
        raise BadInputError(
            name,
            expected="labels on the pixels of their image",
            came="labels on another grid",
            fix="Resample them onto the image, and save them again.",
        )
    return _resampled(array, source, target, name) if copied is None else copied


def _copied(
    array: NDArray[np.unsignedinteger], to_source: NDArray[np.float64], target: Grid
) -> NDArray[np.unsignedinteger] | None:
    """Copy pixels where each target axis runs along one source axis with a step of one pixel; None elsewhere."""
    steps, start = np.rint(to_source[:3, :3]).astype(int), np.rint(to_source[:3, 3]).astype(int)
    off = np.abs(to_source[:3, :3] - steps) @ np.array(target.size) + np.abs(to_source[:3, 3] - start)
    if off.max() > _TOLERANCE or not np.array_equal(np.abs(steps).sum(axis=0), [1, 1, 1]):
        return None
    if not np.array_equal(np.abs(steps).sum(axis=1), [1, 1, 1]):
        return None
    result = np.zeros(target.shape, array.dtype)
    source_axes = np.abs(steps).argmax(axis=0)  # source axis of each target axis
    turned = array.transpose([2 - source_axes[2 - n] for n in range(3)])
    into: list[slice] = []
    out_of: list[slice] = []
    for n in range(3):  # numpy axes: k, j, i
        axis = 2 - n
        along = source_axes[axis]
        sign, first, length = int(steps[along, axis]), int(start[along]), turned.shape[n]
        indices = first + sign * np.arange(target.size[axis])
        inside = np.flatnonzero((indices >= 0) & (indices < length))
        if inside.size == 0:
            return result
        into.append(slice(int(inside[0]), int(inside[-1]) + 1))
        low, high = sorted((int(indices[inside[0]]), int(indices[inside[-1]])))
        if sign > 0:
            out_of.append(slice(low, high + 1))
        else:
            out_of.append(slice(high, low - 1 if low else None, -1))
    result[tuple(into)] = turned[tuple(out_of)]
    return result


def _resampled(
    array: NDArray[np.unsignedinteger], source: Grid, target: Grid, name: str
) -> NDArray[np.unsignedinteger]:
    for grid in (source, target):
        if np.abs(grid.direction.T @ grid.direction - np.eye(3)).max() > 1e-3:
            raise BadInputError(
                name, expected="orthogonal axes", came="sheared axes", fix="Save the label on its image's own grid."
            )
    moving = SimpleITK.GetImageFromArray(array)
    _place(moving, source)
    reference = SimpleITK.Image([*target.size], SimpleITK.sitkUInt8)
    _place(reference, target)
    moved = SimpleITK.Resample(
        moving, reference, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0, moving.GetPixelID()
    )
    result: NDArray[Any] = SimpleITK.GetArrayFromImage(moved)
    return result


def _place(image: Any, grid: Grid) -> None:
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(tuple(float(value) for value in grid.direction.ravel()))
