"""What a reader must know before believing an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def warnings_of(params: Mapping[str, Any], *, absent: str | None) -> list[str]:
    """Return what the params of an answer say against it, in words.

    Args:
        params: of a classifier for ultrasound.
        absent: its class for a picture that shows nothing.
    """
    told = []
    if params.get("roi_from") == "whole image":
        told.append(
            "No box is drawn: the model looked at the whole image, which is mostly liver. Its probabilities mean "
            "nothing until the lesion's box is drawn."
        )
    if params.get("onset") == "none":
        told.append(
            "No rise of echo was found: the cine shows no contrast, or begins after the onset, for which its first "
            "frame stands. Choose the contrast cine that begins before."
        )
    if params.get("roi_lost"):
        told.append(
            "The lesion could not be followed from the frame with the box to the onset of echo. Draw the box there."
        )
    if params.get("timing") == "playback rate":
        told.append(
            "The cine does not say when its frames were taken (FrameTime; FrameTimeVector, one entry per frame): "
            "the rate at which it plays was taken for that."
        )
    if count := params.get("missing_frames"):
        told.append(f"The cine ends early: its last frame stands for {_frames(count)} after its end.")
    if count := params.get("replaced_frames"):
        told.append(
            f"The lesion is not seen on {_frames(count)}: the nearest that shows it stands for each. The curve has a "
            "cross there."
        )
    if absent is not None and params.get("result") == absent:
        told.append("No lesion is likely: malignancy and type mean nothing here.")
    return told


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
