"""What is where on a candidate's picture: phases in rows, slices in columns, all of one scale in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatic.boxes import to_voxels
from hepatic.geometry import Grid
from hepatic.harvest.study import Candidate, Phase, PreparedStudy

TILE_PX = 192
NEIGHBOURS = 4
"""Slices on each side of the key slice: two of them are shown, all of them can be scrolled to."""
CONTEXT = 2.5
"""Side of the crop over the longer edge of the box."""
CROP_MM = (90.0, 240.0)

_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class View:
    """How slices of a grid are turned for the screen: the patient's right on the left, the front at the top.

    Attributes:
        mirrored, flipped: whether columns, or rows, run the other way in the grid.
        headwards: whether slices run towards the head in the grid; on the screen the first one is nearest to it.
        left, top: letters of what lies to the left and at the top: R, L, A, P, H or F.
    """

    mirrored: bool
    flipped: bool
    headwards: bool
    left: str
    top: str

    @classmethod
    def of(cls, grid: Grid) -> View:
        """Return how slices of a grid are shown."""
        axes = [int(np.argmax(np.abs(column))) for column in grid.direction.T]
        signs = [float(grid.direction[axis, n]) > 0 for n, axis in enumerate(axes)]
        upright = [axis == 2 for axis in axes]  # towards the head is up, every other axis runs as LPS does
        mirrored, flipped = (signs[n] == upright[n] for n in (0, 1))
        return cls(
            mirrored, flipped, signs[2] != (axes[2] != 2), _letter(axes[0], upright[0]), _letter(axes[1], upright[1])
        )

    def on_screen(self, edges: Edges, size: tuple[int, int]) -> Edges:
        """Return edges in voxels (i, j, i, j) as they lie on the turned slice of that size (I, J), and back."""
        left, top, right, bottom = edges
        if self.mirrored:
            left, right = size[0] - right, size[0] - left
        if self.flipped:
            top, bottom = size[1] - bottom, size[1] - top
        return left, top, right, bottom

    def turned(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return slices (..., J, I) as they are shown."""
        return pixels[..., :: -1 if self.flipped else 1, :: -1 if self.mirrored else 1]


@dataclass(frozen=True)
class CardLayout:
    """Where everything is on the picture of a candidate.

    The picture has a row of tiles for each phase, missing ones too, and one more row whose first tile holds the whole
    key slice and whose second one the whole coronal plane through the candidate; a column for each slice.

    Attributes:
        candidate: its UID.
        phases: rows.
        missing: those that were not scanned; their tiles say so.
        slices: index k on the study's grid of each column, the one nearest to the head first.
        key: column of the key slice.
        inside: first and last index k in the box.
        offsets_mm: of each column from the key slice, towards the head.
        tile_px: side of a tile.
        mm_per_px: on every tile of a phase.
        crop: what the tiles show, (i, j, i, j) in voxels of the study's grid, edges.
        box: of the candidate, in pixels of a tile.
        left, top: letters, see ``View``.
        axial: where on the first locator tile the slice, the crop and the box are, in pixels of that tile.
        coronal: the same on the second one.
    """

    candidate: str
    phases: tuple[Phase, ...]
    missing: tuple[Phase, ...]
    slices: tuple[int, ...]
    key: int
    inside: tuple[int, int]
    offsets_mm: tuple[float, ...]
    tile_px: int
    mm_per_px: float
    crop: Edges
    box: Edges
    left: str
    top: str
    axial: dict[str, Edges]
    coronal: dict[str, Edges]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.tile_px * len(self.slices), self.tile_px * (len(self.phases) + 1)


