"""Neighbouring organs that stain diffusely like the liver and overlap its edge.

Without them a network learns where the stain is and needs to know nothing of the liver.
"""

import numpy as np
from scipy import ndimage

from sample_data.dsa.anatomy import FULL_WIDTH_PX, Anatomy
from sample_data.dsa.tree import Numbers
from sample_data.noise import Image, power_law, smooth
from sample_data.resample import area, cubic

COARSE_WIDTH_PX = 160
OTHERS = 3
OVERLAP, EDGE = 0.08, 0.04  # liver depth


def coarse_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Grid on which soft things are drawn, 160 px wide at most."""
    width = min(COARSE_WIDTH_PX, shape[1])
    return round(shape[0] * width / shape[1]), width


def draw_organs(anatomy: Anatomy, under: list[tuple[Numbers, float]], rng: np.random.Generator) -> Image:
    """Stain (H, W) relative to the liver's thickest part.

    Args:
        anatomy: of the patient.
        under: centres (x, y) and diameters in px, an organ lies about each; three more lie anywhere below.
        rng: source of randomness.
    """
    shape = coarse_shape(anatomy.shape)
    per_px = shape[1] / anatomy.shape[1]
    height, width = shape
    full_px = width / FULL_WIDTH_PX  # coarse pixels to one of the full picture
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    centres = [(centre + rng.normal(0, 0.3 * diameter_px, 2)) * per_px for centre, diameter_px in under]
    centres += [rng.uniform((0.06 * width, 0.45 * height), (0.94 * width, 0.94 * height)) for _ in range(OTHERS)]
    stain = np.zeros(shape, np.float32)
    for at in centres:
        a, b = rng.uniform(102, 217) * full_px, rng.uniform(77, 153) * full_px
        tilt, level = rng.uniform(0, 3), rng.uniform(0.5, 0.85)
        u, v = x - np.float32(at[0]), y - np.float32(at[1])
        along, across = u * np.cos(tilt) + v * np.sin(tilt), v * np.cos(tilt) - u * np.sin(tilt)
        radius2 = ((along / a) ** 2 + (across / b) ** 2) * (1 + 0.3 * smooth(shape, 128 * full_px, rng))
        stain = np.maximum(stain, level * np.sqrt(np.clip(1 - radius2, 0, 1)))
    outside = 1 / (1 + np.exp(np.clip((area(anatomy.depth, shape) - OVERLAP) / EDGE, -30, 30)))
    texture = 1 + 0.16 * smooth(shape, 45 * full_px, rng) + 0.12 * power_law(shape, 2.4, rng, high=0.4)
    soft = ndimage.gaussian_filter(stain, 5 * full_px) * outside * np.clip(texture, 0.2, None)
    return cubic(np.asarray(soft, dtype=np.float32), anatomy.shape)
