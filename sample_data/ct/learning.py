"""Many small studies at once, as arrays to train and measure networks on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sample_data.ct.patient import Kind
from sample_data.ct.study import CTStudy, simulate
from sample_data.parallel import in_turn

Part = tuple[
    NDArray[np.int16], NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32], tuple[Kind, ...], list[float]
]


@dataclass(frozen=True, slots=True)
class LearningSet:
    """N small studies of four phases (no contrast, arterial, venous, delayed), one patient each.

    Attributes:
        hu: (N, 4, K, J, I) int16, feet first.
        labels: (N, 4, K, J, I) uint8, 1 for the first solid lesion and so on; mimics are not in it.
        liver: (N, 4, K, J, I) bool, lesions are not cut out of it.
        boxes: N arrays (4, L, 6) float32 in voxels: first (k, j, i) and one past the last, L solid lesions, the
            primary first.
        kinds: N tuples of the L lesions' kinds.
        spacing_mm: (N, 3) along (k, j, i).
        seed: (N,), of the patients.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    liver: NDArray[np.bool_]
    boxes: list[NDArray[np.float32]]
    kinds: list[tuple[Kind, ...]]
    spacing_mm: NDArray[np.float64]
    seed: NDArray[np.intp]


def learning_set(
    seeds: Iterable[int],
    *,
    contrast: float = 1.0,
    size_informative: bool = False,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> LearningSet:
    """Simulate the first "small" study of each seed's patient.

    Args:
        seeds: one patient each.
        contrast: as for ``simulate``.
        size_informative: as for ``simulate``.
        workers: processes.
        progress: called once per finished study.

    Raises:
        BadInputError: there are no seeds.
    """
    listed = list(seeds)
    parts: list[Part] = in_turn(
        partial(_one, contrast=contrast, size_informative=size_informative), listed, workers=workers, progress=progress
    )
    hu, labels, liver, boxes, kinds, spacing = zip(*parts, strict=True)
    return LearningSet(
        hu=np.stack(hu),
        labels=np.stack(labels),
        liver=np.stack(liver),
        boxes=list(boxes),
        kinds=list(kinds),
        spacing_mm=np.array(spacing),
        seed=np.array(listed, dtype=np.intp),
    )


def arrays(study: CTStudy) -> Part:
    """Pictures, labels, liver, boxes, kinds and spacing of one study, as ``LearningSet`` has them."""
    solid = [number for number, lesion in enumerate(study.lesions) if lesion.solid]
    kept = np.zeros(len(study.lesions) + 1, np.uint8)
    kept[[number + 1 for number in solid]] = np.arange(1, len(solid) + 1)
    boxes = np.array([[phase.boxes[number].voxels for number in solid] for phase in study.phases], np.float32)
    first, last = boxes[..., 2::-1], boxes[..., :2:-1]
    return (
        np.stack([phase.hu for phase in study.phases]),
        kept[np.stack([phase.labels for phase in study.phases])],
        np.stack([phase.liver for phase in study.phases]),
        np.concatenate([first, last + 1], -1),
        tuple(study.lesions[number].kind for number in solid),
        list(study.grid.spacing[::-1]),
    )


def _one(seed: int, *, contrast: float, size_informative: bool) -> Part:
    return arrays(simulate(seed, contrast=contrast, size_informative=size_informative))
