"""Contrast against time: bolus in an artery, stain of a tissue, pool.

All times are in seconds from the first frame; the injection starts at ``INJECTION_S``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

INJECTION_S = 1.0

Curve = NDArray[np.float64]


def bolus(time_s: ArrayLike, arrival_s: ArrayLike, duration_s: float) -> Curve:
    """Filling of a vessel, 0 to 1: a box of ``duration_s`` that disperses the later it arrives.

    Args:
        time_s: times of the frames.
        arrival_s: travelling time from the catheter, broadcast against ``time_s``.
        duration_s: length of the injection.
    """
    arrival = np.asarray(arrival_s, dtype=np.float64)
    since = np.asarray(time_s, dtype=np.float64) - INJECTION_S - 0.2 - arrival
    return np.asarray(
        ndtr(since / (0.18 + 0.10 * arrival)) - ndtr((since - duration_s) / (0.30 + 0.22 * arrival)), dtype=np.float64
    )


def gamma_variate(time_s: ArrayLike, *, delay_s: float, to_peak_s: float, alpha: float) -> Curve:
    """Gamma-variate curve with peak 1, ``to_peak_s`` after it starts, ``delay_s`` after the injection."""
    x = np.clip((np.asarray(time_s, dtype=np.float64) - INJECTION_S - delay_s) / to_peak_s, 0, None)
    return np.asarray(x**alpha * np.exp(alpha * (1 - x)), dtype=np.float64)


def parenchyma(time_s: ArrayLike) -> Curve:
    """Stain of liver and neighbouring organs, peak 1 at 5.8 s after the injection."""
    return gamma_variate(time_s, delay_s=0.8, to_peak_s=5.0, alpha=2.2)


def bowel(time_s: ArrayLike) -> Curve:
    """Stain of the walls of stomach and bowel."""
    return gamma_variate(time_s, delay_s=1.6, to_peak_s=3.0, alpha=2.0)


def tumour(time_s: ArrayLike, *, delay_s: float, rise_s: float, washout_per_s: float) -> Curve:
    """Stain of a tumour: late, slow to rise, washed out from 4 s after it begins."""
    x = np.clip(np.asarray(time_s, dtype=np.float64) - INJECTION_S - delay_s, 0, None)
    return np.asarray((1 - np.exp(-1.6 * x / rise_s)) * np.exp(-washout_per_s * np.clip(x - 4, 0, None)))


def pool(time_s: ArrayLike, *, delay_s: float, rise_s: float, decay_per_s: float) -> Curve:
    """Early pool, such as a vessel seen end-on: fills with the artery and stays."""
    x = np.clip(np.asarray(time_s, dtype=np.float64) - INJECTION_S - delay_s, 0, None)
    return np.asarray((1 - np.exp(-x / rise_s)) * np.exp(-decay_per_s * x))
