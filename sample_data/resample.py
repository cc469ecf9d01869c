"""Separable resampling of images by two small matrices, one per axis."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def area(images: NDArray[np.generic], shape: tuple[int, int]) -> Image:
    """Shrink images to ``shape``: every output pixel is the mean over the area it covers.

    Args:
        images: (..., H, W), any real dtype.
        shape: (h, w), not larger than (H, W).

    Returns:
        (..., h, w) float32.
    """
    height, width = images.shape[-2:]
    shrunk = _area_weights(height, shape[0]) @ images.astype(np.float32) @ _area_weights(width, shape[1]).T
    return np.asarray(shrunk, dtype=np.float32)


def cubic(image: Image, shape: tuple[int, int]) -> Image:
    """Enlarge one image (h, w) to ``shape`` (H, W) by cubic convolution; the corner pixels keep their places."""
    enlarged = _cubic_weights(image.shape[0], shape[0]) @ image @ _cubic_weights(image.shape[1], shape[1]).T
    return np.asarray(enlarged, dtype=np.float32)


def translate(image: Image, down_px: float, right_px: float) -> Image:
    """Move an image (H, W) by a fraction of pixels, linear in between, edge pixels repeated."""
    return _move(_move(image, down_px, 0), right_px, 1)


def _move(image: Image, by_px: float, axis: int) -> Image:
    whole = int(np.floor(by_px))
    part = np.float32(by_px - whole)
    last = image.shape[axis] - 1
    at = np.arange(last + 1) - whole
    near: Image = image.take(np.clip(at, 0, last), axis=axis)
    if part == 0:
        return near
    before = image.take(np.clip(at - 1, 0, last), axis=axis)
    return np.asarray(near + part * (before - near), dtype=np.float32)


@lru_cache(maxsize=64)
def _area_weights(old: int, new: int) -> Image:
    edges = np.linspace(0, old, new + 1)
    cells = np.arange(old)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    weights = np.clip(overlap, 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)


@lru_cache(maxsize=64)
def _cubic_weights(old: int, new: int) -> Image:
    at = np.linspace(0, old - 1, new)
    x = np.abs(at[:, None] - np.arange(old))
    inner = (1.5 * x - 2.5) * x**2 + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x <= 1, inner, np.where(x < 2, outer, 0))
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)
