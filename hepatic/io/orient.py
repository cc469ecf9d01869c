"""Turn a volume so that its axes run along the patient's: columns to the left, rows to the back, slices to the head."""

from __future__ import annotations

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from hepatic.geometry import Grid
from hepatic.io.image import Volume

Turn = tuple[tuple[int, int, int], tuple[bool, bool, bool]]
"""For each of the new axes (i, j, k): the old axis it was, and whether it runs the other way."""


def turn_of(grid: Grid) -> Turn:
    """Return how a grid's axes must be exchanged and reversed to run along +x, +y, +z (LPS) as nearly as they can."""
    # nibabel works in whichever frame the affine does: here the positive ends are left, back and head
    found = io_orientation(grid.affine)
    order, reverse = [0, 0, 0], [False, False, False]
    for old, (new, sign) in enumerate(found):
        order[int(new)], reverse[int(new)] = old, bool(sign < 0)
    return (order[0], order[1], order[2]), (reverse[0], reverse[1], reverse[2])


def upright(volume: Volume) -> Volume:
    """Return the same picture with its axes along the patient's; no voxel changes, its array is a view."""
    turn = turn_of(volume.grid)
    return Volume(turned(volume.array, turn), upright_grid(volume.grid), volume.modality)


def upright_grid(grid: Grid) -> Grid:
    """Return the grid of ``upright``."""
    order, reverse = turn_of(grid)
    size = tuple(grid.size[old] for old in order)
    index = np.zeros((4, 4))  # of the turned grid to that of the given one
    index[3, 3] = 1.0
    for new, (old, back) in enumerate(zip(order, reverse, strict=True)):
        index[old, new] = -1.0 if back else 1.0
        index[old, 3] = grid.size[old] - 1 if back else 0
    return Grid((size[0], size[1], size[2]), grid.affine @ index)


def turned(array: NDArray[np.generic], turn: Turn) -> NDArray[np.generic]:
    """Turn an array (K, J, I) of a grid to its upright one."""
    order, reverse = turn
    moved = array.transpose([2 - old for old in order[::-1]])
    return moved[tuple(slice(None, None, -1 if back else 1) for back in reverse[::-1])]


def turned_back(array: NDArray[np.generic], turn: Turn) -> NDArray[np.generic]:
    """Undo ``turned``."""
    order, reverse = turn
    straight = array[tuple(slice(None, None, -1 if back else 1) for back in reverse[::-1])]
    return straight.transpose(np.argsort([2 - old for old in order[::-1]]))
