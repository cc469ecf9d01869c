"""Masks of data sets as labelmaps on the grids of their images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatic.boxes import Boxes, from_voxels
from hepatic.engine.label_boxes import is_anatomy, parts
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import TUMOUR, VALUES
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap


def by_voxel(path: Path, names: Mapping[int, str]) -> Callable[[Grid], Labelmap]:
    """Return ``Case.label`` for a mask that has a value for each voxel of its image, in the image's order.

    So LiTS, the Decathlon and nnU-Net define theirs. Some masks of LiTS have another header than their image: where
    both are of one size, the voxels count.

    Args:
        path: the mask.
        names: structure by value; values left out are background.
    """

    def read(grid: Grid) -> Labelmap:
        mask = read_labelmap(path)
        if mask.grid.size != grid.size:
            raise BadInputError(
                path.name,
                expected=f"a mask of the image's size, {_words(grid)}",
                came=_words(mask.grid),
                fix="Check that mask and image belong together.",
            )
        return _numbered(mask.array, grid, names)

    return read


def in_space(masks: Sequence[tuple[Path, str]]) -> Callable[[Grid], Labelmap]:
    """Return ``Case.label`` for masks of one structure each that lie where their headers say; later ones on top."""

    def read(grid: Grid) -> Labelmap:
        array = np.zeros(grid.shape, np.uint8)
        for path, name in masks:
            array[read_labelmap(path, like=grid).array > 0] = VALUES[name]
        return Labelmap(array, grid, {name: VALUES[name] for _, name in masks})

    return read


def each_boxed(masks: Sequence[Path]) -> Callable[[Grid], Boxes]:
    """Return ``Case.boxes`` for masks of one lesion each: lesions that touch keep a box of their own."""

    def read(grid: Grid) -> Boxes:
        found = [boxes_of(in_space([(path, TUMOUR)])(grid)) for path in masks]
        around = [np.concatenate([box[:, :3].min(axis=0), box[:, 3:].max(axis=0)]) for box in found if len(box)]
        return np.array(around, np.float64).reshape(-1, 6)

    return read


def boxes_of(labelmap: Labelmap) -> Boxes:
    """Return a box around each lesion: the connected parts of structures that are no anatomy, corners included.

    Detectors are trained on the same ones (``hepatic.engine.label_boxes``).

    Returns:
        (N, 6), LPS millimetres.
    """
    values = sorted(value for name, value in labelmap.names.items() if not is_anatomy(name))
    corners = [corner for value in values for corner in parts(labelmap.array == value)]
    return from_voxels(np.array(corners, np.float64).reshape(-1, 6), labelmap.grid)


def _numbered(array: NDArray[np.unsignedinteger], grid: Grid, names: Mapping[int, str]) -> Labelmap:
    """Return a labelmap with the values of ``VALUES``; structures it does not have get the next ones."""
    numbers = dict(VALUES)
    for name in names.values():
        numbers.setdefault(name, max(numbers.values()) + 1)
    table = np.zeros(max(int(array.max(initial=0)), *names, 0) + 1, np.uint8)
    for value, name in names.items():
        table[value] = numbers[name]
    return Labelmap(table[array], grid, {name: numbers[name] for name in dict.fromkeys(names.values())})


def _words(grid: Grid) -> str:
    return " x ".join(map(str, grid.size))
