"""A contrast cine, from the echo's onset on, as the 30 frames of a lesion that paper 002 takes (section 1.1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.io.ultrasound import Ultrasound
from hepatic.io.us_region import Region, carried, laid_over
from hepatic.transforms.echo_onset import first_echo, onset_of
from hepatic.transforms.follow_lesion import followed
from hepatic.transforms.us_lesion import WHOLE_IMAGE, asked_roi, chosen_box, largest, on_image
from hepatic.transforms.us_picture import resized

SAMPLED_S = (*(2.0 * n for n in range(25)), *(60.0 + 30.0 * n for n in range(5)))
"""Seconds after the onset at which frames are taken: every 2 s for a minute, then every 30 s."""

BLACK = 10
"""Grey value up to which a pixel is black (paper 004, "Preprocessing")."""
ALIKE = 0.85
"""Correlation of the lesion on B-mode with how it looked before, below which a frame does not show it."""
LEAST_BESIDE = 0.5
"""Share of a lesion's box that must lie on the B-mode image for it to be followed there."""
SURROUNDINGS = 2.0
"""Share of the box's edges round a lesion by which it is followed on the contrast image, where it changes itself."""
PROBE_LIFTED = 0.25
"""Correlation of these surroundings, below which there is no liver in the picture."""

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class ContrastClip:
    """``source`` to ``image`` (1, frames, size, size): the lesion, followed through 30 frames after the echo's onset.

    The region of interest is that of the option ``roi``, else of ``boxes``, else the whole contrast image; a box on the
    B-mode image beside it is carried over. It lies on the frame ``roi_frame``, another option, or on that of its
    ``boxes_frames`` (first, and one past the last) which is nearest to the onset; where nobody says, on the onset. From
    there it follows the lesion (``followed``), back and on, on the B-mode image, where there is one. A frame that does
    not show it, since it left the plane or the probe was lifted, is replaced by the nearest that does, as the paper
    does by eye (section 1.1.7). On a contrast image alone, on which a lesion changes while it is looked at, its
    surroundings are followed, and only a lifted probe is noticed. ``facts`` say ``onset_s``, the ``frame`` of that
    moment, ``replaced_frames`` and ``missing_frames``, those after the end of the cine, for which its last frame
    stands; ``roi``, in pixels of ``roi_frame``, and ``roi_lost``, whether it is not found on the onset.
    ``onset`` is ``none`` where nothing in the region rises, as in a cine without contrast or one that begins after the
    onset, so that its first frame stands for it; else ``seen``. ``time_intensity`` has the mean grey values of the
    region and of the image ``outside`` of it, over the ``seconds`` from the onset, and the seconds of frames that were
    ``replaced``. A sample's ``shift_s`` takes all frames that much later, and ``mirrored`` mirrors them: other views of
    the same lesion (paper 002, section 1.1.7).

    Attributes:
        size: edge of the network's frames, pixels.
        margin: share of the box's edges that is added on every side.
        sampled_s: seconds after the onset.
    """

    size: int = 64
    margin: float = 0.1
    sampled_s: tuple[float, ...] = SAMPLED_S

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``image`` and ``facts``.

        Raises:
            BadInputError: it is a still, says nothing of its times, is black, or no box lies on the image.
        """
        ultrasound = Ultrasound.of(sample["source"])
        options = sample.get("options", {})
        times_s = _times(ultrasound, float(options.get("frame_seconds", 0.0)))
        region = ultrasound.contrast or ultrasound.regions[0]
        pictures = ultrasound.picture(region)
        if pictures.max() <= BLACK:
            raise BadInputError(
                "image", expected="a contrast cine", came="black frames", fix="Choose the contrast cine."
            )
        corner = region.box[:2]
        beside = ultrasound.tissue
        boxes = on_image(carried(sample.get("boxes", ()), region, beside) - (*corner, *corner), pictures.shape)
        roi = carried(asked_roi(options), region, beside)
        box, told = chosen_box({**sample, "boxes": boxes, "roi": roi}, pictures.shape, corner)

        top, left, bottom, right = (round(edge) for edge in box)
        curve = pictures[:, top:bottom, left:right].mean(axis=(1, 2), dtype=np.float64)
        onset = first_echo(pictures) if told == WHOLE_IMAGE else onset_of(curve)
        outside = np.asarray(pictures.max(axis=0) > 0)  # the image, not the screen around it
        outside[top:bottom, left:right] = False
        wanted = times_s[onset] + np.array(self.sampled_s) + float(sample.get("shift_s", 0.0))
        chosen = nearest(times_s, wanted)
        drawn = onset
        if told == "roi":
            drawn = _asked_frame(int(options.get("roi_frame", -1)), onset, len(pictures))
        elif told == "label" and "boxes_frames" in sample:
            drawn = drawn_frame(sample["boxes_frames"][largest(boxes)], onset, len(pictures))
        shifts, replaced = followed_beside(
            ultrasound, region, box, chosen, drawn=None if drawn == onset else drawn, margin=self.margin
        )
        kept = np.arange(len(chosen)) if replaced.all() else np.flatnonzero(~replaced)
        shown = kept[nearest(times_s[chosen[kept]], times_s[chosen])]
        frames = [_cut(pictures[chosen[number]], box, self.margin, shifts[number]) for number in shown]
        image = torch.stack([resized(torch.from_numpy(frame)[None], (self.size, self.size))[0] for frame in frames])
        if sample.get("mirrored"):
            image = image.flip(-1)
        facts = {
            **sample.get("facts", {}),
            "frame": onset,
            "onset": "seen" if onset else "none",
            "onset_s": round(float(times_s[onset]), 2),
            "replaced_frames": int(replaced.sum()),
            "missing_frames": int((wanted > times_s[-1] + 1).sum()),
            "timing": "option" if options.get("frame_seconds") else ultrasound.timing,
            "roi": [box[1] + corner[1], box[0] + corner[0], box[3] + corner[1], box[2] + corner[0]],
            "roi_from": told,
            "roi_frame": drawn,
            "roi_lost": bool(replaced[0]),
        }
        curves = {
            "seconds": (times_s - times_s[onset]).round(2).tolist(),
            "lesion": curve.round(1).tolist(),
            "replaced": (times_s[np.unique(chosen[replaced])] - times_s[onset]).round(2).tolist(),
        }
        if outside.any():  # all else is black
            around = pictures.sum(axis=(1, 2), dtype=np.float64) - curve * (bottom - top) * (right - left)
            curves["outside"] = (around / outside.sum()).round(1).tolist()
        return {**sample, "image": image[None] / 64 - 1, "facts": {**facts, "time_intensity": curves}}


def nearest(times_s: NDArray[np.float64], wanted_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the frames that lie nearest to some times; the first and the last stand for all before and after."""
    return np.asarray(np.abs(times_s[None] - wanted_s[:, None]).argmin(axis=1), dtype=np.intp)


