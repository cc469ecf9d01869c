"""Whether an ultrasound image is fit to learn from, by the lists of paper 002 (section 1.1.1).

The paper includes patients older than 18 years (a), with B-mode and contrast images (b) and a complete diagnosis (c),
and excludes videos that move too much (a), whose tumour is hard to place (b), of poor pictures (c), with a shadow over
the tumour (d), whose tumour leaves the picture (e), of far fewer than 30 frames (f), or without both images (g). It
names no bounds: those here are hepatic's own, and hold of simulated cines with room to spare (docs/ultrasound.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatic.engine.label_boxes import boxes_in_sample
from hepatic.errors import BadInputError, HepaticError
from hepatic.io.content import content_hash
from hepatic.io.header import header
from hepatic.io.image import Cine, Volume
from hepatic.io.read import read
from hepatic.io.ultrasound import Ultrasound
from hepatic.io.us_region import Region, carried
from hepatic.transforms.contrast_clip import (
    BLACK,
    SAMPLED_S,
    ContrastClip,
    drawn_frame,
    followed_beside,
    nearest,
)
from hepatic.transforms.echo_onset import first_echo, onset_of
from hepatic.transforms.us_lesion import chosen_box, largest, on_image

NOTE = "eligibility"
"""Key of the notes of an image under which a reader says that it is eligible, or why it is not."""
ELIGIBLE = "eligible"
SAID = (ELIGIBLE, "shadow", "place_unclear", "moves_too_much", "leaves_picture", "poor_picture")
"""What a reader may say."""

CRITERIA = {
    "under_18": "inclusion a",
    "no_b_mode": "inclusion b, exclusion g",
    "no_contrast": "inclusion b, exclusion g",
    "no_diagnosis": "inclusion c",
    "moves_too_much": "exclusion a",
    "no_box": "exclusion b",
    "place_unclear": "exclusion b",
    "poor_picture": "exclusion c",
    "shadow": "exclusion d",
    "leaves_picture": "exclusion e",
    "too_few_frames": "exclusion f",
}
"""Items of the paper's lists by flag."""

ADULT_YEARS = 18
FEWEST_FRAMES = 25
"""Different frames among the 30 that are sampled: with fewer, not even the first minute is there."""
MOST_MOVED = 1.0
"""Way of the lesion from where it was first seen, in its own longer edges."""
LEAST_INSIDE = 0.5
"""Share of the lesion's box that lies on the picture."""
MOST_LOST = 0.2
"""Share of the sampled frames on which the lesion cannot be followed."""
LEAST_SPREAD = 40.0
"""Grey values between the 5th and the 95th percentile of what is not black."""


@dataclass(frozen=True)
class Flag:
    """One reason not to learn from an image.

    Attributes:
        flag: its name, a key of ``CRITERIA``.
        why: what was found, in words.
        criterion: the item of the paper's lists.
    """

    flag: str
    why: str
    criterion: str

    @classmethod
    def of(cls, flag: str, why: str) -> Flag:
        """Return a flag with its item."""
        return cls(flag, why, CRITERIA[flag])


@dataclass(frozen=True)
class Eligibility:
    """What speaks against learning from an image. It is kept, shown and read whatever that is.

    Attributes:
        said: the reader's word, one of ``SAID``; empty where nobody has said anything.
        flags: what the data say, behind what a reader says.
    """

    said: str
    flags: tuple[Flag, ...]

    @property
    def is_eligible(self) -> bool:
        """Whether nothing speaks against it, or a reader has said that it is nevertheless."""
        return self.said == ELIGIBLE or not self.flags

    def as_json(self) -> dict[str, Any]:
        """Return it for clients."""
        return {"eligible": self.is_eligible, "said": self.said, "flags": [asdict(flag) for flag in self.flags]}

    def check(self, image_id: str) -> None:
        """Refuse to learn from an image that is not eligible.

        Raises:
            BadInputError: it is not.
        """
        if not self.is_eligible:
            raise BadInputError(
                f"image {image_id}",
                expected="one that is eligible by the lists of paper 002 (docs/ultrasound.md)",
                came="; ".join(f"{flag.flag} ({flag.why})" for flag in self.flags),
                fix="Say at /cases that it is eligible, "
                + ("if it is." if said_flags(self.said) else "or train with flagged=take."),
            )


def said_flags(said: str) -> tuple[Flag, ...]:
    """Return what a reader's word speaks against; nothing for ``eligible``, no word, or one that there is not."""
    return (Flag.of(said, "a reader says so"),) if said in SAID and said != ELIGIBLE else ()


def eligibility(
    source: Path,
    *,
    image: Volume | Cine | None = None,
    beside: Iterable[Path] = (),
    boxes: Sequence[Sequence[float]] = (),
    is_named: bool = True,
    shows_lesion: bool = True,
    said: str = "",
) -> Eligibility:
    """Examine an ultrasound image.

    Args:
        source: its file.
        image: the same, where it is read already.
        beside: the other ultrasound images of the study, gone through until B-mode and contrast have been seen. Where
            one cannot be had or read, nobody knows what the study shows, and nothing is flagged for it.
        boxes: of lesions, as ``hepatic.engine.label_boxes.PictureBox``.
        is_named: whether its class is noted.
        shows_lesion: not, where that class says that there is none: no box is missing then.
        said: what a reader says.

    Raises:
        BadInputError: it cannot be read, or is no ultrasound.
    """
    ultrasound = Ultrasound.of(read(source) if image is None else image)
    flags = [*said_flags(said), *_of_patient(source), *_of_study(ultrasound, beside)]
    if not is_named:
        flags.append(Flag.of("no_diagnosis", "no class is noted"))
    if shows_lesion and not len(boxes):
        flags.append(Flag.of("no_box", "no box is drawn"))
    flags += _of_frames(ultrasound, boxes_in_sample(boxes))
    return Eligibility(said, tuple({flag.flag: flag for flag in reversed(flags)}.values())[::-1])


