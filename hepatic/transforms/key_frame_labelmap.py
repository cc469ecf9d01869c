"""From probabilities on the key frame to a labelmap on the grid of the whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from torch.nn import functional


@dataclass(frozen=True)
class KeyFrameLabelmap:
    """``probabilities`` (labels, h, w) to ``labelmap`` uint8 (F, H, W) and ``confidence`` float32 (labels, H, W).

    Every frame but the key frame stays 0. Where structures overlap the earlier label wins.

    Attributes:
        threshold: probability from which a pixel belongs to a structure.
        smallest_px: components of a smaller equivalent diameter are dropped (the paper's smallest tumour: 6.5 px of
            1021), in pixels of a picture 1021 wide.
    """

    threshold: float = 0.5
    smallest_px: float = 6.5

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``labelmap`` and ``confidence``."""
        count, height, width = sample["source"].grid.shape
        confidence = functional.interpolate(
            sample["probabilities"][None].float(), size=(height, width), mode="bilinear", align_corners=False
        )[0].numpy()
        labelmap = np.zeros((count, height, width), dtype=np.uint8)
        picture = labelmap[sample["facts"]["key_frame"]]
        smallest_area = np.pi / 4 * (self.smallest_px * width / 1021) ** 2
        for position in reversed(range(len(confidence))):
            picture[_without_specks(confidence[position] >= self.threshold, smallest_area)] = position + 1
        return {**sample, "labelmap": labelmap, "confidence": confidence}


def extent(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[slice, slice]:
    """Return the rows and columns between which a mask (H, W) holds anything; one pixel if it holds nothing.

    Components of a tumour are found in what it fills instead of in the whole picture: several times as fast.
    """
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    if not spans[0].size:
        return slice(0, 1), slice(0, 1)
    (top, bottom), (left, right) = ((int(span[0]), int(span[-1]) + 1) for span in spans)
    return slice(top, bottom), slice(left, right)


def _without_specks(mask: np.ndarray[Any, np.dtype[np.bool_]], area: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    kept, filled = np.zeros_like(mask), extent(mask)
    components, count = ndimage.label(mask[filled])
    keep = np.bincount(components.ravel(), minlength=count + 1) >= area
    keep[0] = False
    kept[filled] = keep[components]
    return kept
