"""Boxes to what a CenterNet is trained on: dense maps of one size, whatever the number of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

Spread = Literal["small", "paper"]

SMALLEST_CELLS, PER_SIZE = 0.7, 0.15
"""Spread "small": at least so many cells, and this share of the box's edge."""
TOUCHED = 0.01
"""From which value of the heat map a cell belongs to a lesion, where the rest of the picture is not known."""


@dataclass(frozen=True)
class CenterNetTarget:
    """``image`` and boxes to tensors: ``image``, the maps, and the weight of every cell.

    The heat map is equation 1 of paper 001: a Gaussian of its own width along each axis around the cell in which the
    centre lies. How wide: ``paper`` takes the radius within which a box that is moved, too large or too small still
    has an IoU of ``min_overlap`` with the true one, solved numerically in three dimensions, one sixth of the diameter
    being the standard deviation (CornerNet), and gamma of each axis the inverse of its spacing; ``small`` takes
    ``PER_SIZE`` of the box's edges, which on small pictures trained better.

    A sample's ``boxes`` and, where there are any, ``negatives`` and ``ignored`` are (N, 6), voxels (k, j, i, k, j, i),
    first and one past the last; ``grid`` is used for its spacing. Where ``complete`` is there and false, only the
    surroundings of boxes and the ``negatives`` are taught: the rest of the picture may hold lesions nobody boxed. The
    cells of ``ignored`` (candidates of which nobody knows) have no weight unless they belong to a lesion.

    Attributes:
        stride: voxels per cell by (k, j, i).
        spread: of the Gaussian.
        min_overlap: of ``paper``.
        negative_weight: of the cells of negatives (candidates a reader rejected); others have 1.
        slices: the maps of a 2D network run on every slice: cells are voxels along k, and every slice that a box cuts
            has a 2D target.
    """

    stride: tuple[int, int, int]
    spread: Spread = "small"
    min_overlap: float = 0.7
    negative_weight: float = 4.0
    slices: bool = False

    def __call__(self, sample: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Return ``image``, ``heatmap``, ``offset``, ``size``, ``at_centre`` and ``weight``, all float32.

        Shapes: image as it was; heatmap, at_centre, weight (1, cells...); offset, size (axes, cells...).
        """
        image: torch.Tensor = sample["image"]
        step = np.array((1, *self.stride[1:]) if self.slices else self.stride, np.float64)
        cells = tuple(int(-(-length // by)) for length, by in zip(image.shape[1:], step, strict=True))
        spacing = np.array(sample["grid"].spacing[::-1] if "grid" in sample else (1.0, 1.0, 1.0)) * step
        maps = _Maps.empty(cells, axes=2 if self.slices else 3)
        for box in _rows(sample.get("boxes")):
            low, high = box[:3] / step, box[3:] / step
            for first, last in self._parts(low, high, cells[0]):
                self._draw(maps, first, last, spacing)
        complete = bool(sample.get("complete", True))
        weight = np.ones_like(maps.heatmap) if complete else (maps.heatmap >= TOUCHED).astype(np.float32)
        for box in _rows(sample.get("negatives")):
            _weigh(weight, _cells(box, step), maps.heatmap, self.negative_weight)
        for box in _rows(sample.get("ignored")):
            _weigh(weight, _cells(box, step), maps.heatmap, 0.0)
        arrays = {
            "heatmap": maps.heatmap,
            "offset": maps.offset,
            "size": maps.size,
            "at_centre": maps.at_centre,
            "weight": weight,
        }
        return {"image": image, **{name: torch.from_numpy(array) for name, array in arrays.items()}}

    def _parts(
        self, low: NDArray[np.float64], high: NDArray[np.float64], count: int
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The box itself, or one flat box in every slice whose middle it holds (the nearest slice at least)."""
        if not self.slices:
            return [(low, high)]
        held = [k for k in range(count) if low[0] <= k + 0.5 < high[0]] or [
            int(np.clip((low[0] + high[0]) / 2, 0, count - 1))
        ]
        return [(np.array([k, *low[1:]]), np.array([k + 1.0, *high[1:]])) for k in held]

    def _draw(
        self, maps: _Maps, low: NDArray[np.float64], high: NDArray[np.float64], spacing: NDArray[np.float64]
    ) -> None:
        middle, edges = (low + high) / 2, high - low
        cells = maps.heatmap.shape[1:]
        cell = np.clip(np.floor(middle).astype(int), 0, np.array(cells) - 1)
        axes = np.arange(1 if self.slices else 0, 3)
        sigma = np.full(3, 1e-3)  # a 2D target stays in its slice
        sigma[axes] = self._sigma(edges[axes], spacing[axes])
        shape = [np.exp(-0.5 * ((np.arange(n) - c) / s) ** 2) for n, c, s in zip(cells, cell, sigma, strict=True)]
        gaussian = shape[0][:, None, None] * shape[1][:, None] * shape[2]
        np.maximum(maps.heatmap[0], gaussian, out=maps.heatmap[0])
        k, j, i = cell
        maps.at_centre[0, k, j, i] = 1.0
        maps.offset[:, k, j, i] = (middle - cell)[axes]
        maps.size[:, k, j, i] = edges[axes]

    def _sigma(self, edges: NDArray[np.float64], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviation along each axis, in cells."""
        if self.spread == "small":
            return np.maximum(SMALLEST_CELLS, PER_SIZE * edges)
        finest = spacing.min()
        radius = overlap_radius(edges * spacing / finest, min_overlap=self.min_overlap)
        return np.asarray((2 * radius + 1) / 6 * finest / spacing)


@dataclass(frozen=True, eq=False)
class _Maps:
    heatmap: NDArray[np.float32]
    at_centre: NDArray[np.float32]
    offset: NDArray[np.float32]
    size: NDArray[np.float32]

    @staticmethod
    def empty(cells: tuple[int, ...], *, axes: int) -> _Maps:
        one, several = (1, *cells), (axes, *cells)
        return _Maps(*(np.zeros(shape, np.float32) for shape in (one, one, several, several)))


def overlap_radius(edges: NDArray[np.float64], *, min_overlap: float) -> float:
    """Return by how much the corners of a box may err along every axis before its IoU falls below ``min_overlap``.

    The least of three cases (CornerNet): both corners move the same way, both inwards, both outwards; solved by
    bisection in any number of dimensions.

    Args:
        edges: of the box, all in one unit, which is that of the result.
        min_overlap: IoU, in (0, 1).
    """
    low, high = 0.0, float(edges.min())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _worst_overlap(edges, middle) >= min_overlap else (low, middle)
    return low


def _worst_overlap(edges: NDArray[np.float64], error: float) -> float:
    whole = float(edges.prod())
    shared = float(np.clip(edges - error, 0, None).prod())
    moved = shared / (2 * whole - shared)
    smaller = float(np.clip(edges - 2 * error, 0, None).prod()) / whole
    larger = whole / float((edges + 2 * error).prod())
    return min(moved, smaller, larger)


def _cells(box: NDArray[np.float64], step: NDArray[np.float64]) -> tuple[slice, ...]:
    """Return the cells that a box touches, as an index of the maps."""
    low, high = np.floor(box[:3] / step).astype(int).clip(0), np.ceil(box[3:] / step).astype(int)
    return (slice(0, 1), *(slice(a, max(a + 1, b)) for a, b in zip(low, high, strict=True)))


def _weigh(weight: NDArray[np.float32], cells: tuple[slice, ...], heatmap: NDArray[np.float32], value: float) -> None:
    """Give cells that belong to no lesion a weight."""
    weight[cells] = np.where(heatmap[cells] < TOUCHED, value, weight[cells])


def _rows(boxes: Any) -> NDArray[np.float64]:
    return np.zeros((0, 6)) if boxes is None else np.asarray(boxes, np.float64).reshape(-1, 6)
