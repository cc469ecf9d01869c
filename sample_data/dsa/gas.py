"""Bowel gas: chains of bubbles that wander by themselves between mask and run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_data.noise import Image, smooth

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gas:
    """Bubbles.

    Attributes:
        bubbles: (n, 6): x, y, half axes a and b in px, tilt in radians, strength.
        rough: (H, W), makes outlines irregular.
    """

    bubbles: Numbers
    rough: Image

    def picture(self, down_px: Numbers, right_px: Numbers, size: Numbers) -> Image:
        """Line integral (H, W), negative, with each of the n bubbles moved and grown."""
        height, width = self.rough.shape
        cubed = np.zeros((height, width), np.float32)
        for (x, y, a, b, tilt, strength), down, right, grown in zip(self.bubbles, down_px, right_px, size, strict=True):
            reach = int(1.5 * max(a, b) * grown) + 4
            row, column = y + down, x + right
            rows = slice(int(np.clip(row - reach, 0, height)), int(np.clip(row + reach + 1, 0, height)))
            columns = slice(int(np.clip(column - reach, 0, width)), int(np.clip(column + reach + 1, 0, width)))
            v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(row)
            u = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - np.float32(column)
            cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
            radius2 = ((u * cos + v * sin) / np.float32(a * grown)) ** 2
            radius2 += ((v * cos - u * sin) / np.float32(b * grown)) ** 2
            inside = np.clip(1 - radius2 + 0.35 * self.rough[rows, columns], 0, None)
            cubed[rows, columns] += np.float32(strength**3) * inside * np.sqrt(inside)
        return np.asarray(-np.cbrt(cubed), dtype=np.float32)


def draw_gas(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Gas:
    """Draw five to nine chains of one to four bubbles in the lower part of a picture (H, W)."""
    height, width = shape
    bubbles = []
    for _ in range(rng.integers(5, 10)):
        x, y = rng.uniform(0.25, 0.95) * width, rng.uniform(0.62, 1.0) * height
        a, b, tilt = rng.uniform(18, 60) * scale, rng.uniform(14, 34) * scale, rng.uniform(0, 3)
        strength = rng.uniform(0.06, 0.20)
        for _ in range(rng.integers(1, 5)):
            bubbles.append((x, y, a, b, tilt, strength))
            heading = tilt + rng.normal(0, 0.4)
            x, y = x + 1.25 * a * np.cos(heading), y + 1.25 * a * np.sin(heading)
            a, b = a * rng.uniform(0.7, 1.2), b * rng.uniform(0.8, 1.2)
    return Gas(np.array(bubbles, dtype=np.float64), smooth(shape, 26 * scale, rng))
