"""Cards of images that are classified: a still as it is, a cine as its key frames in a grid; each frame on demand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.concurrency import run_in_threadpool

from hepatic.errors import NotFoundError
from hepatic.harvest.study import Candidate, ProposedStudy
from hepatic.transforms.contrast_clip import nearest
from server.cases import readings
from server.cases.cases import Box, Cases, Opened

KEY_FRAMES_S = {"onset": 0.0, "arterial": 20.0, "portal venous": 60.0, "late": 150.0}
"""Seconds after the onset of echo, within the phases of CEUS LI-RADS 2017: 10-20 s to 30-45 s, to 120 s, from 120 s."""
LATEST_S = 10.0
"""A cine that ends longer before a phase does not show it."""
COLUMNS = 2
_TILE_PX = 640
_FAST = 1


class ClassCards:
    """Draws what readers see of images that they are to classify. Nothing of what models or others said is in it.

    Args:
        cases: whose images they are.
    """

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    async def layout(self, proposed: ProposedStudy) -> dict[str, Any]:
        """Return, as JSON, what is on the cards of a study."""
        cards = {one.uid: await self._card(one) for one in proposed.candidates}
        return {"study": proposed.study_uid, "content": "", "kind": proposed.kind, "anew": False, "cards": cards}

    async def picture(self, candidate: Candidate, frame: int | None) -> bytes:
        """Return the card of an image, or one of its frames, as PNG.

        Raises:
            NotFoundError: there is no such frame.
        """
        opened = await self._cases.opened(candidate.image_id)
        if frame is not None and not 0 <= frame < len(opened.frames):
            last = len(opened.frames) - 1
            raise NotFoundError("the frame", expected=f"0 to {last}", came=str(frame), fix="Choose one of them.")
        boxes = await self._boxes(candidate, opened)
        return await run_in_threadpool(_drawn, opened, frame, boxes)

    async def _card(self, candidate: Candidate) -> dict[str, Any]:
        opened = await self._cases.opened(candidate.image_id)
        boxes = await self._boxes(candidate, opened)
        left, top, right, bottom = _shown(opened)
        return {
            "candidate": candidate.uid,
            "frames": len(opened.frames),
            "times_s": opened.about["times_s"],
            "size": [right - left, bottom - top],
            "columns": COLUMNS if len(opened.frames) > 1 else 1,
            "keys": await run_in_threadpool(_keys, opened, boxes),
            "boxes": [
                [box[0] - left, box[1] - top, box[2] - left, box[3] - top] for box in (*boxes, *opened.beside(boxes))
            ],
        }

    async def _boxes(self, candidate: Candidate, opened: Opened) -> list[Box]:
        label = await run_in_threadpool(readings.latest, self._cases.store, candidate.image_id)
        return [one.box for one in (await self._cases.drawn(label, opened)).boxes]


def _keys(opened: Opened, boxes: Sequence[Box]) -> list[dict[str, Any]]:
    """Return the key frames: ``name``, ``frame`` (None where the cine ends before), ``time_s`` from the onset.

    Where nobody knows when frames were taken, or the onset is not in the cine, they are called by their numbers.
    """
    frames = opened.frames
    if len(frames) == 1:
        return [{"name": "", "frame": 0, "time_s": None}]
    onset = opened.onset(boxes) if opened.about["timing"] == "frame times" else 0
    if onset == 0:
        chosen = np.unique(np.linspace(0, len(frames) - 1, len(KEY_FRAMES_S)).round().astype(int))
        return [{"name": f"frame {frame + 1}", "frame": int(frame), "time_s": None} for frame in chosen]
    seconds = np.asarray(opened.about["times_s"], np.float64)
    seconds = seconds - seconds[onset]
    found = nearest(seconds, np.array(list(KEY_FRAMES_S.values())))
    return [
        {
            "name": name,
            "frame": int(frame) if wanted - seconds[-1] <= LATEST_S else None,
            "time_s": round(float(seconds[frame]), 1),
        }
        for (name, wanted), frame in zip(KEY_FRAMES_S.items(), found, strict=True)
    ]


def _drawn(opened: Opened, frame: int | None, boxes: Sequence[Box]) -> bytes:
    left, top, right, bottom = _shown(opened)
    if frame is None and len(opened.frames) > 1:
        return _png(_grid([_cut(opened, one["frame"]) for one in _keys(opened, boxes)], (right - left, bottom - top)))
    return _png(Image.fromarray(_frame(opened, frame or 0)))


def _cut(opened: Opened, frame: int | None) -> NDArray[np.uint8] | None:
    return None if frame is None else _frame(opened, frame)


def _frame(opened: Opened, frame: int) -> NDArray[np.uint8]:
    left, top, right, bottom = _shown(opened)
    return np.ascontiguousarray(opened.frames[frame, top:bottom, left:right])


def _grid(tiles: Sequence[NDArray[np.uint8] | None], size: tuple[int, int]) -> Image.Image:
    """Return tiles side by side in rows; one that is None stays black."""
    scale = min(1.0, _TILE_PX / max(size))
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    whole = Image.new("RGB", (COLUMNS * width, -(-len(tiles) // COLUMNS) * height))
    for place, tile in enumerate(tiles):
        if tile is not None:
            small = Image.fromarray(tile).resize((width, height), Image.Resampling.BILINEAR)
            whole.paste(small, (place % COLUMNS * width, place // COLUMNS * height))
    return whole


def _shown(opened: Opened) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what is shown: the images, without the screen around them if known."""
    about: Mapping[str, Any] = opened.about
    width, height = opened.size
    boxes = [box for box in (about["contrast"], about["tissue"]) if box]
    if not boxes:
        return 0, 0, width, height
    left, top = (min(box[side] for box in boxes) for side in (0, 1))
    right, bottom = (max(box[side] for box in boxes) for side in (2, 3))
    return max(0, left), max(0, top), min(width, right), min(height, bottom)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG", compress_level=_FAST)
    return out.getvalue()
