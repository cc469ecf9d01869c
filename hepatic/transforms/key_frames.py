"""From one labelled run to the frames a network is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatic.transforms.key_frame import select_key_frame


@dataclass(frozen=True)
class LabelledKeyFrames:
    """The labelled frames of a run: the key frame and those after it (paper 000, section 3).

    The paper trains on the key frame and its two successors. Which frames a reader labelled is read off the labelmap:
    every frame that holds at least a tenth of what the fullest holds, so a stray stroke is none. An empty labelmap says
    "no tumour" on the key frame the model would choose.

    Attributes:
        most: frames taken of one run, from the first labelled one on (3 in the paper).
    """

    most: int = 3

    def __call__(self, sample: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """Yield one sample per frame, with ``key_frame`` set."""
        drawn = np.count_nonzero(sample["label"].array, axis=(1, 2))
        labelled = np.flatnonzero(drawn >= max(1, drawn.max() / 10))
        if not len(labelled):
            labelled = np.array([select_key_frame(sample["source"].frames)])
        for frame in labelled[: self.most]:
            yield {**sample, "key_frame": int(frame)}