def drawn_frame(span: Sequence[float], onset: int, count: int) -> int:
    """Return the frame on which a box lies that was drawn on one or more of ``count``: that nearest to the onset.

    Args:
        span: the first, and one past the last.
        onset: in which the echo begins.
        count: of the cine.
    """
    first = round(min(max(span[0], 0), count - 1))
    return max(first, min(onset, round(min(span[1], count)) - 1))


def followed_beside(
    ultrasound: Ultrasound,
    region: Region,
    box: Sequence[float],
    frames: NDArray[np.intp],
    *,
    margin: float,
    drawn: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Follow a box of a contrast image on the B-mode image beside it, or by its surroundings.

    The latter where there is no B-mode image, or one that does not show half of the box.

    Args:
        ultrasound: what both lie on.
        region: the contrast image.
        box: (top, left, bottom, right) in its pixels, on the frame ``drawn``.
        frames: (F,), which, in the order of time.
        margin: share of the box's edges that is compared beyond it on B-mode.
        drawn: frame on which the box was drawn, from which it is followed back and on; None for the first of them.

    Returns:
        As ``followed``, from that frame and in pixels of the contrast image.
    """
    if drawn is not None:
        shifts, lost = np.zeros((len(frames), 2)), np.zeros(len(frames), bool)
        for way in (np.flatnonzero(frames < drawn)[::-1], np.flatnonzero(frames >= drawn)):
            there = np.array([drawn, *frames[way]], dtype=np.intp)
            moved, gone = followed_beside(ultrasound, region, box, there, margin=margin)
            shifts[way], lost[way] = moved[1:], gone[1:]
        return shifts, lost
    beside = ultrasound.tissue
    if beside is not None:
        scale, shift = laid_over(beside, region)
        whole = (np.array(box).reshape(2, 2) + region.box[:2]) * scale + shift
        there = whole.clip(beside.box[:2], beside.box[2:])
        if np.prod(there[1] - there[0]) >= LEAST_BESIDE * np.prod(whole[1] - whole[0]):
            picture, seen = ultrasound.picture(beside)[frames], (there - beside.box[:2]).ravel()
            shifts, lost = followed(picture, seen, margin=margin, alike=ALIKE)
            return shifts / scale, lost
    return followed(ultrasound.picture(region)[frames], box, margin=SURROUNDINGS, alike=PROBE_LIFTED)


def _cut(picture: NDArray[np.uint8], box: tuple[float, ...], margin: float, shift: NDArray[np.float64]) -> Frames:
    top, left, bottom, right = box
    high, wide = margin * (bottom - top), margin * (right - left)
    rows, columns = round(bottom - top + 2 * high), round(right - left + 2 * wide)
    first = (round(top - high + shift[0]), round(left - wide + shift[1]))
    cut = np.zeros((max(rows, 1), max(columns, 1)), np.float32)
    low = [max(0, start) for start in first]
    high_ends = [min(edge, start + length) for edge, start, length in zip(picture.shape, first, cut.shape, strict=True)]
    if all(a < b for a, b in zip(low, high_ends, strict=True)):
        to = tuple(slice(a - start, b - start) for a, b, start in zip(low, high_ends, first, strict=True))
        cut[to] = picture[low[0] : high_ends[0], low[1] : high_ends[1]]
    return cut


def _asked_frame(frame: int, onset: int, count: int) -> int:
    if frame >= count:
        raise BadInputError(
            "parameter 'roi_frame'", expected=f"-1 to {count - 1}", came=str(frame), fix="Choose a frame of the cine."
        )
    return onset if frame < 0 else frame


def _times(ultrasound: Ultrasound, frame_seconds: float) -> NDArray[np.float64]:
    count = len(ultrasound.cine.frames)
    if count < 2:
        raise BadInputError(
            "image", expected="a contrast cine", came="a single frame", fix="Choose the cine, or a model for stills."
        )
    if frame_seconds:
        return np.arange(count, dtype=np.float64) * frame_seconds
    times_s = ultrasound.times_s
    if times_s is None:
        raise BadInputError(
            "image",
            expected="a cine that says when its frames were taken (FrameTime; FrameTimeVector, one entry per frame)",
            came="one that does not",
            fix="Say how many seconds lie between frames: parameter 'frame_seconds'.",
        )
    return times_s