def lay_out(prepared: PreparedStudy, candidate: Candidate) -> CardLayout:
    """Return where everything is on a candidate's picture."""
    grid, view = prepared.grid, View.of(prepared.grid)
    columns, rows, depth = grid.size
    step_i, step_j, step_k = grid.spacing
    k0, j0, i0, k1, j1, i1 = (float(edge) for edge in to_voxels(np.array([candidate.box]), grid)[0])
    key = int(np.clip(candidate.key_slice, 0, depth - 1))

    wanted = float(np.clip(CONTEXT * max((i1 - i0) * step_i, (j1 - j0) * step_j), *CROP_MM))
    side = min(wanted, columns * step_i, rows * step_j)
    left = float(np.clip((i0 + i1) / 2 - side / step_i / 2, 0, columns - side / step_i))
    upper = float(np.clip((j0 + j1) / 2 - side / step_j / 2, 0, rows - side / step_j))
    crop = (left, upper, left + side / step_i, upper + side / step_j)

    first, last = _within(k0, k1, depth)
    reach = max(last - key, key - first, 0) + 1
    step = max(1, -(-reach // NEIGHBOURS))
    slices = [k for k in range(key - NEIGHBOURS * step, key + NEIGHBOURS * step + 1, step) if 0 <= k < depth]
    if view.headwards:
        slices.reverse()
    towards_head = 1 if view.headwards else -1

    shown_crop = view.on_screen(crop, (columns, rows))
    shown_box = view.on_screen((i0, j0, i1, j1), (columns, rows))
    px_i, px_j = TILE_PX * step_i / side, TILE_PX * step_j / side
    return CardLayout(
        candidate=candidate.uid,
        phases=tuple(Phase),
        missing=tuple(phase for phase in Phase if phase not in prepared.phases),
        slices=tuple(slices),
        key=slices.index(key),
        inside=(first, last),
        offsets_mm=tuple(round(towards_head * (k - key) * step_k, 2) for k in slices),
        tile_px=TILE_PX,
        mm_per_px=side / TILE_PX,
        crop=crop,
        box=_within_tile(shown_box, shown_crop, px_i, px_j),
        left=view.left,
        top=view.top,
        axial=_locator((columns * step_i, rows * step_j), (step_i, step_j), crop=shown_crop, box=shown_box),
        coronal=_locator(
            (columns * step_i, depth * step_k),
            (step_i, step_k),
            crop=_coronal(shown_crop, slices[0], slices[-1], depth, view),
            box=_coronal(shown_box, first, last, depth, view),
        ),
    )


def _letter(axis: int, upright: bool) -> str:
    return _LETTERS[axis][1 if upright else 0]


def _within(first: float, last: float, size: int) -> tuple[int, int]:
    """Return the first and the last slice whose middle lies between two edges, and one where there is none."""
    low = int(np.clip(np.ceil(first - 0.5), 0, size - 1))
    return low, int(np.clip(np.ceil(last - 0.5) - 1, low, size - 1))


def _coronal(shown: Edges, a: int, b: int, depth: int, view: View) -> Edges:
    """Return edges on the plane of columns and slices, the head at the top; ``a`` and ``b`` are slices in any order."""
    low, high = min(a, b), max(a, b) + 1
    top, bottom = (depth - high, depth - low) if view.headwards else (low, high)
    return shown[0], top, shown[2], bottom


def _within_tile(box: Edges, crop: Edges, px_i: float, px_j: float) -> Edges:
    return (
        (box[0] - crop[0]) * px_i,
        (box[1] - crop[1]) * px_j,
        (box[2] - crop[0]) * px_i,
        (box[3] - crop[1]) * px_j,
    )


def _locator(
    size_mm: tuple[float, float], spacing_mm: tuple[float, float], *, crop: Edges, box: Edges
) -> dict[str, Edges]:
    """Fit a plane of that size into a tile; return where it, the crop and the box are."""
    scale = TILE_PX / max(size_mm)
    width, height = size_mm[0] * scale, size_mm[1] * scale
    left, top = (TILE_PX - width) / 2, (TILE_PX - height) / 2
    x, y = spacing_mm[0] * scale, spacing_mm[1] * scale

    def placed(edges: Edges) -> Edges:
        return left + edges[0] * x, top + edges[1] * y, left + edges[2] * x, top + edges[3] * y

    return {"plane": (left, top, left + width, top + height), "crop": placed(crop), "box": placed(box)}
