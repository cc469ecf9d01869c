"""The surroundings of a lesion on an ultrasound picture (paper 002, section 1.1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.transforms.us_picture import DEVIATION, MEAN, resized

Box = tuple[float, float, float, float]

WHOLE_IMAGE = "whole image"
"""``roi_from`` where nobody has drawn a box."""

_LEAST_PX = 2


@dataclass(frozen=True)
class UltrasoundLesion:
    """``picture`` to ``image`` (1, size, size): the region of interest, cut out with a margin and resized.

    The region is ``roi``, else the largest of ``boxes``, else the whole picture; ``facts`` say which
    (``roi``: left, top, right, bottom in pixels of the frame, and ``roi_from``). A sample's ``off_centre`` (rows,
    columns; shares of the region's edges) moves it: another view of the same lesion.

    Attributes:
        size: edge of the network's picture.
        margin: share of the box's edges that is added on every side.
    """

    size: int = 112
    margin: float = 0.15

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``image``; BadInputError when ``roi`` does not lie on the image."""
        picture: NDArray[np.uint8] = sample["picture"]
        top, left, _, _ = sample["facts"]["region"]
        box, told = chosen_box(sample, picture.shape, (top, left))
        window = _with_margin(box, self.margin, picture.shape, off=sample.get("off_centre", (0.0, 0.0)))
        grey = resized(torch.from_numpy(picture[window].astype(np.float32))[None], (self.size, self.size))
        facts = {**sample["facts"], "roi": [box[1] + left, box[0] + top, box[3] + left, box[2] + top], "roi_from": told}
        return {**sample, "image": (grey / 255 - MEAN) / DEVIATION, "facts": facts}


def chosen_box(sample: dict[str, Any], size: tuple[int, ...], corner: tuple[int, int]) -> tuple[Box, str]:
    """Return the region of interest, (top, left, bottom, right) in the image cut out of the frame, and where from.

    Args:
        sample: with ``roi`` (of the frame) and ``boxes`` (of that image, ``on_image``), each if there is any.
        size: (h, w) of that image.
        corner: (top, left) of it in the frame.

    Raises:
        BadInputError: ``roi`` does not lie on the image.
    """
    height, width = size[-2:]
    if len(asked := np.asarray(sample.get("roi", ()), np.float64)):
        top, left, bottom, right = asked.reshape(4) - (*corner, *corner)
        box = (max(top, 0.0), max(left, 0.0), min(bottom, height), min(right, width))
        if not (box[2] - box[0] >= _LEAST_PX and box[3] - box[1] >= _LEAST_PX):
            raise _no_roi(str(sample["options"]["roi"]))
        return box, "roi"
    boxes = np.asarray(sample.get("boxes", ()), np.float64).reshape(-1, 4)
    if not len(boxes):
        return (0.0, 0.0, float(height), float(width)), WHOLE_IMAGE
    top, left, bottom, right = boxes[largest(boxes)]
    return (float(top), float(left), float(bottom), float(right)), "label"


def largest(boxes: NDArray[np.float64]) -> int:
    """Return which of boxes (N, 4) is the largest."""
    return int((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax())


def on_image(boxes: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what of boxes (N, 4), top, left, bottom, right in pixels, lies on an image (..., h, w).

    One of which less than a pixel does has no extent.

    Raises:
        BadInputError: nothing does: to learn the whole image as the lesion would be wrong.
    """
    height, width = size[-2:]
    clipped: NDArray[np.float64] = boxes.clip(0, (height, width, height, width))
    lies_on = (clipped[:, 2:] - clipped[:, :2] >= 1).all(axis=1, keepdims=True)
    if len(boxes) and not lies_on.any():
        raise BadInputError(
            "the label",
            expected="a box on the ultrasound image that the model looks at, 1 pixel wide and high or more",
            came=f"{len(boxes)} beside it",
            fix="Draw the lesion on the image.",
        )
    return np.where(lies_on, clipped, 0.0)


def asked_roi(options: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the option ``roi``: (1, 4), top, left, bottom, right in pixels of the frame; (0, 4) where it is not given.

    Raises:
        BadInputError: it is not written as four numbers.
    """
    text = str(options.get("roi", ""))
    if not text:
        return np.zeros((0, 4))
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise _no_roi(text) from None
    return np.array([[top, left, bottom, right]])


def _no_roi(text: str) -> BadInputError:
    return BadInputError(
        "parameter 'roi'",
        expected="'left,top,right,bottom' in pixels, at least 2 pixels wide and high on the image",
        came=repr(text)[:80],
        fix="Draw the lesion's box on the ultrasound image.",
    )


def _with_margin(box: Box, margin: float, size: tuple[int, ...], *, off: tuple[float, float]) -> tuple[slice, slice]:
    top, left, bottom, right = box
    down, across = off[0] * (bottom - top), off[1] * (right - left)
    top, bottom, left, right = top + down, bottom + down, left + across, right + across
    high, wide = margin * (bottom - top), margin * (right - left)
    rows = slice(max(0, round(top - high)), min(size[0], round(bottom + high)))
    return rows, slice(max(0, round(left - wide)), min(size[1], round(right + wide)))
