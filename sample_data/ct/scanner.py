"""What the scanner adds: blur, noise with the spectrum of a reconstruction, faint streaks."""

from functools import lru_cache

import numpy as np
from scipy import fft

from sample_data.ct.field import Image
from sample_data.ct.space import Space

PEAK_PER_MM = 0.22  # of the noise power spectrum, a soft-tissue kernel
RESAMPLED_MM = 1.2  # standard deviation of what smooths the noise of a coarse grid
STREAK_HU, STREAK_MM = 2.0, 60.0


def blur(picture: Image, space: Space) -> Image:
    """Blur (K, J, I) as optics of the scan do: about 0.7 pixels in the plane where pixels are small, little across."""
    soft = min(0.5, 0.25 / space.spacing_mm[2])  # share of the two neighbours
    for axis, share in ((0, 0.06), (1, soft), (2, soft)):
        picture = _with_neighbours(picture, axis, np.float32(share))
    return picture


def noise(rng: np.random.Generator, space: Space, build: float, sigma_hu: float) -> Image:
    """Draw noise (K, J, I): strongest in the middle of the body, ramp times kernel as its spectrum, streaks across."""
    count, height, width = space.shape
    amplitude = _amplitude(height, width, space.spacing_mm[2])
    half = rng.standard_normal((count, height, width // 2 + 1, 2), dtype=np.float32)
    spectrum = half.view(np.complex64)[..., 0] * amplitude
    drawn: Image = fft.irfft2(spectrum, (height, width), workers=1)
    _, y, x = space.axes()
    y, x = y[0] / np.float32(build), x[0] / np.float32(build)
    where = 0.62 + 0.38 * np.exp(-((x / 110) ** 2 + (y / 75) ** 2)) - 0.25 * (np.hypot(x / 165, y / 118) > 1)
    drawn *= (sigma_hu * where).astype(np.float32)
    knots = int(np.ceil(width * space.spacing_mm[2] / STREAK_MM)) + 2
    rows = rng.standard_normal((count, height, knots), dtype=np.float32)
    at = np.linspace(0, knots - 1, width)
    weights = np.clip(1 - np.abs(at - np.arange(knots)[:, None]), 0, None).astype(np.float32)
    streaks = (rows @ weights) * (STREAK_HU * np.exp(-((y / 60) ** 2))).astype(np.float32)
    return np.asarray(drawn + streaks, dtype=np.float32)


@lru_cache(maxsize=4)
def _amplitude(height: int, width: int, spacing_mm: float) -> Image:
    """Amplitudes for ``irfft2`` that give variance 1.

    A grid too coarse for the spectrum of a reconstruction has what resampling leaves: white noise, half of it smooth.
    """
    f = np.hypot(np.fft.fftfreq(height, spacing_mm)[:, None], np.fft.rfftfreq(width, spacing_mm)[None])
    if 0.5 / spacing_mm > 2 * PEAK_PER_MM:
        power = (f + 0.02 * PEAK_PER_MM) * np.exp(-((f / (PEAK_PER_MM * np.sqrt(2))) ** 2))
    else:
        smooth = np.exp(-((2 * np.pi * RESAMPLED_MM * f) ** 2))
        power = 0.44 + 0.56 * smooth / smooth.mean()
    twice = np.full(width // 2 + 1, 2.0)
    twice[0] = 1
    twice[-1] = 1 if width % 2 == 0 else 2
    scale = (height * width) ** 2 / (2 * (power * twice).sum())
    return np.asarray(np.sqrt(power * scale), dtype=np.float32)


def _with_neighbours(picture: Image, axis: int, share: np.float32) -> Image:
    """Mix every voxel with its two neighbours along an axis, which get ``share`` together; edges are repeated."""
    view = np.moveaxis(picture, axis, 0)
    mixed = (1 - share) * view
    half = share / 2
    mixed[1:] += half * view[:-1]
    mixed[:-1] += half * view[1:]
    mixed[0] += half * view[0]
    mixed[-1] += half * view[-1]
    return np.moveaxis(mixed, 0, axis)
