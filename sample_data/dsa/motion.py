"""When the frames are taken and where the patient has moved by then."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Motion:
    """Clock and motion of one run of F frames.

    Attributes:
        frame_time_ms: between two frames.
        still_s: when the breath is held and the stain is complete: where the key frame is meant to lie.
        down_px, right_px: (F,), displacement of the diaphragm and of all contrast.
        gas_down_px, gas_right_px, gas_size: (F, n), random walk of the n bubbles of gas.
    """

    frame_time_ms: float
    still_s: float
    down_px: Numbers
    right_px: Numbers
    gas_down_px: Numbers
    gas_right_px: Numbers
    gas_size: Numbers

    @property
    def times_s(self) -> Numbers:
        """(F,), from the first frame."""
        return np.arange(len(self.down_px), dtype=np.float64) * (self.frame_time_ms / 1000)


def draw_motion(bubbles: int, scale: float, rng: np.random.Generator) -> Motion:
    """Draw 20-30 frames at 1.9-2.3 per second.

    The breath is held; in half of the runs it slips once, 2-14 px (of the full picture), and has settled before the
    key frame; soon after the key frame the hold ends and the patient breathes, 6-14 px. So the picture changes least
    at ``still_s``, which puts the key frame at 6-7.5 s.
    """
    rate_hz = rng.uniform(1.9, 2.3)
    frame_time_ms = round(1000 / rate_hz, 3)
    still_s = rng.uniform(6.15, 7.35)
    still = round(still_s * 1000 / frame_time_ms)
    count = int(rng.integers(max(20, still + 4), min(30, still + 13) + 1))
    time_s = np.arange(count) * (frame_time_ms / 1000)

    slip_s, slip_px = rng.uniform(still_s - 4, still_s - 1.8), rng.uniform(2, 14) * scale * (rng.random() < 0.5)
    end_s, deep_px, period_s = still_s + rng.uniform(0.6, 0.9), rng.uniform(6, 14) * scale, rng.uniform(2.8, 4.0)
    since_end_s = np.clip(time_s - end_s, 0, None)
    down = slip_px * (1 - np.exp(-np.clip(time_s - slip_s, 0, None) / 0.4))
    down += deep_px * (1 - np.cos(2 * np.pi * since_end_s / period_s)) / 2
    down += 0.6 * scale * np.sin(2 * np.pi * time_s / 4 + rng.uniform(0, 2 * np.pi))
    right = 0.15 * down + rng.normal(0, 0.3 * scale, count)
    step = rng.normal(0, 1.1 * scale, (2, count, bubbles))
    return Motion(
        frame_time_ms=frame_time_ms,
        still_s=still_s,
        down_px=down,
        right_px=right,
        gas_down_px=step[0].cumsum(0),
        gas_right_px=step[1].cumsum(0),
        gas_size=1 + rng.normal(0, 0.02, (count, bubbles)).cumsum(0),
    )
