"""The grid ITK gives a DICOM file.

Viewers built on ITK (3D Slicer) place an image by GDCM's rules, not by DICOM's: ImagerPixelSpacing for a projection,
frame time as the distance between frames, unit spacing for ultrasound. Labels must lie on that grid, so the same rules
are followed here from the header alone; the tests hold them against SimpleITK's reader. Source: GDCM
``gdcmImageHelper.cxx`` with ``ForcePixelSpacing`` and ``SecondaryCaptureImagePlaneModule`` as ITK 5.4 sets them, and
ITK ``itkGDCMImageIO.cxx``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hepatic.geometry import Grid
from hepatic.io.dicom_element import items, numbers, text

_IMAGES = "1.2.840.10008.5.1.4.1.1."
_ULTRASOUND = {_IMAGES + end for end in ("3", "3.1", "6", "6.1")}
_DETECTOR = {
    _IMAGES + end for end in ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "12.1", "12.2", "12.3")
}  # CR, DX, MG, intra-oral, XA, XRF, biplane
_SECONDARY_CAPTURE = _IMAGES + "7"
_FUNCTIONAL_GROUPS = {
    _IMAGES + end
    for end in (
        *("2.1", "2.2", "4.1", "4.3", "4.4", "128.1", "130"),  # enhanced and legacy converted CT, MR, PET
        *("7.1", "7.2", "7.3", "7.4", "13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5", "14.1", "14.2", "66.4"),
    )
}
_NUCLEAR = _IMAGES + "20"


def itk_grid(dataset: Dataset, size: tuple[int, int, int]) -> Grid:
    """Return the grid ITK gives a single DICOM file, index (i, j, k) to LPS millimetres, frames on k.

    What ITK cannot use (a zero or unreadable spacing, an orientation that is not orthonormal) becomes 1 mm, the axes of
    the patient, and the origin (0, 0, 0).

    Args:
        dataset: the header.
        size: columns, rows, frames.
    """
    sop_class = text(dataset, "SOPClassUID") or ""
    if sop_class in _FUNCTIONAL_GROUPS:
        return _enhanced_grid(dataset, size)
    place = dataset
    if sop_class == _NUCLEAR:
        place = next(iter(items(dataset, "DetectorInformationSequence")), dataset)
    origin = np.array(numbers(place, "ImagePositionPatient", 3) or (0.0, 0.0, 0.0))
    return _grid(size, _spacing(dataset, sop_class, size[2]), origin, orientation(place))


def orientation(dataset: Dataset) -> NDArray[np.float64] | None:
    """Return ImageOrientationPatient as orthonormal axes (LPS), one column per index axis (i, j, normal).

    None where it is absent or far from orthonormal (1e-3, GDCM's tolerance, after normalising its length).
    """
    found = numbers(dataset, "ImageOrientationPatient", 6)
    if found is None:
        return None
    cosines = np.array(found).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1, keepdims=True)
    if not _orthonormal(cosines):
        if lengths.min() == 0.0 or not _orthonormal(cosines / lengths):
            return None
        cosines = cosines / lengths
    normal = np.cross(cosines[0], cosines[1])
    normal /= np.linalg.norm(normal)
    row = np.cross(cosines[1], normal)
    row /= np.linalg.norm(row)
    return np.stack([row, np.cross(normal, row), normal], axis=1)


def _orthonormal(cosines: NDArray[np.float64]) -> bool:
    return bool(np.abs(cosines @ cosines.T - np.eye(2)).max() < 1e-3)


def _grid(
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    origin: NDArray[np.float64],
    axes: NDArray[np.float64] | None,
) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if axes is None else axes) @ np.diag(spacing)
    affine[:3, 3] = origin
    return Grid(size, affine)


def _spacing(dataset: Dataset, sop_class: str, frames: int) -> tuple[float, float, float]:
    """Return millimetres along (i, j) and what ITK believes to be millimetres along k."""
    if sop_class in _ULTRASOUND:
        return *_pair(dataset, "PixelSpacing"), 1.0
    keyword = "ImagerPixelSpacing" if sop_class in _DETECTOR else "PixelSpacing"
    if sop_class == _SECONDARY_CAPTURE and "PixelSpacing" not in dataset:
        keyword = "NominalScannedPixelSpacing"
    return *_pair(dataset, keyword), _between(dataset, frames)


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float]:
    found = numbers(dataset, keyword)
    if found is None or len(found) > 2:
        return 1.0, 1.0
    return abs(found[-1]) or 1.0, abs(found[0]) or 1.0  # DICOM says row spacing first, that is the step along j


def _between(dataset: Dataset, frames: int) -> float:
    if "SpacingBetweenSlices" in dataset:
        found = numbers(dataset, "SpacingBetweenSlices", 1)
        return abs(found[0]) or 1.0 if found else 1.0
    try:
        pointer = dataset.get("FrameIncrementPointer")
    except (ValueError, TypeError):
        return 1.0
    if frames > 1 and pointer == 0x00181063:
        found = numbers(dataset, "FrameTime", 1)
        return abs(found[0]) or 1.0 if found else 1.0
    return 1.0


def _enhanced_grid(dataset: Dataset, size: tuple[int, int, int]) -> Grid:
    shared, frames = (
        items(dataset, "SharedFunctionalGroupsSequence"),
        items(dataset, "PerFrameFunctionalGroupsSequence"),
    )
    groups = [*shared[:1], *frames[:1]]
    origin: tuple[float, ...] = (0.0, 0.0, 0.0)
    axes, spacing = None, (1.0, 1.0, 1.0)
    for group in reversed(groups):
        for plane in items(group, "PlanePositionSequence")[:1]:
            origin = numbers(plane, "ImagePositionPatient", 3) or origin
        for plane in items(group, "PlaneOrientationSequence")[:1]:
            axes = orientation(plane)
    if axes is None:
        axes = orientation(dataset)
    for group in reversed(groups):
        for measures in items(group, "PixelMeasuresSequence")[:1]:
            between = _between_frames(frames, np.eye(3) if axes is None else axes)
            if between is None and len(frames) <= 1:
                between = (numbers(measures, "SpacingBetweenSlices", 1) or (1.0,))[0]
            if numbers(measures, "PixelSpacing", 2) is not None and between is not None:
                spacing = (*_pair(measures, "PixelSpacing"), between or 1.0)
    return _grid(size, spacing, np.array(origin), axes)


def _between_frames(frames: tuple[Dataset, ...], axes: NDArray[np.float64]) -> float | None:
    """Return the mean step along the normal; 1 where all frames lie in one plane; None where the steps differ."""
    places = [numbers(p, "ImagePositionPatient", 3) for f in frames for p in items(f, "PlanePositionSequence")[:1]]
    if len(frames) < 2 or len(places) != len(frames) or None in places:
        return None
    along = np.array(places, dtype=np.float64) @ axes[:, 2]
    steps = np.diff(along)
    mean = float(steps.mean())
    if mean == 0.0:
        return 1.0
    return mean if np.abs(steps - mean).max() <= 1e-3 else None
