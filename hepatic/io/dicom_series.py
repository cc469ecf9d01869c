"""A series of single-frame DICOM files as one volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.dicom import DicomHeader, decode
from hepatic.io.dicom_element import numbers, text
from hepatic.io.dicom_grid import itk_grid, orientation
from hepatic.io.dicom_rescale import rescale
from hepatic.io.image import Volume
from hepatic.io.size import check_size

_STEP_TOLERANCE = 0.02  # of the median step: positions are written with few digits
_STEP_TOLERANCE_MM = 0.05
_DRIFT_PIXELS = 0.5


def sorted_series(headers: Sequence[DicomHeader]) -> tuple[list[DicomHeader], Grid]:
    """Sort the slices of one series along their normal, lowest first as ITK does, and return their grid.

    The grid is ITK's for that order: the first slice's origin and axes, and the mean distance between slices.

    Raises:
        BadInputError: several series, several frames in a file, slices of different size, spacing or orientation, no
            position, two slices in one place, unequal steps (a missing slice), or slices that slide sideways along the
            stack (gantry tilt): no regular grid describes these.
    """
    first = headers[0]
    name = f"series of {len(headers)} files"

    def refuse(expected: str, came: str, fix: str) -> BadInputError:
        return BadInputError(name, expected=expected, came=came, fix=fix)

    if len({text(h.dataset, "SeriesInstanceUID") for h in headers}) > 1:
        raise refuse("files of one series", "several SeriesInstanceUIDs", "Give each series its own folder.")
    if any(h.kind != "volume" or h.size[2] > 1 for h in headers):
        raise refuse("one slice per file", "a cine or several frames in a file", "Read such files one at a time.")
    if len({h.size for h in headers}) > 1 or not _all_close(headers, "PixelSpacing"):
        raise refuse("slices of one size and spacing", "different ones", "Leave out localisers and reformats.")
    axes = orientation(first.dataset)
    places = [numbers(h.dataset, "ImagePositionPatient", 3) for h in headers]
    if axes is None or None in places:
        raise refuse(
            "ImagePositionPatient and ImageOrientationPatient in each file", "files without them", "Export them again."
        )
    if not _all_close(headers, "ImageOrientationPatient"):
        raise refuse("parallel slices", "different orientations", "Leave out localisers and reformats.")
    positions = np.array(places, dtype=np.float64)
    order = np.argsort(positions @ axes[:, 2], kind="stable")
    positions, slices = positions[order], [headers[i] for i in order]
    _check_steps(positions, axes, min(itk_grid(first.dataset, first.size).spacing[:2]), refuse)
    return slices, _stacked(slices, positions)


def read_series(headers: Sequence[DicomHeader], *, max_pixels: int | None = None) -> Volume:
    """Decode a series of single-frame files, rescaled slice by slice (HU for CT).

    Raises:
        BadInputError: as ``sorted_series`` and ``decode``, or too many pixels in all.
    """
    slices, grid = sorted_series(headers)
    check_size(f"series of {len(headers)} files", grid.size, max_pixels=max_pixels)
    planes = [rescale(decode(header, max_pixels=max_pixels)[0], header.dataset) for header in slices]
    return Volume(np.stack(planes), grid, slices[0].modality)


def _check_steps(
    positions: NDArray[np.float64],
    axes: NDArray[np.float64],
    pixel_mm: float,
    refuse: Callable[[str, str, str], BadInputError],
) -> None:
    """Check sorted positions (n, 3) for duplicates, gaps and a sideways slide."""
    if len(positions) < 2:
        return
    steps = np.diff(positions @ axes[:, 2])
    median = float(np.median(steps))
    if steps.min() < 1e-3:
        raise refuse("one slice in each place", "two slices in the same place", "Separate the phases or repetitions.")
    if np.abs(steps - median).max() > max(_STEP_TOLERANCE * median, _STEP_TOLERANCE_MM):
        missing = steps.max() > 1.5 * median
        came = f"steps between {steps.min():.3f} and {steps.max():.3f} mm" + (", a slice is missing" if missing else "")
        raise refuse("equal steps between slices", came, "Export the whole series, or resample it to equal steps.")
    slide = positions[-1] - positions[0]
    slide = slide - axes[:, 2] * (slide @ axes[:, 2])
    if np.linalg.norm(slide) > _DRIFT_PIXELS * pixel_mm:
        came = f"slices that slide sideways by {np.linalg.norm(slide):.2f} mm over the stack (gantry tilt)"
        raise refuse("slices stacked along their normal", came, "Resample the series without tilt.")


def _all_close(headers: Sequence[DicomHeader], keyword: str) -> bool:
    expected = numbers(headers[0].dataset, keyword)
    for header in headers[1:]:
        found = numbers(header.dataset, keyword)
        if (found is None) != (expected is None):
            return False
        if found is None or expected is None:
            continue
        if len(found) != len(expected) or not np.allclose(found, expected, rtol=0, atol=1e-3):
            return False
    return True


def _stacked(slices: Sequence[DicomHeader], positions: NDArray[np.float64]) -> Grid:
    flat = itk_grid(slices[0].dataset, slices[0].size)
    affine = flat.affine.copy()
    if len(slices) > 1:
        step = float(np.linalg.norm(positions[-1] - positions[0])) / (len(slices) - 1)
        affine[:3, 2] = flat.direction[:, 2] * step
    return Grid((flat.size[0], flat.size[1], len(slices)), affine)
