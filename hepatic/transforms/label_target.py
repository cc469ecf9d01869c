"""Training target on one frame of a cine, from a reader's labelmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class KeyFrameTarget:
    """``label`` (Labelmap) to ``target`` float32 (labels, H, W) and ``known`` float32 (labels,) at the key frame.

    A sample without a label passes untouched. A structure is known when the labelmap names it or, where names are
    missing, holds its value anywhere; the first label is always known, so an empty label means "none of these here".

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
        labelmap, frame = sample["label"], sample.get("label_frame", sample["facts"]["key_frame"])
        picture = labelmap.array[frame]
        masks, known = [], []
        for position, name in enumerate(self.labels):
            value = labelmap.names.get(name, position + 1 if not labelmap.names else -1)
            masks.append(picture == value)
            present = name in labelmap.names or (not labelmap.names and bool((labelmap.array == value).any()))
            known.append(present or position == 0)
        for outer, inner in self.includes:
            masks[outer] = masks[outer] | masks[inner]
        target = torch.from_numpy(np.stack(masks).astype(np.float32))
        return {**sample, "target": target, "known": torch.tensor(known, dtype=torch.float32)}
