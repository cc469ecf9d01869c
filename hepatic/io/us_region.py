"""The regions of an ultrasound picture: where on the screen there is an image, and its scale (PS3.3, C.8.5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
