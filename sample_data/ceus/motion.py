"""Breathing in a contrast cine, and moments in which the lesion is out of the plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Motion:
    """How F frames differ from rest.

    Attributes:
        shifts_mm: (F, 2), to the right and down.
        in_plane: (F,), whether the lesion is in the picture; where not, the plane beside is, with other speckle.
    """

    shifts_mm: NDArray[np.float64]
    in_plane: NDArray[np.bool_]


def draw_motion(seed: int, times_s: NDArray[np.float64]) -> Motion:
    """Draw motion as a function of time: other frames of the same seed move alike.

    Shallow breathing, a slow drift of the probe, and in every fourth patient a few seconds out of the plane, after the
    first quarter of a minute and before the second minute.
    """
    rng = np.random.default_rng([seed, 8700])
    period, depth = rng.uniform(3.5, 6), rng.uniform(0.4, 2.2)
    breath = depth * np.sin(2 * np.pi * (times_s / period + rng.random()))
    drift = rng.normal(0, 1.6, (2, 2)) @ np.stack([np.sin(times_s / 37), np.cos(times_s / 61) - 1])
    leaves, begins, lasts = rng.random() < 0.25, rng.uniform(30, 100), rng.uniform(2, 6)
    away = leaves & (times_s >= begins) & (times_s < begins + lasts)
    return Motion(np.stack([0.4 * breath + drift[0], breath + drift[1]], 1), ~away)
