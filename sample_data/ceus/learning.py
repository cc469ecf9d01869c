"""Many small contrast cines at once, as arrays to train and measure networks on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sample_data.ceus.cine import record
from sample_data.ceus.patient import LABELS, Label, draw_patient
from sample_data.parallel import in_turn
from sample_data.us import still as bmode
from sample_data.us.learning import corners, side_by_side
from sample_data.us.probe import Size

Part = tuple[NDArray[np.uint8], NDArray[np.uint8], int, NDArray[np.float32], NDArray[np.float32], float]

SAMPLED_S: Final[NDArray[np.float64]] = np.concatenate([np.arange(25) * 2.0, 60 + np.arange(5) * 30.0])
"""Seconds after the onset of the echo at which paper 002 takes its 30 frames (section 1.1.6)."""


@dataclass(frozen=True, slots=True)
class LearningSet:
    """N patients with one lesion each: F contrast frames and a B-mode still; the fans alone, nothing burnt in.

    Attributes:
        frames: (N, F, h, w) uint8, contrast.
        times_s: (F,) after the onset of the lesion's echo.
        stills: (N, H, W) uint8, B-mode.
        is_hcc: (N,) bool.
        boxes: (N, F, 4) float32 (top, left, bottom, right) of the lesion in pixels of ``frames``, one past the last.
        still_boxes: (N, 4) likewise, in pixels of ``stills``.
        washout_onset_s: (N,), see ``Patient``.
        seed: (N,), of the patients.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    stills: NDArray[np.uint8]
    is_hcc: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    still_boxes: NDArray[np.float32]
    washout_onset_s: NDArray[np.float64]
    seed: NDArray[np.intp]


def learning_set(
    seeds: Iterable[int],
    *,
    label: Label | None = None,
    times_s: NDArray[np.float64] = SAMPLED_S,
    size: Size = "tiny",
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> LearningSet:
    """Simulate a cine and a still of each seed's patient.

    Args:
        seeds: one patient each.
        label: what all of them have; None draws it.
        times_s: when frames are taken, seconds after the true onset of the lesion's echo.
        size: as for ``simulate``.
        workers: processes.
        progress: called once per finished patient.

    Raises:
        BadInputError: there are no seeds.
    """
    listed = list(seeds)
    parts: list[Part] = in_turn(
        partial(_one, label=label, times_s=times_s, size=size), listed, workers=workers, progress=progress
    )
    frames, frames_left = side_by_side([part[0] for part in parts])
    stills, stills_left = side_by_side([part[1] for part in parts])
    return LearningSet(
        frames=frames,
        times_s=np.asarray(times_s, np.float64),
        stills=stills,
        is_hcc=np.array([part[2] for part in parts], dtype=bool),
        boxes=np.stack([part[3] for part in parts]) + frames_left[:, None],
        still_boxes=np.stack([part[4] for part in parts]) + stills_left,
        washout_onset_s=np.array([part[5] for part in parts]),
        seed=np.array(listed, dtype=np.intp),
    )


def _one(seed: int, *, label: Label | None, times_s: NDArray[np.float64], size: Size) -> Part:
    patient = draw_patient(seed, label=label)
    cine = record(patient, patient.arrival_s + times_s, size)
    still = bmode.take(patient.examined, size)
    return (
        cine.contrast,
        still.grey,
        LABELS.index(patient.label),
        corners(cine.boxes),
        corners(still.boxes)[0],
        patient.washout_onset_s,
    )
