"""Many small runs at once, as arrays to train and measure networks on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from sample_data.dsa.angiogram import base
from sample_data.dsa.run import FRAMES_BEFORE, LABELLED_FRAMES, DSARun, draw
from sample_data.parallel import in_turn
from sample_data.resample import area

Mask = NDArray[np.bool_]
Part = tuple[NDArray[np.uint8], Mask, Mask, Mask, Mask]


@dataclass(frozen=True, slots=True)
class LearningSet:
    """N runs about their key frames k; split them by ``base``, never by run.

    Attributes:
        X: (N, 12, h, w) uint8, frames k-9 to k+2.
        tumour, liver: (N, 3, h, w) bool, on frames k, k+1 and k+2.
        a, b: (N, h, w) bool, confounders on frame k.
        base: (N,), index of the angiogram within the seeds given.
    """

    X: NDArray[np.uint8]
    tumour: Mask
    liver: Mask
    a: Mask
    b: Mask
    base: NDArray[np.intp]


def learning_set(
    seeds: Iterable[int],
    *,
    draws: int,
    shape: tuple[int, int] = (96, 128),
    confounder_a: bool = True,
    confounder_b: bool = True,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> LearningSet:
    """Simulate ``draws`` runs on each seed's angiogram, rendered "small" and shrunk to ``shape`` (h, w).

    Args:
        seeds: one angiogram each.
        draws: lesion sets per angiogram.
        shape: (h, w) of the result.
        confounder_a: as for ``draw``.
        confounder_b: as for ``draw``.
        workers: processes.
        progress: called once per finished angiogram.

    Raises:
        BadInputError: there are no seeds or no draws.
    """
    listed = list(seeds)
    if not listed or draws < 1:
        came = f"{len(listed)} seeds and {draws} draws"
        raise BadInputError("seeds and draws", expected="one of each or more", came=came, fix="Ask for at least one.")
    one = partial(_one, draws=draws, shape=shape, confounder_a=confounder_a, confounder_b=confounder_b)
    parts = in_turn(one, listed, workers=workers, progress=progress)
    X, tumour, liver, a, b = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return LearningSet(X, tumour, liver, a, b, np.repeat(np.arange(len(listed)), draws))


def around_key_frame(run: DSARun, shape: tuple[int, int]) -> Part:
    """Frames k-9 to k+2 (12, h, w), tumour and liver (3, h, w), confounders a and b (h, w) of one run."""
    frames = run.frames[run.key_frame - FRAMES_BEFORE : run.key_frame + LABELLED_FRAMES]
    masks = (area(mask, shape) > 0.5 for mask in (run.tumour, run.liver, run.confounder_a, run.confounder_b))
    return np.rint(area(frames, shape)).astype(np.uint8), *masks  # type: ignore[return-value]


def _one(seed: int, *, draws: int, shape: tuple[int, int], confounder_a: bool, confounder_b: bool) -> Part:
    angiogram = base(seed)
    runs = (draw(angiogram, index, confounder_a=confounder_a, confounder_b=confounder_b) for index in range(draws))
    columns = zip(*(around_key_frame(run, shape) for run in runs), strict=True)
    X, tumour, liver, a, b = (np.stack(column) for column in columns)
    return X, tumour, liver, a, b
