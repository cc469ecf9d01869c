"""The grid ITK gives a DICOM file.

Viewers built on ITK (3D Slicer) place an image by GDCM's rules, not by DICOM's: ImagerPixelSpacing for a projection,
frame time as the distance between frames, unit spacing for ultrasound. Labels must lie on that grid, so the same rules
are followed here from the header alone; the tests hold them against SimpleITK's reader. Source: GDCM
``gdcmImageHelper.cxx`` with ``SecondaryCaptureImagePlaneModule`` on as in ITK 5.4, and ITK ``itkGDCMImageIO.cxx``.
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
_RT_IMAGE = _IMAGES + "481.1"
_WITH_SLICES = {_IMAGES + end for end in ("2", "4", "20", "128", "6.2")}  # CT, MR, NM, PET, enhanced US volume
_OF_MODALITY = {
    "CR": "1", "DX": "1.1", "MG": "1.2", "CT": "2", "MR": "4", "US": "6.1", "XA": "12.1", "RF": "12.2", "NM": "20",
    "PT": "128", "XC": "77.1.4",
}  # fmt: skip
_FLAT = {_IMAGES + end for end in ("77.1.2", "77.1.4")}  # microscopy, photographs


def itk_grid(dataset: Dataset, size: tuple[int, int, int]) -> Grid:
    """Return the grid ITK gives a single DICOM file, index (i, j, k) to LPS millimetres, frames on k.

    What ITK cannot use (a zero or unreadable spacing, an orientation that is not orthonormal) becomes 1 mm, the axes of
    the patient, and the origin (0, 0, 0).

    Args:
        dataset: the header.
        size: columns, rows, frames.
    """
    sop_class = image_class(dataset)
    if sop_class in _FUNCTIONAL_GROUPS:
        return _enhanced_grid(dataset, size)
    place = origin_in = dataset
    if sop_class == _NUCLEAR:
        origin_in = next(iter(items(dataset, "DetectorInformationSequence")), Dataset())
        place = origin_in or dataset
    origin = np.array(numbers(origin_in, "ImagePositionPatient", 3) or (0.0, 0.0, 0.0))
    return _grid(size, _spacing(dataset, sop_class, size[2]), origin, orientation(place))


def image_class(dataset: Dataset) -> str:
    """Return the SOP class, of the data set, else of the file meta information, else what GDCM guesses by modality."""
    meta = getattr(dataset, "file_meta", Dataset())
    found = text(dataset, "SOPClassUID") or text(meta, "MediaStorageSOPClassUID")
    return found or _IMAGES + _OF_MODALITY.get(text(dataset, "Modality") or "", "7")


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


def frames_are_regular(dataset: Dataset) -> bool:
    """Whether the frames of an enhanced file, where they say where they are, lie in equal steps along one normal.

    Frames that are all in one place (a time series) count as regular; ITK's step along k means nothing then.
    """
    frames = items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    planes = [p for group in (*shared, *frames) for p in items(group, "PlaneOrientationSequence")[:1]]
    axes = [orientation(plane) for plane in planes]
    places = [numbers(p, "ImagePositionPatient", 3) for f in frames for p in items(f, "PlanePositionSequence")[:1]]
    if len(places) < 2 or not axes or None in places or axes[0] is None:
        return True
    if any(other is None or np.abs(other - axes[0]).max() > 1e-3 for other in axes[1:]):
        return False
    along = np.array(places, dtype=np.float64) @ axes[0][:, 2]
    steps = np.diff(along)
    tolerance = max(0.02 * abs(float(np.median(steps))), 0.05)
    return bool(np.abs(steps - np.median(steps)).max() <= tolerance)


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
    keyword = None
    if sop_class in _DETECTOR:
        keyword = "ImagerPixelSpacing"
    elif sop_class == _RT_IMAGE:
        keyword = "ImagePlanePixelSpacing"
    elif sop_class == _SECONDARY_CAPTURE:
        keyword = "PixelSpacing" if "PixelSpacing" in dataset else "NominalScannedPixelSpacing"
    elif sop_class in _WITH_SLICES | _FLAT:
        keyword = "PixelSpacing"
    along = (1.0, 1.0) if keyword is None else _pair(dataset, keyword)
    sliced = sop_class in _DETECTOR | _WITH_SLICES | {_SECONDARY_CAPTURE, _RT_IMAGE}
    return *along, _between(dataset, frames, sliced=sliced)


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float]:
    found = numbers(dataset, keyword)
    if found is None or len(found) > 2:
        return 1.0, 1.0
    return abs(found[-1]) or 1.0, abs(found[0]) or 1.0  # DICOM says row spacing first, that is the step along j


def _between(dataset: Dataset, frames: int, *, sliced: bool) -> float:
    if sliced and "SpacingBetweenSlices" in dataset:
        found = numbers(dataset, "SpacingBetweenSlices", 1)
        return found[0] or 1.0 if found else 1.0  # negative: ITK runs against the normal
    try:
        pointer = dataset.get("FrameIncrementPointer")
    except (ValueError, TypeError):
        return 1.0
    if frames > 1 and pointer == 0x00181063:
        found = numbers(dataset, "FrameTime", 1)
        return found[0] or 1.0 if found else 1.0
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
    """Return the step along the normal, repeated places counted once; None where the steps differ."""
    places = [numbers(p, "ImagePositionPatient", 3) for f in frames for p in items(f, "PlanePositionSequence")[:1]]
    if len(frames) < 2 or len(places) != len(frames) or None in places:
        return None
    along = np.array(places, dtype=np.float64) @ axes[:, 2]
    unique = np.unique(along)
    if len(unique) == 1:
        return 1.0
    steps = np.diff(unique if len(unique) < len(along) and along[0] == unique[0] else along)
    mean = float(steps.mean())
    return mean if np.abs(steps - mean).max() <= 1e-3 else None
