"""Pictures of a case as PNG: a frame, the heat map of attention, the time-intensity curve."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CURVE_PX = (880, 330)
CURVE_LEFT, CURVE_RIGHT = 0.075, 0.985
"""Shares of the curve's width between which its time axis lies; the page draws the frame that is shown on it."""

_FAST = 1
_HEAT_SHARE = 0.5
_GROUND, _LINE, _TEXT, _STRONG, _REGION, _ONSET = "#0a0d0f", "#2a333a", "#93a0a7", "#e4eaed", "#ffc94d", "#5cc9bd"
_REPLACED = "#ff6b5e"
_drawing = threading.Lock()
"""Matplotlib is not made for several threads."""


def frame_png(frame: NDArray[np.uint8]) -> bytes:
    """Return a frame, (H, W) or (H, W, 3)."""
    return _png(Image.fromarray(np.ascontiguousarray(frame)))


def heat_png(attention: NDArray[np.floating[Any]], region: Sequence[int], size: tuple[int, int]) -> bytes:
    """Return attention as a picture to lay over the frame: red where little, yellow where most, clear where none.

    Args:
        attention: (h, w), 1 where most; its cells cover equal parts of the region.
        region: (top, left, bottom, right) in pixels.
        size: (width, height) of the frame.
    """
    return _png(Image.fromarray(_heat(attention, region, size), "RGBA"))


def under_heat(
    frame: NDArray[np.uint8], attention: NDArray[np.floating[Any]], region: Sequence[int]
) -> NDArray[np.uint8]:
    """Return a frame (H, W, 3) with the picture of ``heat_png`` over it, half as strong."""
    below = Image.fromarray(np.ascontiguousarray(frame)).convert("RGBA")
    heat = _heat(attention, region, below.size)
    heat[..., 3] = (heat[..., 3] * _HEAT_SHARE).astype(np.uint8)
    return np.asarray(Image.alpha_composite(below, Image.fromarray(heat, "RGBA")).convert("RGB"))


def _heat(attention: NDArray[np.floating[Any]], region: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    top, left, bottom, right = region
    cells = Image.fromarray(np.asarray(attention, np.float32))
    share = np.zeros((size[1], size[0]), np.float32)
    share[top:bottom, left:right] = np.asarray(cells.resize((right - left, bottom - top), Image.Resampling.BILINEAR))
    share = share.clip(0, 1)
    return np.stack([np.full_like(share, 255), 60 + 170 * share, 40 * share, 255 * share], axis=-1).astype(np.uint8)


def mask_png(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bytes:
    """Return a grey picture (H, W) with a mask (H, W) over it in red; what is under the mask stays readable."""
    colours = np.repeat(picture[..., None], 3, axis=-1)
    colours[mask, 0] = np.maximum(colours[mask, 0], 110)
    return _png(Image.fromarray(colours))


def span_s(curves: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Return the ends of the curve's time axis, seconds from the onset."""
    seconds = curves["seconds"]
    return float(seconds[0]), float(max(seconds[-1], seconds[0] + 1))


def curve_png(curves: Mapping[str, Sequence[float]], *, box_is_drawn: bool) -> bytes:
    """Return the time-intensity curve of a lesion, the image outside of it for comparison, and the onset of echo at 0.

    Args:
        curves: ``seconds`` from the onset, mean grey values of the ``lesion`` and, unless that is the whole image, of
            what is ``outside``; seconds of frames that were ``replaced``, which are crossed out.
        box_is_drawn: whether somebody drew the lesion's box; else the whole image is looked at.
    """
    from matplotlib.figure import Figure

    with _drawing:
        figure = Figure(figsize=(CURVE_PX[0] / 110, CURVE_PX[1] / 110), dpi=110, facecolor=_GROUND)
        axes = figure.add_axes((CURVE_LEFT, 0.17, CURVE_RIGHT - CURVE_LEFT, 0.71), facecolor=_GROUND)
        seconds = curves["seconds"]
        if "outside" in curves:
            style: dict[str, Any] = {
                "color": _TEXT,
                "linewidth": 1.4,
                "linestyle": (0, (5, 2)),
                "marker": ".",
                "markersize": 3.5,
            }
            axes.plot(seconds, curves["outside"], label="outside the box", **style)
        named = "in the box" if box_is_drawn else "whole image"
        axes.plot(seconds, curves["lesion"], color=_REGION, linewidth=2.0, marker=".", markersize=5, label=named)
        if curves.get("replaced"):
            axes.plot(
                curves["replaced"], np.interp(curves["replaced"], seconds, curves["lesion"]), "x", color=_REPLACED,
                markersize=8, markeredgewidth=2.2, label="replaced", zorder=3,
            )  # fmt: skip
        axes.axvline(0.0, color=_ONSET, linewidth=1.4)
        axes.annotate(
            "onset", (0.0, 0.98), xycoords=("data", "axes fraction"), xytext=(5, 0), textcoords="offset points",
            color=_ONSET, va="top", fontsize=9,
        )  # fmt: skip
        axes.set_xlim(*span_s(curves))
        axes.set_ylim(0.0, 1.18 * max(*curves["lesion"], *curves.get("outside", ()), 1.0))  # room for a word on top
        axes.set_xlabel("seconds from the onset of echo", color=_TEXT, fontsize=9)
        axes.set_title("Mean grey value", color=_TEXT, fontsize=9, loc="left", pad=5)
        axes.tick_params(colors=_TEXT, labelsize=9)
        for spine in axes.spines.values():
            spine.set_color(_LINE)
        axes.grid(color=_LINE, linewidth=0.5)
        figure.legend(
            loc="upper right", bbox_to_anchor=(CURVE_RIGHT + 0.01, 1.01), ncols=3, frameon=False, fontsize=9,
            labelcolor=_STRONG,
        )  # fmt: skip
        out = io.BytesIO()
        figure.savefig(out, format="png", facecolor=_GROUND)
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG", compress_level=_FAST)
    return out.getvalue()
