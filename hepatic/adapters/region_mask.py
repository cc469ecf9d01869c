"""A classifier's answer as a labelmap, for viewers that show nothing else of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from hepatic.engine.answer import Classification
from hepatic.engine.whole_image import outline
from hepatic.tasks.spec import ClassificationTask
from hepatic.transforms.us_lesion import WHOLE_IMAGE

LOOKED_AT = 0.5
"""Share of the highest attention from which on a part of the picture counts as looked at."""


def region_mask(answer: Classification) -> NDArray[np.uint8]:
    """Return where a classifier looked: (K, J, I) on the source's grid, 1 on the frame it was shown.

    Of one that looked at the whole image, or everywhere at least half as much, only its edges: nobody has said that a
    lesion fills it.

    Args:
        answer: with ``frame``, and ``region`` (of its attention, or all it looked at) or ``roi``, in pixels, among its
            facts; ``roi_frame`` where that was drawn on another.
    """
    array = np.zeros(answer.grid.shape, np.uint8)
    frame = array[int(answer.facts.get("roi_frame", answer.facts.get("frame", 0)))]
    if answer.attention is not None:
        top, left, bottom, right = answer.facts["region"]
        looked_at = attention_on(answer.attention, (bottom - top, right - left)) >= LOOKED_AT
        if not looked_at.all():
            frame[top:bottom, left:right] = looked_at
            return array
    if "roi" in answer.facts:
        left, top, right, bottom = (round(edge) for edge in answer.facts["roi"])
    else:
        top, left, bottom, right = answer.facts["region"]
    is_whole = answer.facts.get("roi_from", WHOLE_IMAGE) == WHOLE_IMAGE
    frame[top:bottom, left:right] = outline((bottom - top, right - left)) if is_whole else 1
    return array


def class_names(answer: Classification, task: ClassificationTask) -> dict[str, int]:
    """Return label values by names such as ``hcc p=0.93``: all that 3D Slicer shows of a classification.

    1, the only value in ``region_mask``, is the class that was concluded; the others follow, the most probable first.
    Behind its probability stands what speaks against it: that no box was drawn, or that no echo begins.
    """
    told = task.by_class(answer.probabilities)
    order = [answer.label, *(name for name in told if name != answer.label)]
    against = [WHOLE_IMAGE] * (answer.facts.get("roi_from") == WHOLE_IMAGE)
    against += ["no onset"] * (answer.facts.get("onset") == "none")
    first, *others = (f"{name} p{_share(told[name])}" for name in order)
    if against:
        first += f" ({', '.join(against)})"
    return {name: value for value, name in enumerate([first, *others], start=1)}


def _share(probability: float) -> str:
    """Return a probability in two digits, which are neither none nor all."""
    return ">0.99" if probability > 0.995 else "<0.01" if probability < 0.005 else f"={probability:.2f}"


def attention_on(attention: NDArray[np.floating[Any]], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring attention (h, w) to the pixels of the region it covers: each of its cells covers an equal part of it."""
    return np.asarray(resize(attention, size, order=1, mode="edge", anti_aliasing=False), dtype=np.float32)
