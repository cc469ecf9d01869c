"""What absorbs without contrast: liver, spine, ribs, lung and bowel gas, as line integrals.

Lengths are those of the full picture, 1021 px wide, times ``scale``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sample_data.noise import Image, power_law, smooth

FULL_WIDTH_PX = 1021


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Static anatomy of one patient.

    Attributes:
        scale: width over the full width of 1021 px.
        depth: (H, W), liver silhouette: 1 at the centre of a lobe, 0 on the edge, negative outside.
        thickness: (H, W), liver along the ray, 0 to 1.
        fixed: (H, W), line integral of what does not breathe: spine and most of the ribs.
        soft: (H, W), line integral of what moves with the diaphragm.
        warp: two (H, W) fields in px that make outlines irregular.
        centre_px: (x, y) of the right lobe.
        offset_px: (x, y) by which this liver lies off the average one.
    """

    scale: float
    depth: Image
    thickness: Image
    fixed: Image
    soft: Image
    warp: tuple[Image, Image]
    centre_px: NDArray[np.float64]
    offset_px: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.depth.shape[0], self.depth.shape[1]

    @property
    def liver(self) -> NDArray[np.bool_]:
        """(H, W), where the liver is."""
        return self.depth > 0


def draw_anatomy(shape: tuple[int, int], rng: np.random.Generator) -> Anatomy:
    """Draw one patient's anatomy for a picture of ``shape`` (H, W)."""
    height, width = shape
    scale = width / FULL_WIDTH_PX
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    offset = rng.uniform(-0.06, 0.06, 2) * (width, height)
    centre = offset + np.array([0.34 * width, 0.44 * height])
    warp = (9 * scale * smooth(shape, 150 * scale, rng), 9 * scale * smooth(shape, 150 * scale, rng))
    depth = _liver(x + warp[0], y + warp[1], centre, scale, size=rng.uniform(0.88, 1.12))
    thickness = ndimage.gaussian_filter(np.sqrt(np.clip(depth, 0, 1)), 3 * scale, truncate=3)
    spine_x = 0.60 * width + 8 * scale * np.sin(3 * y / height)
    ribs = _ribs(x - spine_x, y, scale)
    dome = 0.10 * height + 0.00042 / scale * (x - centre[0] - 20 * scale) ** 2
    lung = _step((dome - y) / (7 * scale)) * (0.95 + 0.07 * power_law(shape, 3.2, rng))
    return Anatomy(
        scale=scale,
        depth=depth,
        thickness=thickness,
        fixed=np.asarray(_spine(x - spine_x, y, scale) + 0.7 * ribs, dtype=np.float32),
        soft=np.asarray(2.0 + 0.3 * thickness + 0.3 * ribs - lung, dtype=np.float32),
        warp=warp,
        centre_px=centre,
        offset_px=offset,
    )


def _liver(x: Image, y: Image, centre: NDArray[np.float64], scale: float, *, size: float) -> Image:
    """Right lobe, left lobe and what joins them, merged by a soft maximum."""
    lobes = ((-35, 5, 245, 285, 0.18), (180, -105, 260, 120, 0.22), (40, -90, 250, 170, 0.10))
    depths = []
    for right, down, a, b, tilt in lobes:
        u, v = x - (centre[0] + right * scale), y - (centre[1] + down * scale)
        along, across = u * np.cos(tilt) + v * np.sin(tilt), v * np.cos(tilt) - u * np.sin(tilt)
        depths.append(14 * (1 - np.hypot(along / (a * scale * size), across / (b * scale * size))))
    top = np.maximum.reduce(depths)
    total = sum(np.exp(depth - top) for depth in depths)
    return np.asarray((top + np.log(total)) / 14, dtype=np.float32)


def _spine(from_spine: Image, y: Image, scale: float) -> Image:
    vertebra = 92 * scale
    body = np.exp(-((from_spine / (58 * scale)) ** 4)) * (0.75 + 0.10 * np.cos(2 * np.pi * y / vertebra))
    row = ((y % vertebra) - 40 * scale) / (15 * scale)
    pedicles = sum(
        0.18 * np.exp(-(((from_spine - side * 30 * scale) / (10 * scale)) ** 2 + row**2)) for side in (-1, 1)
    )
    return np.asarray(body + pedicles, dtype=np.float32)


def _ribs(from_spine: Image, y: Image, scale: float) -> Image:
    """Both sides, brighter along the edges of a rib."""
    outward = np.abs(from_spine)
    height = y - 0.28 * outward - 0.00055 / 0.6 * outward**2 / scale
    spacing, half = 92 * scale, 15 * scale
    from_axis = np.abs((height - 0.02 * y.shape[0] + spacing / 2) % spacing - spacing / 2) / half
    bone = 0.16 * np.clip(1 - from_axis**2, 0, None) + 0.10 * np.exp(-(((from_axis - 0.9) / 0.15) ** 2))
    return np.asarray(0.8 * bone * _step((np.abs(from_spine) - 45 * scale) / (4 * scale)), dtype=np.float32)


def _step(x: NDArray[np.floating]) -> Image:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), dtype=np.float32)
