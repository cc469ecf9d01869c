"""From line integrals to what the detector and the vendor's processing show."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sample_data.noise import Image
from sample_data.resample import area, cubic

QUANTA = 5.5e5
GREY_OF_ZERO, GREY_PER_LOG = 150.0, 460.0
LIVE_OF_ZERO, LIVE_PER_LOG = 4785.0, 920.0
SHUTTER_GREY = 8


def blur(contrast: Image, scale: float) -> Image:
    """Focal spot and detector (0.75 px) with 7 % veiling glare (sigma 14 px of the full picture).

    Args:
        contrast: (H, W) line integrals.
        scale: width over the full width of 1021 px.
    """
    height, width = contrast.shape
    step = max(1, round(12 * scale))
    coarse = area(contrast, (-(-height // step), -(-width // step)))
    glare = cubic(ndimage.gaussian_filter(coarse, 14 * scale / step), (height, width))
    return np.asarray(0.93 * ndimage.gaussian_filter(contrast, 0.75, truncate=3) + 0.07 * glare, dtype=np.float32)


def quantum_noise(attenuation: Image, rng: np.random.Generator) -> Image:
    """Noise of the logarithm of the intensity behind ``attenuation`` (H, W): fewer quanta, more noise."""
    white = rng.standard_normal(attenuation.shape, dtype=np.float32)
    white *= np.exp(0.5 * attenuation) * np.float32(1.9 / np.sqrt(QUANTA))
    return np.asarray(ndimage.gaussian_filter(white, 0.6, truncate=3), dtype=np.float32)


def sharpen(log: Image, scale: float) -> Image:
    """Apply the vendor's edge enhancement: 35 % unsharp mask, sigma 2.2 px of the full picture."""
    return np.asarray(log + 0.35 * (log - ndimage.gaussian_filter(log, 2.2 * scale, truncate=3)), dtype=np.float32)


def shutter(shape: tuple[int, int]) -> Image:
    """Collimator: (H, W), 0 in the open field, 1 under the blades, a soft edge between."""
    height, width = shape
    rows, columns = np.arange(height)[:, None] - height / 2, np.arange(width)[None] - width / 2
    closed = (np.abs(rows) > 0.49 * height) | (np.abs(columns) > 0.492 * width)
    return np.asarray(ndimage.gaussian_filter(closed.astype(np.float32), 2), dtype=np.float32)


def display(difference: Image, closed: Image) -> NDArray[np.uint8]:
    """Subtracted picture, g = 150 + 460 D.

    Args:
        difference: (..., H, W), D = ln(intensity) of the live picture less that of the mask.
        closed: (H, W) from ``shutter``.
    """
    grey = np.clip(GREY_OF_ZERO + GREY_PER_LOG * difference, 0, 255)
    grey += closed * (SHUTTER_GREY - grey)
    return np.asarray(np.rint(grey, out=grey), dtype=np.uint8)


def display_live(log: Image, closed: Image) -> NDArray[np.uint16]:
    """Unsubtracted picture, 12 bit, 4785 + 920 ln(intensity): 2 values to one grey of the subtracted picture."""
    value = np.clip(LIVE_OF_ZERO + LIVE_PER_LOG * log, 0, 4095) * (1 - closed)
    return np.asarray(np.rint(value, out=value), dtype=np.uint16)
