"""The scanner's screen: fans with what is burnt in around and over them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from sample_data.us.probe import Panel

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
Content = Literal["tissue", "contrast"]
LEFT, TOP, RIGHT, BOTTOM = 34, 26, 40, 44
_GREY: Final = 205


@dataclass(frozen=True, slots=True)
class Region:
    """Where a fan lies on the screen.

    Attributes:
        content: what it shows.
        box: (xmin, ymin, xmax, ymax) pixels, the last column and row included.
        pixel_mm: size of a pixel.
        face: (column, row) of the middle of the probe's face, from the region's corner.
    """

    content: Content
    box: Box
    pixel_mm: float
    face: tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Screen:
    """F frames of H rows of W pixels.

    Attributes:
        pixels: (F, H, W) uint8, or (F, H, W, 3) in colour.
        regions: one, or two side by side.
        burnt_in: (H, W), where any frame shows a text, a scale or a mark.
        banner: where the patient is named.
    """

    pixels: Pixels
    regions: tuple[Region, ...]
    burnt_in: NDArray[np.bool_]
    banner: Box


@dataclass(frozen=True, slots=True)
class Words:
    """What is written on the screen.

    Attributes:
        patient: name and number of the patient, on top.
        settings: lines below the picture.
        labels: one per panel, in its upper left corner.
        clock: one per frame, in the upper right corner of the first panel; none: no clock.
    """

    patient: str
    settings: Sequence[str]
    labels: Sequence[str]
    clock: Sequence[str] = ()


def in_colour(screen: Screen) -> Screen:
    """The same in colour (F, H, W, 3), as many scanners store grey pictures."""
    return replace(screen, pixels=np.repeat(screen.pixels[..., None], 3, axis=-1))


def compose(panel: Panel, shown: Sequence[tuple[Content, Pixels]], words: Words) -> Screen:
    """Put pictures of one fan side by side on a screen.

    Args:
        panel: of all of them.
        shown: what they show, with their frames (F, h, w) or (F, h, w, 3); all in colour, or none.
        words: what to write.
    """
    frames = shown[0][1]
    height, width = TOP + panel.height + BOTTOM, LEFT + len(shown) * panel.width + RIGHT
    pixels = np.zeros((len(frames), height, width, *frames.shape[3:]), np.uint8)
    regions = []
    for index, (content, pictures) in enumerate(shown):
        x = LEFT + index * panel.width
        pixels[:, TOP : TOP + panel.height, x : x + panel.width] = pictures
        face = round(panel.face[0]), round(panel.face[1])
        box = (x, TOP, x + panel.width - 1, TOP + panel.height - 1)
        regions.append(Region(content, box, panel.pixel_mm, face))
    still, banner = _still(panel, regions, (height, width), words)
    burnt_in = still > 0
    colour = (slice(None), None) if frames.ndim == 4 else (slice(None),)
    pixels[:, burnt_in] = still[burnt_in][colour]
    for frame, clock in zip(pixels, words.clock, strict=bool(words.clock)):
        ticking = _text((height, width), (regions[0].box[2] - 44, TOP + 4), clock)
        burnt_in |= ticking > 0
        frame[ticking > 0] = ticking[ticking > 0][colour]
    return Screen(pixels, tuple(regions), burnt_in, banner)


def _still(panel: Panel, regions: list[Region], shape: tuple[int, int], words: Words) -> tuple[Pixels, Box]:
    """Everything that stays: banner, settings, labels, grey bar, depth scale, focus."""
    height, width = shape
    canvas = Picture.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=11)
    draw.text((6, 6), words.patient, fill=_GREY, font=font)
    left, top, right, bottom = draw.textbbox((6, 6), words.patient, font=font)
    for line, text in enumerate(words.settings):
        draw.text((6, height - BOTTOM + 4 + 13 * line), text, fill=_GREY, font=font)
    for shade in range(panel.height // 3):
        value = round(255 * (1 - shade / (panel.height // 3)))
        draw.line([(10, TOP + 30 + shade), (18, TOP + 30 + shade)], fill=value)
    x = regions[-1].box[2] + 6
    zero = TOP + panel.face[1]
    for tick in range(int(panel.probe.depth_mm // 10) + 1):
        y = round(zero + tick * 10 / panel.pixel_mm)
        draw.line([(x, y), (x + (9 if tick % 5 == 0 else 4), y)], fill=_GREY)
        if tick and tick % 5 == 0:
            draw.text((x + 12, y - 6), str(tick), fill=_GREY, font=font)
    focus = round(zero + 75 / panel.pixel_mm)
    draw.polygon([(x + 14, focus), (x + 20, focus - 4), (x + 20, focus + 4)], fill=_GREY)
    for region, label in zip(regions, words.labels, strict=True):
        draw.text((region.box[0] + 4, TOP + 4), label, fill=_GREY, font=font)
        mark = region.box[0] + region.face[0] - 0.24 * panel.width
        draw.ellipse([mark - 4, TOP + 4, mark + 4, TOP + 12], outline=_GREY)
    return np.array(canvas), (int(left), int(top), int(right), int(bottom))


def _text(shape: tuple[int, int], at: tuple[int, int], text: str) -> Pixels:
    canvas = Picture.new("L", shape[::-1])
    ImageDraw.Draw(canvas).text(at, text, fill=_GREY, font=ImageFont.load_default(size=11))
    return np.array(canvas)
