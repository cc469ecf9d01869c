"""An ultrasound picture or cine: its images, which of them shows contrast, its times, its grey values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.io.burnt_in import propose_mask
from hepatic.io.image import Cine, Volume
from hepatic.io.us_fans import Mask, box_of, find_fans, some_frames
from hepatic.io.us_region import Region

Timing = Literal["frame times", "playback rate", "unknown"]

_SIMILAR = 0.5  # two fans of which the smaller has at least so much of the other's area are one pair
_TINTED = 0.6  # share of lit pixels with a tint: colour Doppler has fewer
_TINT = 12  # difference between the colours of a pixel, from which on it has one
_FILLS = 0.4  # share by which a contrast picture's brightness changes over time
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Ultrasound:
    """What a ``Cine`` means as ultrasound.

    Attributes:
        cine: as it was read.
    """

    cine: Cine

    @classmethod
    def of(cls, image: Volume | Cine) -> Ultrasound:
        """Take an image for ultrasound; a volume is what viewers make of a cine, frames on k.

        Raises:
            BadInputError: it is of another modality, or has fewer than 16 rows or columns.
        """
        cine = image.as_cine("US") if isinstance(image, Volume) else image
        if image.modality not in ("US", "OT"):
            raise BadInputError(
                "the image", expected="an ultrasound picture or cine", came=image.modality, fix="Choose another model."
            )
        if min(cine.frames.shape[1:3]) < 16:
            size = f"{cine.frames.shape[2]} x {cine.frames.shape[1]} pixels"
            raise BadInputError("the image", expected="16 x 16 pixels or more", came=size, fix="Export it again.")
        return cls(cine)

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """(F, H, W): luma of colours (ITU-R BT.601); more than 8 bits are scaled down, floats to their range."""
        return to_grey(self.cine.frames, self.cine.bits_stored)

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(F, H, W, 3): grey pictures have it three times."""
        frames = self.cine.frames
        return _to_byte(frames, self.cine.bits_stored) if frames.ndim == 4 else np.repeat(self.grey[..., None], 3, -1)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The images, from left to right: one, or two side by side.

        Those the file declares where they are calibrated; otherwise, or where one holds two fans, those that are seen,
        with the scale of the declared one around them. None is seen: the whole picture.
        """
        declared = [one for one in self.cine.regions if not one.is_stale and one.content != "other"]
        if len(declared) > 1:
            return tuple(declared)
        fans = self._fans
        if len(fans) == 2 and min(fan.sum() for fan in fans) >= _SIMILAR * max(fan.sum() for fan in fans):
            spacing = declared[0].spacing_mm if declared else None
            return tuple(Region(box_of(fan), spacing) for fan in fans)
        if declared:
            return tuple(declared)
        largest = max(fans, key=lambda fan: int(fan.sum()), default=None)
        height, width = self.grey.shape[1:]
        return (Region((0, 0, height, width) if largest is None else box_of(largest), None),)

    @property
    def contrast(self) -> Region | None:
        """The image of the contrast agent; None where there is none, or nothing tells."""
        return self._sides[0]

    @property
    def tissue(self) -> Region | None:
        """The B-mode image; None where there is none, or nothing tells."""
        return self._sides[1]

    @property
    def timing(self) -> Timing:
        """What ``times_s`` come from; a playback rate says how fast to play, not when frames were taken."""
        if self.cine.frame_times_ms is not None:
            return "frame times"
        return "playback rate" if self.cine.playback_fps else "unknown"

    @property
    def times_s(self) -> NDArray[np.float64] | None:
        """(F,) seconds from the first frame: frame times, else the playback rate (see ``timing``), else None."""
        if self.cine.frame_times_ms is not None:
            return self.cine.frame_times_ms / 1000
        if self.cine.playback_fps:
            return np.arange(len(self.cine.frames), dtype=np.float64) / self.cine.playback_fps
        return None

    @cached_property
    def cleaned(self) -> NDArray[np.uint8]:
        """(F, H, W): grey values with banner, scales and texts blacked out (``propose_mask``)."""
        return np.where(propose_mask(self.grey, self.cine.regions, fans=self._fans), np.uint8(0), self.grey)

    def picture(self, region: Region) -> NDArray[np.uint8]:
        """(F, h, w), the grey values of one image, texts blacked out."""
        return self.cleaned[:, *region.window]

    @cached_property
    def _fans(self) -> list[Mask]:
        return find_fans(self.grey)

    @cached_property
    def _sides(self) -> tuple[Region | None, Region | None]:
        """Contrast and B-mode: contrast is tinted, or fills as time goes by; two alike stay untold.

        Colour flow does both, too: where some is declared, nothing is contrast.
        """
        flow = [region for region in self.regions if region.content == "colour flow"]
        if flow:
            (shown, *others) = [region for region in self.regions if region not in flow] or flow
            return None, None if others else shown
        signs = [self._signs(region) for region in self.regions]
        if len(self.regions) == 1:
            (region,), ((tint, filling),) = self.regions, signs
            return (region, None) if tint > _TINTED or filling > _FILLS else (None, region)
        if len(self.regions) > 2:
            return None, None
        (tint, filling), (other_tint, other_filling) = signs
        by = tint - other_tint if abs(tint - other_tint) > _TINTED / 2 else filling - other_filling
        if abs(by) <= _FILLS / 2:
            return None, None
        left, right = self.regions
        return (left, right) if by > 0 else (right, left)

    def _signs(self, region: Region) -> tuple[float, float]:
        """Share of lit pixels that are tinted; share by which the brightness changes."""
        frames = some_frames(self.cine.frames[:, *region.window])
        grey: NDArray[np.uint8] = some_frames(self.grey[:, *region.window]).view(np.uint8)
        lit = grey > 12
        tint = float((np.ptp(frames, axis=-1)[lit] > _TINT).mean()) if frames.ndim == 4 and lit.any() else 0.0
        levels = grey[:, grey.max(axis=0) > 12].mean(axis=1, dtype=np.float64) if lit.any() else np.zeros(1)
        return tint, float((levels.max() - levels.min()) / (levels.max() + 1))


def to_grey(frames: NDArray[np.generic], bits_stored: int) -> NDArray[np.uint8]:
    """(F, H, W) bytes of frames (F, H, W) or (F, H, W, 3), as ``Ultrasound.grey``."""
    if frames.ndim == 3:
        return _to_byte(frames, bits_stored)
    made = np.empty(frames.shape[:3], np.uint8)
    for to, frame in zip(made, frames, strict=True):  # one by one: a colour cine as floats would take 4 times its size
        to[:] = np.rint(_to_byte(frame, bits_stored) @ _LUMA)
    return made


def _to_byte(frames: NDArray[np.generic], bits_stored: int) -> NDArray[np.uint8]:
    if frames.dtype == np.uint8:
        return frames.view(np.uint8)
    if frames.dtype.kind in "iu":
        return np.asarray(frames.astype(np.int64).clip(0) >> max(0, bits_stored - 8), dtype=np.uint8)
    values = frames.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) * (255 / max(high - low, 1e-6)), dtype=np.uint8)
