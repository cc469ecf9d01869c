"""Stored values to quantities: RescaleSlope and RescaleIntercept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hepatic.io.dicom_element import items, numbers

Line = tuple[float, float]


def rescale(array: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Apply slope and intercept: unchanged where there are none, int16 where all is whole and fits, float32 otherwise.

    An enhanced multi-frame file says them once for all frames, or for each (PixelValueTransformationSequence).

    Args:
        array: shape (F, H, W), or (H, W) for the one frame of a file.
        dataset: its header.
    """
    frames = array.shape[0] if array.ndim == 3 else 1
    lines = [line for line in _per_frame(dataset) if line is not None]
    if len(lines) == frames and len(set(lines)) > 1:
        return np.stack([_apply(frame, line) for frame, line in zip(array, lines, strict=True)])
    shared = [_line(item) for group in items(dataset, "SharedFunctionalGroupsSequence") for item in _transforms(group)]
    return _apply(array, next((line for line in (_line(dataset), *shared, *lines) if line is not None), (1.0, 0.0)))


def _apply(array: NDArray[Any], line: Line) -> NDArray[Any]:
    slope, intercept = line
    if line == (1.0, 0.0):
        return array
    if slope.is_integer() and intercept.is_integer() and array.dtype.kind in "iu" and array.size:
        ends = (int(array.min()) * slope + intercept, int(array.max()) * slope + intercept)
        if min(ends) >= -(2**15) and max(ends) < 2**15 and abs(slope) < 2**15 and abs(intercept) < 2**31:
            wide = array.astype(np.int32 if array.itemsize < 4 else np.int64)
            return (wide * int(slope) + int(intercept)).astype(np.int16)
    with np.errstate(over="ignore"):
        return (array.astype(np.float64) * slope + intercept).astype(np.float32)


def _per_frame(dataset: Dataset) -> list[Line | None]:
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    return [_line(item) for group in groups for item in _transforms(group)]


def _transforms(group: Dataset) -> tuple[Dataset, ...]:
    return items(group, "PixelValueTransformationSequence")[:1]


def _line(dataset: Dataset) -> Line | None:
    slope, intercept = numbers(dataset, "RescaleSlope", 1), numbers(dataset, "RescaleIntercept", 1)
    if slope is None and intercept is None:
        return None
    return (slope or (1.0,))[0], (intercept or (0.0,))[0]
