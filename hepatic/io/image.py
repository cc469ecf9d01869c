"""What a reader gives: a volume, a cine, or a labelmap, each on its grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatic.geometry import Grid
from hepatic.io.us_region import Region

Modality = Literal["XA", "CT", "MR", "US", "OT"]


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image in physical space.

    Attributes:
        array: shape (k, j, i) = (slices, rows, columns); modality units (HU for CT) after rescale.
        grid: index (i, j, k) to LPS millimetres.
        modality: DICOM Modality, "OT" where the file does not say.
    """

    array: NDArray[np.generic]
    grid: Grid
    modality: Modality = "OT"

    def as_cine(self, modality: Modality) -> Cine:
        """Take the slices as frames: viewers that show a run as a volume send it back as one.

        Neither frame times nor calibration survive that; the significant bits are told from the largest value.
        """
        bits = max(8, 2 * math.ceil(math.log2(int(self.array.max()) + 1) / 2))
        return Cine(self.array, None, None, self.grid, modality=modality, bits_stored=bits)


@dataclass(frozen=True, eq=False)
class Cine:
    """A run of frames.

    Attributes:
        frames: shape (F, H, W), or (F, H, W, 3) in RGB; MONOCHROME2 polarity (contrast medium dark in DSA).
        frame_times_ms: shape (F,), milliseconds from the first frame; None where the file does not say.
        pixel_spacing_mm: (row, column) millimetres at the object, from PixelSpacing or the ultrasound region;
            None where the picture is not calibrated (ImagerPixelSpacing alone is at the detector, not at the object).
        grid: the grid the viewers' reader (ITK) gives this file, frames on k. Labels live on it. Its spacing is what
            ITK believes, not a measurement: use ``pixel_spacing_mm`` to measure.
        modality: DICOM Modality.
        bits_stored: significant bits of a pixel.
        mask_frames: frames (from 0) to average and subtract (DICOM MaskSubtractionSequence, AVG_SUB);
            empty where the run is subtracted already or was never meant to be.
        regions: where an ultrasound picture holds images, from left to right (``hepatic.io.ultrasound``).
        playback_fps: frames a second a viewer should show; no measurement.
    """

    frames: NDArray[np.generic]
    frame_times_ms: NDArray[np.float64] | None
    pixel_spacing_mm: tuple[float, float] | None
    grid: Grid
    modality: Modality = "OT"
    bits_stored: int = 8
    mask_frames: tuple[int, ...] = ()
    regions: tuple[Region, ...] = ()
    playback_fps: float | None = None


@dataclass(frozen=True, eq=False)
class Labelmap:
    """Labels of an image.

    Attributes:
        array: shape (k, j, i), unsigned integers, 0 = background.
        grid: the grid of the image it belongs to, or the crop a viewer saved.
        names: label value by segment name; empty where the file does not name them.
    """

    array: NDArray[np.unsignedinteger]
    grid: Grid
    names: Mapping[str, int] = field(default_factory=dict)
