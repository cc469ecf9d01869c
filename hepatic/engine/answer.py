"""What a task says about an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from hepatic.boxes import Boxes
from hepatic.geometry import Grid


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What answers of every kind have in common.

    Attributes:
        grid: the source's own.
        facts: what else was found; JSON-able.
        version: of the model.
        model_sha256: of its weights.
        timings_ms: by stage (read, liver, prepare, network, finish), near 0 where a cache answered.
    """

    grid: Grid
    facts: dict[str, Any]
    version: str
    model_sha256: str
    timings_ms: dict[str, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Prediction(Answer):
    """A segmentation.

    Attributes:
        labelmap: uint8, shape (k, j, i), on ``grid``; label ``labels[i]`` has value i + 1.
        labels: value by name.
        uncertainty: entropy in bits averaged over the foreground.
    """

    labelmap: NDArray[np.uint8]
    labels: dict[str, int]
    uncertainty: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Detections(Answer):
    """Candidates, the surest first.

    Attributes:
        boxes: (N, 6), LPS millimetres.
        scores: (N,) in [0, 1].
        label: name of what they are candidates for.
    """

    boxes: Boxes
    scores: Annotated[NDArray[np.float64], "(N,)"]
    label: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Classification(Answer):
    """How probable each class or finding is.

    Attributes:
        probabilities: by name; those of classes sum to 1.
        label: the class that follows from them.
        attention: (h, w), how much the model looked at each part of the image (of ``facts["region"]``, where that is
            said), 1 where most; None where it does not tell.
    """

    probabilities: dict[str, float]
    label: str
    attention: NDArray[np.float32] | None = None
