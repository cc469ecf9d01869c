"""Size, place and score of each tumour of a result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from skimage.measure import label, regionprops

from hepatic.transforms.key_frame_labelmap import extent


@dataclass(frozen=True)
class DescribeLesions:
    """Add the fact ``lesions``: one entry per connected tumour on the key frame, largest first.

    Each has ``size_px`` (equivalent diameter), ``size_mm`` (where the run is calibrated), ``box_px`` (x_min, y_min,
    x_max, y_max; the maximum is the last pixel inside), ``centre_px`` (x, y), ``frame`` and ``score`` (mean
    probability).

    Attributes:
        value: label value of the tumours.
    """

    value: int = 1

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``facts["lesions"]``."""
        frame = sample["facts"]["key_frame"]
        spacing_mm = sample["source"].pixel_spacing_mm
        mask = sample["labelmap"][frame] == self.value
        filled = extent(mask)
        y, x = filled[0].start, filled[1].start
        regions = regionprops(label(mask[filled]), intensity_image=sample["confidence"][self.value - 1][filled])
        lesions = []
        for region in sorted(regions, key=lambda r: -r.area):
            top, left, bottom, right = region.bbox
            area_mm2 = None if spacing_mm is None else float(region.area) * spacing_mm[0] * spacing_mm[1]
            lesions.append(
                {
                    "frame": frame,
                    "size_px": round(float(region.equivalent_diameter_area), 1),
                    "size_mm": None if area_mm2 is None else round(math.sqrt(4 * area_mm2 / math.pi), 1),
                    "box_px": [x + left, y + top, x + right - 1, y + bottom - 1],
                    "centre_px": [round(x + float(region.centroid[1]), 1), round(y + float(region.centroid[0]), 1)],
                    "score": round(float(region.intensity_mean), 3),
                }
            )
        return {**sample, "facts": {**sample["facts"], "lesions": lesions}}
