"""Draw candidates and slices as pictures (PNG, 8-bit grey): the greys alone; what is written on them is the page's."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hepatic.harvest.layout import CardLayout, Edges, View
from hepatic.harvest.study import Phase, PreparedStudy
from hepatic.harvest.window import Window, greys

Grey = NDArray[np.uint8]

_FAST = 1
"""Of zlib: higher levels save a tenth and take six times as long."""
_HATCH = 24
_INK, _TINT = 150, 34


def draw_card(prepared: PreparedStudy, layout: CardLayout, window: Window, levels: Mapping[Phase, float]) -> bytes:
    """Draw a candidate: see ``CardLayout`` for what is where.

    Args:
        prepared: the study.
        layout: of the candidate.
        window: preset.
        levels: median HU of the liver by phase (``liver_levels``).

    Returns:
        A PNG.
    """
    width, height = layout.size_px
    canvas = np.zeros((height, width), np.uint8)
    side, view = layout.tile_px, View.of(prepared.grid)
    for row, phase in enumerate(layout.phases):
        top = row * side
        if phase not in prepared.phases:
            canvas[top : top + side] = _not_scanned(phase, (width, side))
            continue
        level = window.level(levels[phase])
        for column, k in enumerate(layout.slices):
            tile = _resized(prepared.phases[phase].hu[k], layout.crop, (side, side))
            left = column * side
            canvas[top : top + side, left : left + side] = view.turned(
                greys(tile, level_hu=level, width_hu=window.width_hu)
            )
    _draw_locators(canvas[len(layout.phases) * side :], prepared, layout, window, levels, view)
    return png(canvas)


def draw_stack(
    prepared: PreparedStudy, phase: Phase, *, slices: range, size_px: tuple[int, int], level_hu: float, width_hu: float
) -> bytes:
    """Draw whole slices of a phase below each other, turned as ``View`` says.

    Args:
        prepared: the study; it has that phase.
        phase: which.
        slices: indices k on the study's grid, in the order in which they are drawn.
        size_px: width and height of each.
        level_hu: of the mid-grey.
        width_hu: from black to white.

    Returns:
        A PNG.
    """
    view, (columns, rows, _) = View.of(prepared.grid), prepared.grid.size
    hu = prepared.phases[phase].hu
    drawn = [_resized(hu[k], (0, 0, columns, rows), size_px) for k in slices]
    return png(np.concatenate([view.turned(greys(one, level_hu=level_hu, width_hu=width_hu)) for one in drawn]))


def png(pixels: Grey) -> bytes:
    """Return grey pixels (rows, columns) as a PNG, packed fast rather than small."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=_FAST)
    return out.getvalue()


def _draw_locators(
    canvas: Grey,
    prepared: PreparedStudy,
    layout: CardLayout,
    window: Window,
    levels: Mapping[Phase, float],
    view: View,
) -> None:
    """Draw the whole key slice and the coronal plane through the crop's middle, of the reference phase."""
    phase = prepared.reference if prepared.reference in prepared.phases else next(iter(prepared.phases))
    hu, (columns, rows, depth) = prepared.phases[phase].hu, prepared.grid.size
    middle = int(np.clip((layout.crop[1] + layout.crop[3]) / 2, 0, rows - 1))
    axial = view.turned(hu[layout.slices[layout.key]])
    coronal = view.turned(hu[:, None, middle])[:, 0][:: -1 if view.headwards else 1]
    for number, (plane, placed, size) in enumerate(
        ((axial, layout.axial, (columns, rows)), (coronal, layout.coronal, (columns, depth)))
    ):
        left, top, right, bottom = (round(edge) for edge in placed["plane"])
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        small = _resized(plane, (0, 0, *size), (right - left, bottom - top))
        left += number * layout.tile_px
        canvas[top:bottom, left : left + small.shape[1]] = greys(
            small, level_hu=window.level(levels[phase]), width_hu=window.width_hu
        )


def _resized(hu: NDArray[Any], edges: Edges, size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Return a part of a slice, edges in pixels (i, j, i, j), at another size; smoothed where that is smaller."""
    i0, j0 = max(int(edges[0]) - 2, 0), max(int(edges[1]) - 2, 0)
    part = np.ascontiguousarray(hu[j0 : int(edges[3]) + 4, i0 : int(edges[2]) + 4], np.float32)
    height, width = part.shape
    box = (edges[0] - i0, edges[1] - j0, min(edges[2] - i0, width), min(edges[3] - j0, height))
    return np.asarray(Image.fromarray(part).resize(size_px, Image.Resampling.BILINEAR, box=box))


def _not_scanned(phase: Phase, size_px: tuple[int, int]) -> Grey:
    """Return the row of a phase that is missing: hatched, and saying so."""
    picture = Image.new("L", size_px, 0)
    drawing = ImageDraw.Draw(picture)
    width, height = size_px
    for x in range(-height, width, _HATCH):
        drawing.line((x, height, x + height, 0), fill=_TINT, width=2)
    font = ImageFont.load_default(15)
    for x in range(height // 2, width, height):
        drawing.text((x, height // 2), f"{phase}:\nnot scanned", fill=_INK, font=font, anchor="mm", align="center")
    return np.asarray(picture)
