"""One frame of an ultrasound picture or cine, the image on it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatic.errors import BadInputError
from hepatic.io.ultrasound import Ultrasound
from hepatic.io.us_region import carried
from hepatic.transforms.us_lesion import asked_roi, on_image


@dataclass(frozen=True)
class UltrasoundFrame:
    """``source`` to ``picture`` (h, w) uint8, the B-mode image of one frame without the screen around it.

    Black rows and columns are cut off, too (paper 004, "Preprocessing"). ``facts`` say which ``frame`` it is and which
    ``region`` of it, (top, left, bottom, right) in pixels; ``boxes`` (N, 4), likewise, move with it. ``roi`` is the
    option of that name, in pixels of the frame. Boxes on the contrast image beside it are carried over.

    Attributes:
        black: grey value up to which a pixel is black.
    """

    black: int = 10

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``picture``, ``facts``, ``boxes`` and ``roi``.

        Raises:
            BadInputError: there is no such frame, nothing is on it, no box lies on it, or the option ``roi`` is none.
        """
        ultrasound = Ultrasound.of(sample["source"])
        count, frame = len(ultrasound.cine.frames), int(sample.get("options", {}).get("frame", 0))
        if frame >= count:
            raise BadInputError(
                "parameter 'frame'", expected=f"0 to {count - 1}", came=str(frame), fix="Choose a frame of the cine."
            )
        region = ultrasound.tissue
        if region is None and ultrasound.contrast is not None:
            raise BadInputError(
                "image", expected="a B-mode picture", came="a contrast picture", fix="Choose the B-mode still or cine."
            )
        region = region or ultrasound.regions[0]
        picture = ultrasound.picture(region)[frame]
        lit = picture > self.black
        rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
        if not len(rows):
            raise BadInputError("image", expected="an ultrasound picture", came="a black frame", fix="Choose another.")
        top, left = int(rows[0]), int(columns[0])
        picture = picture[top : rows[-1] + 1, left : columns[-1] + 1]
        top, left = top + region.box[0], left + region.box[1]
        beside = None if ultrasound.tissue is None else ultrasound.contrast
        roi = carried(asked_roi(sample.get("options", {})), region, beside)
        boxes = carried(sample.get("boxes", ()), region, beside) - (top, left, top, left)
        height, width = picture.shape
        facts = {
            **sample.get("facts", {}),
            "frame": frame,
            "region": [top, left, top + height, left + width],
        }
        return {**sample, "picture": picture, "facts": facts, "boxes": on_image(boxes, picture.shape), "roi": roi}
