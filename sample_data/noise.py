"""Random fields that textures are made of."""

import numpy as np
from numpy.typing import NDArray

from sample_data.resample import cubic

Image = NDArray[np.float32]


def power_law(
    shape: tuple[int, int], exponent: float, rng: np.random.Generator, *, low: float = 0.0, high: float | None = None
) -> Image:
    """Gaussian field whose power spectrum falls as 1/f^exponent, mean 0 and variance 1.

    Args:
        shape: (H, W).
        exponent: of the power spectrum; 0 is white.
        rng: source of randomness.
        low: frequencies below are absent, cycles/px.
        high: Gaussian roll-off, cycles/px; None keeps all.
    """
    height, width = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]).astype(np.float32)
    frequency[0, 0] = 1
    amplitude = frequency ** (-exponent / 2)
    amplitude[frequency < low] = 0
    amplitude[0, 0] = 0
    if high is not None:
        amplitude *= np.exp(-((frequency / high) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32)) * amplitude, shape)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def smooth(shape: tuple[int, int], length_px: float | tuple[float, float], rng: np.random.Generator) -> Image:
    """Field of about unit variance: white noise on a coarse grid, cubic between.

    Args:
        shape: (H, W).
        length_px: over which it varies; one for both axes, or one for each.
        rng: source of randomness.
    """
    lengths = length_px if isinstance(length_px, tuple) else (length_px, length_px)
    coarse = (int(np.ceil(shape[0] / lengths[0])) + 3, int(np.ceil(shape[1] / lengths[1])) + 3)
    return cubic(rng.standard_normal(coarse, dtype=np.float32), shape)
