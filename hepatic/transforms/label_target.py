"""Training target on one frame of a cine, from a reader's labelmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hepatic.errors import BadInputError


@dataclass(frozen=True)
class KeyFrameTarget:
    """``label`` (Labelmap) to ``target`` float32 (labels, H, W) and ``known`` float32 (labels,) at the key frame.

    A sample without a label passes untouched. Viewers name segments nobody drew, so a name alone says little: the first
    label (what the task is about) is known where the label file names it or names nothing, and where the whole label is
    empty, which means "none here"; any other structure is known only on a frame where it was drawn.

    Attributes:
        labels: the task's labels; value i + 1 where the file names none.
        includes: ``(outer, inner)`` pairs of positions: the outer structure contains the inner one (the liver its
            tumours), though a labelmap holds one value per pixel.
    """

    labels: tuple[str, ...]
    includes: tuple[tuple[int, int], ...] = ()

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``target`` and ``known``."""
        if "label" not in sample:
            return sample
        labelmap, picture = sample["label"], sample["label"].array[sample["facts"]["key_frame"]]
        if labelmap.array.any() and labelmap.names and not set(self.labels) & set(labelmap.names):
            raise BadInputError(
                "label",
                expected="segments named " + " or ".join(self.labels),
                came=", ".join(sorted(labelmap.names))[:80],
                fix="Rename the segments and submit the label again.",
            )
        masks, known = [], []
        for position, name in enumerate(self.labels):
            value = labelmap.names.get(name, position + 1 if not labelmap.names else -1)
            masks.append(picture == value)
            named = name in labelmap.names or not labelmap.names or not labelmap.array.any()
            known.append(named if position == 0 else bool(masks[-1].any()))
        for outer, inner in self.includes:
            masks[outer] = masks[outer] | masks[inner]
        target = torch.from_numpy(np.stack(masks).astype(np.float32))
        return {**sample, "target": target, "known": torch.tensor(known, dtype=torch.float32)}
