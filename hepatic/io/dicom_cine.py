"""What a DICOM cine says about its time, scale and mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hepatic.io.dicom_element import items, numbers, text
from hepatic.io.us_region import is_length, region_of


def frame_times_ms(dataset: Dataset, frames: int) -> NDArray[np.float64] | None:
    """Return milliseconds from the first frame, shape (frames,); None where the file does not say.

    FrameTimeVector (increments, the first is 0 or is taken as 0) and FrameTime, in the order FrameIncrementPointer
    names them. CineRate and RecommendedDisplayFrameRate are not used: they say how fast to play, not when frames were
    taken. A vector of the wrong length or with negative increments says nothing.
    """
    if frames == 1:
        return np.zeros(1)
    try:
        pointer = dataset.get("FrameIncrementPointer")
    except (ValueError, TypeError):
        pointer = None
    ways = [_from_vector, _from_frame_time]
    if pointer == 0x00181063:
        ways.reverse()
    for way in ways:
        times = way(dataset, frames)
        if times is not None:
            return times
    return None


def _from_vector(dataset: Dataset, frames: int) -> NDArray[np.float64] | None:
    increments = numbers(dataset, "FrameTimeVector", frames)
    if increments is None or min(increments) < 0 or not any(increments[1:]):
        return None
    return np.cumsum([0.0, *increments[1:]])


def _from_frame_time(dataset: Dataset, frames: int) -> NDArray[np.float64] | None:
    step = numbers(dataset, "FrameTime", 1)
    if step is None or step[0] <= 0:
        return None
    return np.arange(frames, dtype=np.float64) * step[0]


def pixel_spacing_mm(dataset: Dataset, *, modality: str, size: tuple[int, int, int]) -> tuple[float, float] | None:
    """Return (row, column) millimetres at the object; None where the picture is not calibrated.

    Ultrasound: from its regions. Everything else: PixelSpacing, unless it merely repeats ImagerPixelSpacing without
    saying how it was calibrated (DICOM PS3.3 10.7.1.3: then it was not corrected for magnification).
    """
    if modality == "US":
        return _region_spacing_mm(dataset, size)
    spacing = numbers(dataset, "PixelSpacing", 2)
    if spacing is None or min(spacing) <= 0:
        return None
    at_detector = numbers(dataset, "ImagerPixelSpacing", 2)
    if at_detector is not None and np.allclose(spacing, at_detector, rtol=1e-6):
        calibrated = text(dataset, "PixelSpacingCalibrationType") is not None
        return (spacing[0], spacing[1]) if calibrated else None
    return spacing[0], spacing[1]


def _region_spacing_mm(dataset: Dataset, size: tuple[int, int, int]) -> tuple[float, float] | None:
    """Return the scale of all regions in centimetres if they agree within 1 % and none is doubtful."""
    in_cm = [item for item in items(dataset, "SequenceOfUltrasoundRegions") if is_length(item)]
    found = [region.spacing_mm if region else None for region in (region_of(item, size) for item in in_cm)]
    if not found or found[0] is None or any(one is None for one in found):
        return None
    return found[0] if all(np.allclose(one, found[0], rtol=0.01) for one in found if one) else None


def playback_fps(dataset: Dataset) -> float | None:
    """Return how many frames a second a viewer should show: CineRate, else RecommendedDisplayFrameRate."""
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        found = numbers(dataset, keyword, 1)
        if found is not None and found[0] > 0:
            return found[0]
    return None


def mask_frames(dataset: Dataset, frames: int) -> tuple[int, ...]:
    """Return the frames (from 0) whose average is to be subtracted.

    Only where RecommendedViewingMode is SUB and MaskSubtractionSequence says AVG_SUB. Empty otherwise, and where a
    named frame does not exist. DICOM counts frames from 1.
    """
    if text(dataset, "RecommendedViewingMode") != "SUB":
        return ()
    for item in items(dataset, "MaskSubtractionSequence"):
        named = numbers(item, "MaskFrameNumbers")
        if text(item, "MaskOperation") == "AVG_SUB" and named is not None:
            masks = tuple(int(n) - 1 for n in named)
            return masks if all(0 <= m < frames for m in masks) else ()
    return ()