def _of_patient(source: Path) -> Iterator[Flag]:
    years = header(source).age_years
    if years is not None and years < ADULT_YEARS:
        yield Flag.of("under_18", f"the patient was {years:.0f} years old")


def _of_study(ultrasound: Ultrasound, beside: Iterable[Path]) -> Iterator[Flag]:
    has_contrast, has_tissue = _shows(ultrasound)
    if has_contrast and has_tissue:
        return
    try:
        for path in beside:
            contrast, tissue = _shown_in(path, content_hash(path))
            has_contrast, has_tissue = has_contrast or contrast, has_tissue or tissue
            if has_contrast and has_tissue:
                return
    except HepaticError:
        return
    if not has_tissue:
        yield Flag.of("no_b_mode", "no image of the study shows B-mode")
    if not has_contrast:
        yield Flag.of("no_contrast", "no cine of the study fills with contrast")


def _shows(ultrasound: Ultrasound) -> tuple[bool, bool]:
    """Whether it shows contrast, and B-mode."""
    contrast, tissue = ultrasound.contrast, ultrasound.tissue
    return contrast is not None, tissue is not None or contrast is None


@lru_cache(maxsize=4096)
def _shown_in(path: Path, content: str) -> tuple[bool, bool]:
    """What a file of this content shows: the images of a study ask for one another."""
    return _shows(Ultrasound.of(read(path)))


def _of_frames(ultrasound: Ultrasound, drawn: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[Flag]:
    contrast, tissue = ultrasound.contrast, ultrasound.tissue
    region, times_s = contrast or tissue or ultrasound.regions[0], ultrasound.times_s
    guide = ultrasound.picture(tissue or region)
    is_clip = contrast is not None and len(guide) > 1
    if is_clip and times_s is None:
        yield Flag.of("too_few_frames", "nobody knows when its frames were taken")
    if not is_clip or times_s is None:
        yield from _of_pictures(guide[:1])
        return
    pictures = ultrasound.picture(region)
    boxes = _on_contrast(drawn["boxes"], region, tissue, pictures.shape)
    box, _ = chosen_box({"boxes": boxes}, pictures.shape, region.box[:2])
    top, left, bottom, right = (round(edge) for edge in box)
    onset = first_echo(pictures)
    if len(boxes):
        onset = onset_of(pictures[:, top:bottom, left:right].mean(axis=(1, 2), dtype=np.float64))
    chosen = nearest(times_s, times_s[onset] + np.array(SAMPLED_S))
    if (count := len(set(chosen.tolist()))) < FEWEST_FRAMES:
        seconds = times_s[-1] - times_s[onset]
        yield Flag.of("too_few_frames", f"{count} of 30 frames in the {seconds:.0f} s from the onset of echo")
    yield from _of_pictures(guide[chosen])
    if drawn["boxes"]:
        frame = drawn_frame(drawn["boxes_frames"][largest(boxes)], onset, len(pictures)) if len(boxes) else onset
        shifts, lost = followed_beside(
            ultrasound, region, box, chosen, drawn=None if frame == onset else frame, margin=ContrastClip.margin
        )
        yield from _of_motion(box, shifts, lost, pictures.shape)


def _on_contrast(
    boxes: Sequence[Sequence[float]], region: Region, tissue: Region | None, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return boxes on the contrast image, as ``ContrastClip`` takes them; none where none lies on it."""
    corner = region.box[:2]
    with suppress(BadInputError):
        return on_image(carried(boxes, region, tissue) - (*corner, *corner), shape)
    return np.zeros((0, 4))


def _of_pictures(pictures: NDArray[np.uint8]) -> Iterator[Flag]:
    seen = pictures[pictures > BLACK]
    spread = float(np.subtract(*np.percentile(seen, (95, 5)))) if len(seen) else 0.0
    if spread < LEAST_SPREAD:
        yield Flag.of("poor_picture", f"its grey values lie within {spread:.0f} of 255")


def _of_motion(
    box: tuple[float, ...], shifts: NDArray[np.float64], lost: NDArray[np.bool_], shape: tuple[int, ...]
) -> Iterator[Flag]:
    edges = np.array([box[2] - box[0], box[3] - box[1]])
    moved = float(np.hypot(*shifts.T).max() / edges.max())
    if moved > MOST_MOVED:
        yield Flag.of("moves_too_much", f"the lesion moves by {moved:.1f} times its own size")
    first, last = shifts + box[:2], shifts + box[2:]
    inside = (np.minimum(last, shape[1:]) - np.maximum(first, 0)).clip(0).prod(axis=1) / edges.prod()
    if (share := float(inside.min())) < LEAST_INSIDE:
        yield Flag.of("leaves_picture", f"only {share:.0%} of the lesion's box stays on the picture")
    elif lost.mean() > MOST_LOST:
        yield Flag.of("leaves_picture", f"it cannot be followed on {lost.sum()} of {len(lost)} frames")
