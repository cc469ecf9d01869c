"""Outlines drawn on pictures, as labelmaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from hepatic.engine.label_boxes import is_anatomy
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import VALUES
from hepatic.io.image import Labelmap

Points = NDArray[np.float64]


def points_of(name: str, value: object) -> Points:
    """Return (N, 2) x and y in pixels.

    Raises:
        BadInputError: not a list of three or more finite pairs of numbers.
    """
    try:
        points = np.array(value, np.float64)
    except (TypeError, ValueError):
        points = np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise BadInputError(
            name, expected="an outline: three or more points (x, y)", came="something else", fix="Draw it again."
        )
    return points


def filled(name: str, outlines: Iterable[tuple[str, Points]], grid: Grid, *, names: Sequence[str] = ()) -> Labelmap:
    """Return a labelmap of one slice with outlines filled, lesions on top of anatomy.

    Args:
        name: what errors call it.
        outlines: structure and outline, in pixels.
        grid: of the picture.
        names: structures that the labelmap names also where nothing is outlined.

    Raises:
        BadInputError: the picture has several frames.
    """
    if grid.size[2] != 1:
        raise BadInputError(name, expected="a still", came=f"{grid.size[2]} frames", fix="Label each frame by itself.")
    listed = sorted(outlines, key=lambda one: not is_anatomy(one[0]))
    numbers = dict(VALUES)
    array = np.zeros(grid.shape, np.uint8)
    for structure, points in listed:
        value = numbers.setdefault(structure, max(numbers.values()) + 1)
        array[0][polygon2mask(array.shape[1:], points[:, ::-1])] = value
    used = dict.fromkeys([*names, *(structure for structure, _ in listed)])
    return Labelmap(array, grid, {structure: numbers[structure] for structure in used})
