"""What a reader did to proposed boxes in 3D Slicer: which were kept, moved, removed or added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepatic.boxes import iou
from hepatic.harvest.study import Box
from hepatic.io.markups import ROI

SAME_MM = 0.05
"""Corners that differ by less were not moved: files round."""
SAME_IOU = 0.5
"""A box that lost its candidate id, as one drawn anew does, is meant for a candidate it overlaps by as much."""


@dataclass(frozen=True)
class Matched:
    """What became of the candidates of an image or study.

    Attributes:
        kept: candidates whose box is still there: accepted.
        moved: those among them whose box was changed, with the new one, LPS millimetres.
        removed: candidates whose box is gone: false.
        added: boxes that are no candidate's: lesions the detector missed.
    """

    kept: tuple[str, ...]
    moved: Mapping[str, Box]
    removed: tuple[str, ...]
    added: tuple[Box, ...]


def match(candidates: Mapping[str, Box], saved: Sequence[ROI]) -> Matched:
    """Compare the boxes that were proposed with those a reader saved.

    A saved box belongs to the candidate whose UID its ``about`` names; the second one that names the same, and one that
    names none, to the free candidate it overlaps most, if by ``SAME_IOU``.

    Args:
        candidates: UID to box, as they were sent.
        saved: what came back.
    """
    named: dict[str, Box] = {}
    unnamed: list[Box] = []
    for roi in saved:
        uid = roi.about.get("candidate")
        if isinstance(uid, str) and uid in candidates and uid not in named:
            named[uid] = roi.box
        else:
            unnamed.append(roi.box)
    added: list[Box] = []
    for box in unnamed:
        free = [uid for uid in candidates if uid not in named]
        shared = iou(np.array([box]), np.array([candidates[uid] for uid in free])).ravel() if free else np.zeros(0)
        if len(shared) and shared.max() >= SAME_IOU:
            named[free[int(shared.argmax())]] = box
        else:
            added.append(box)
    return Matched(
        kept=tuple(uid for uid in candidates if uid in named),
        moved={
            uid: named[uid]
            for uid in candidates
            if uid in named and not np.allclose(named[uid], candidates[uid], rtol=0, atol=SAME_MM)
        },
        removed=tuple(uid for uid in candidates if uid not in named),
        added=tuple(added),
    )
