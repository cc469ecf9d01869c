"""Grey values of a DSA run on one scale: 0 = no contrast medium, -1 = a well-filled tumour, -3 = a full artery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatic.errors import BadInputError
from hepatic.io.image import Cine

GREY_PER_UNIT_8_BIT = 50.0
"""Grey values of an 8-bit subtracted picture that make one unit."""
LOG_RANGE_UNSUBTRACTED = 4.45
"""Natural-log intensities that the full range of an unsubtracted picture spans."""
RANGE = (-3.0, 2.1)
"""Units that an 8-bit subtracted picture can show around a zero of 150."""
CLOSED = 0.05
"""Share of the full range below which a mask frame is behind the closed collimator."""
GREY_PER_LOG_8_BIT = 460.0
"""Grey values of an 8-bit subtracted picture per natural-log intensity, at the usual display window."""


@dataclass(frozen=True)
class NormaliseDSA:
    """``source`` (Cine, one channel) to ``frames``, a function of frame indices giving float32 (n, H, W).

    A subtracted run is centred on the median of its first frame (before the contrast medium arrives, most of the
    picture is background) and divided by a fixed share of its bit range. From an unsubtracted run the mean of its mask
    frames (DICOM MaskSubtractionSequence) is taken away first, what no subtracted picture could show is clipped, and
    what lies behind the collimator is black, as subtracted pictures show it.
    """

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``frames`` and ``frame_count``; BadInputError when the source is no grey cine."""
        cine = sample["source"]
        if not isinstance(cine, Cine) or cine.frames.ndim != 3:
            raise BadInputError(
                "image",
                expected="a run of grey frames (XA multi-frame)",
                came=f"a {type(cine).__name__.lower()} on a grid of {cine.grid.size}",
                fix="Choose a DSA run for this model.",
            )
        full = 2.0**cine.bits_stored
        if cine.mask_frames:
            zero = cine.frames[list(cine.mask_frames)].astype(np.float32).mean(axis=0)
            unit = GREY_PER_UNIT_8_BIT / GREY_PER_LOG_8_BIT / LOG_RANGE_UNSUBTRACTED * full
            closed = zero < CLOSED * full
        else:
            zero = np.float32(np.median(cine.frames[0]))
            unit, closed = GREY_PER_UNIT_8_BIT / 256 * full, np.bool_(False)

        def frames(indices: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
            units = (cine.frames[indices].astype(np.float32) - zero) / np.float32(unit)
            return np.asarray(np.where(closed, RANGE[0], np.clip(units, *RANGE)) if cine.mask_frames else units)

        return {**sample, "frames": frames, "frame_count": len(cine.frames)}
