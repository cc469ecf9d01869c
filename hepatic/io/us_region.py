"""The regions of an ultrasound picture: where on the screen there is an image, and its scale (PS3.3, C.8.5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom.dataset import Dataset

from hepatic.io.dicom_element import items, numbers, whole

Content = Literal["tissue", "colour flow", "other"]

_TWO_DIMENSIONAL = 1  # RegionSpatialFormat: 2D
_CENTIMETRES = 3  # PhysicalUnitsXDirection, PhysicalUnitsYDirection
_CONTENT: dict[int, Content] = {1: "tissue", 2: "colour flow"}  # RegionDataType


@dataclass(frozen=True)
class Region:
    """A rectangle of a picture that holds a two-dimensional ultrasound image.

    Attributes:
        box: (top, left, bottom, right) in pixels, one past the last row and column; within the picture.
        spacing_mm: (row, column) millimetres; None where it is not calibrated in centimetres or is stale.
        content: what the file says it shows; contrast pictures are called tissue, too.
        is_stale: it reaches beyond the picture, left over from before a crop or a resize: neither its scale nor its
            place is to be believed.
    """

    box: tuple[int, int, int, int]
    spacing_mm: tuple[float, float] | None
    content: Content = "tissue"
    is_stale: bool = False

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns: ``frames[:, *region.window]``."""
        top, left, bottom, right = self.box
        return slice(top, bottom), slice(left, right)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, how many."""
        top, left, bottom, right = self.box
        return bottom - top, right - left


def carried(boxes: ArrayLike, to: Region, beside: Region | None) -> NDArray[np.float64]:
    """Bring boxes into one of two images that show the same plane side by side, contrast and B-mode.

    Images of two scales are laid over each other by the middle of their upper edge, where the probe is. Of one scale,
    and of one size, they differ by their place; fans that were found by what is lit differ in size, too, and lie at the
    same height with their middles on each other.

    Args:
        boxes: (N, 4), top, left, bottom, right in pixels of the whole picture.
        to: where they are wanted.
        beside: the other image; None where there is none.

    Returns:
        (N, 4) likewise: boxes whose middle lies on the image beside, at the same place of this one and no further than
        its edges, so that one beyond them has no extent; the others as they are.
    """
    drawn: NDArray[np.float64] = np.asarray(boxes, np.float64).reshape(-1, 4)
    if beside is None:
        return drawn
    middle = (drawn[:, :2] + drawn[:, 2:]) / 2
    is_beside = np.all((middle >= beside.box[:2]) & (middle < beside.box[2:]), axis=1, keepdims=True)
    scale, shift = laid_over(to, beside)
    moved = (drawn * np.tile(scale, 2) + np.tile(shift, 2)).clip(to.box[:2] * 2, to.box[2:] * 2)
    return np.where(is_beside, moved, drawn)


def laid_over(to: Region, beside: Region) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return factors and shifts, rows and columns in pixels of the whole picture, that ``carried`` brings boxes by."""
    low, high = np.array([beside.box[:2], to.box[:2]]), np.array([beside.box[2:], to.box[2:]])
    middles = (low + high) / 2
    if to.spacing_mm is not None and beside.spacing_mm is not None:
        scale: NDArray[np.float64] = np.divide(beside.spacing_mm, to.spacing_mm)
        if not np.allclose(scale, 1, rtol=0.02):
            faces = np.stack([low[:, 0], middles[:, 1]], axis=1)
            return scale, faces[1] - scale * faces[0]
    if to.size == beside.size:
        return np.ones(2), (low[1] - low[0]).astype(np.float64)
    overlap = low.max(axis=0) < high.min(axis=0)
    return np.ones(2), np.where(overlap, 0.0, middles[1] - middles[0])


def regions_of(dataset: Dataset, size: tuple[int, int, int]) -> tuple[Region, ...]:
    """Return the two-dimensional regions of a file, from left to right; stale ones are clipped to the picture.

    M-mode, spectra and graphics are none, nor is a region without borders or wholly outside of the picture.

    Args:
        dataset: the header.
        size: columns, rows, frames.
    """
    found = [region_of(item, size) for item in items(dataset, "SequenceOfUltrasoundRegions")]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.box[1], one.box[0])))


def region_of(item: Dataset, size: tuple[int, int, int]) -> Region | None:
    """Return one item of SequenceOfUltrasoundRegions; None as ``regions_of`` says."""
    if whole(item, "RegionSpatialFormat") != _TWO_DIMENSIONAL:
        return None
    left, top = whole(item, "RegionLocationMinX0"), whole(item, "RegionLocationMinY0")
    last_x, last_y = whole(item, "RegionLocationMaxX1"), whole(item, "RegionLocationMaxY1")
    if left is None or top is None or last_x is None or last_y is None or last_x <= left or last_y <= top:
        return None
    columns, rows, _ = size
    is_stale = left < 0 or top < 0 or last_x > columns or last_y > rows  # some count one too many; that is no harm
    box = (max(top, 0), max(left, 0), min(last_y + 1, rows), min(last_x + 1, columns))
    if box[0] >= box[2] or box[1] >= box[3]:
        return None
    spacing = None if is_stale else _spacing_mm(item)
    return Region(box, spacing, _CONTENT.get(whole(item, "RegionDataType") or 0, "other"), is_stale)


def is_length(item: Dataset) -> bool:
    """Whether both axes of a two-dimensional region are lengths, in centimetres."""
    units = {whole(item, "PhysicalUnitsXDirection"), whole(item, "PhysicalUnitsYDirection")}
    return whole(item, "RegionSpatialFormat") == _TWO_DIMENSIONAL and units == {_CENTIMETRES}


def _spacing_mm(item: Dataset) -> tuple[float, float] | None:
    if not is_length(item):
        return None
    x, y = numbers(item, "PhysicalDeltaX", 1), numbers(item, "PhysicalDeltaY", 1)
    if x is None or y is None or x[0] == 0 or y[0] == 0:
        return None
    return abs(y[0]) * 10, abs(x[0]) * 10
