"""Many small stills at once, as arrays to train and measure networks on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sample_data.parallel import in_turn
from sample_data.us.patient import KINDS, Kind
from sample_data.us.probe import Size
from sample_data.us.still import Still, simulate

Part = tuple[NDArray[np.uint8], int, NDArray[np.float32], float]


@dataclass(frozen=True, slots=True)
class LearningSet:
    """N stills, one patient each; the fan alone, nothing burnt in.

    Attributes:
        images: (N, h, w) uint8, the fan in the middle, black around it.
        kind: (N,) index into ``KINDS``; 0 is a liver without lesion.
        boxes: N arrays (L, 4) float32 (top, left, bottom, right) in pixels, one past the last; the largest first.
        pixel_mm: (N,).
        seed: (N,), of the patients.
    """

    images: NDArray[np.uint8]
    kind: NDArray[np.intp]
    boxes: list[NDArray[np.float32]]
    pixel_mm: NDArray[np.float64]
    seed: NDArray[np.intp]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, h, w), true within the boxes."""
        made = np.zeros(self.images.shape, bool)
        for mask, boxes in zip(made, self.boxes, strict=True):
            for top, left, bottom, right in boxes.astype(int):
                mask[top:bottom, left:right] = True
        return made


def learning_set(
    seeds: Iterable[int],
    *,
    kind: Kind | None = None,
    size: Size = "tiny",
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> LearningSet:
    """Simulate a still of each seed's patient.

    Args:
        seeds: one patient each.
        kind: what all of them have; None draws it.
        size: as for ``simulate``.
        workers: processes.
        progress: called once per finished still.

    Raises:
        BadInputError: there are no seeds.
    """
    listed = list(seeds)
    parts: list[Part] = in_turn(partial(_one, kind=kind, size=size), listed, workers=workers, progress=progress)
    images, left = side_by_side([part[0] for part in parts])
    return LearningSet(
        images=images,
        kind=np.array([part[1] for part in parts], dtype=np.intp),
        boxes=[part[2] + moved for part, moved in zip(parts, left, strict=True)],
        pixel_mm=np.array([part[3] for part in parts]),
        seed=np.array(listed, dtype=np.intp),
    )


def side_by_side(pictures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Stack pictures (..., h, w) of unequal width, each in the middle; and what that adds to boxes, (N, 4)."""
    width = max(one.shape[-1] for one in pictures)
    left = [(width - one.shape[-1]) // 2 for one in pictures]
    made = np.zeros((len(pictures), *pictures[0].shape[:-1], width), np.uint8)
    for to, one, start in zip(made, pictures, left, strict=True):
        to[..., start : start + one.shape[-1]] = one
    return made, np.array([[0, start, 0, start] for start in left], np.float32)


def arrays(still: Still) -> Part:
    """Picture, index of the kind, boxes and pixel size of one still, as ``LearningSet`` has them."""
    return still.grey, _index(still.patient.kind), corners(still.boxes), still.panel.pixel_mm


def corners(boxes: Iterable[tuple[int, int, int, int]]) -> NDArray[np.float32]:
    """(L, 4) top, left, bottom, right, one past the last, from (xmin, ymin, xmax, ymax) with the last included."""
    return np.array([(y, x, v + 1, u + 1) for x, y, u, v in boxes], np.float32).reshape(-1, 4)


def _index(kind: str) -> int:
    return next((number for number, known in enumerate(KINDS) if known == kind), -1)


def _one(seed: int, *, kind: Kind | None, size: Size) -> Part:
    return arrays(simulate(seed, kind=kind, size=size))
