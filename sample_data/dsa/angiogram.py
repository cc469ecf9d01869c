"""Angiogram without lesions: everything that several draws of lesions can share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.errors import BadInputError
from sample_data.dsa import detector, kinetics
from sample_data.dsa.anatomy import Anatomy, draw_anatomy
from sample_data.dsa.filling import fill, string
from sample_data.dsa.gas import Gas, draw_gas
from sample_data.dsa.motion import Motion, draw_motion
from sample_data.dsa.tree import Tree
from sample_data.dsa.vessels import catheter, gastroduodenal_artery, hepatic_artery
from sample_data.noise import Image, power_law, smooth
from sample_data.resample import translate

Size = Literal["small", "full"]
SHAPES: dict[Size, tuple[int, int]] = {"full": (788, 1021), "small": (394, 510)}
FULL_PIXEL_MM = 0.308  # on the detector
MAGNIFICATION = 1100 / 740
MASK_FRAMES = 2  # the first two frames, before the contrast arrives, are averaged into the mask


@dataclass(frozen=True, slots=True)
class Angiogram:
    """Lesion-free run of F frames of (H, W) pixels.

    Attributes:
        seed: what it was drawn from.
        anatomy: liver and all that absorbs without contrast.
        motion: clock, breathing, gas.
        hepatic, gastric: arterial trees, from which lesions are fed.
        injection_s: duration of the injection.
        difference: (F, H, W) float32, ln(intensity) of a frame less that of the mask, before clipping.
        mask: (H, W) float32, ln(intensity) of the mask, relative to the open beam.
        closed: (H, W), collimator.
        texture: (H, W), stain of the liver for a gain of 1, textured.
    """

    seed: int
    anatomy: Anatomy
    motion: Motion
    hepatic: Tree
    gastric: Tree
    injection_s: float
    difference: Image
    mask: Image
    closed: Image
    texture: Image

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.anatomy.shape

    @property
    def imager_spacing_mm(self) -> float:
        """Pixel on the detector."""
        return round(FULL_PIXEL_MM / self.anatomy.scale, 5)

    @property
    def pixel_spacing_mm(self) -> float:
        """Pixel at the isocentre."""
        return round(self.imager_spacing_mm / MAGNIFICATION, 5)


def base(seed: int, *, size: Size = "small") -> Angiogram:
    """Simulate an angiogram without lesions.

    Args:
        seed: patient; different seeds share nothing.
        size: "full" 1021 x 788 pixels, "small" half of it each way.

    Raises:
        BadInputError: the seed is negative or the size unknown.
    """
    if size not in SHAPES:
        raise BadInputError("size", expected='"small" or "full"', came=repr(size), fix="Choose one of the two.")
    return render(seed, SHAPES[size])


def render(seed: int, shape: tuple[int, int]) -> Angiogram:
    """Simulate an angiogram without lesions at any size; all lengths scale with the width."""
    if seed < 0:
        raise BadInputError("seed", expected="0 or more", came=str(seed), fix="Count seeds from 0.")
    rng = [np.random.default_rng([seed, stream]) for stream in range(5)]
    anatomy = draw_anatomy(shape, rng[0])
    gas = draw_gas(shape, anatomy.scale, rng[1])
    motion = draw_motion(len(gas.bubbles), anatomy.scale, rng[2])
    hepatic = hepatic_artery(anatomy, rng[3])
    gastric = gastroduodenal_artery(hepatic, anatomy, rng[3])
    curls = ((hepatic, 5), (gastric, 9))
    strung = [string(tree, rng[3], curl_px=curl * anatomy.scale) for tree, curl in curls]
    vessels = fill([*strung, catheter(hepatic, anatomy)], shape, anatomy.scale)
    injection_s = rng[3].uniform(2.6, 4.0)
    texture = 1 + 0.16 * smooth(shape, 45 * anatomy.scale, rng[0])
    texture += 0.12 * power_law(shape, 2.4, rng[0], high=0.06 / anatomy.scale)
    wall = _bowel_wall(anatomy, gas, rng[1])

    log = np.empty((len(motion.times_s), *shape), np.float32)
    for frame, time_s in enumerate(motion.times_s):
        contrast = vessels.contrast(float(time_s), injection_s) + wall * np.float32(kinetics.bowel(time_s))
        log[frame] = _log_intensity(anatomy, gas, motion, frame, contrast, rng[4])
    mask = log[:MASK_FRAMES].mean(0)
    log -= mask
    return Angiogram(
        seed=seed,
        anatomy=anatomy,
        motion=motion,
        hepatic=hepatic,
        gastric=gastric,
        injection_s=injection_s,
        difference=log,
        mask=mask,
        closed=detector.shutter(shape),
        texture=anatomy.thickness * np.clip(texture, 0.2, None),
    )


def _log_intensity(
    anatomy: Anatomy, gas: Gas, motion: Motion, frame: int, contrast: Image, rng: np.random.Generator
) -> Image:
    """ln(intensity) (H, W) of one frame: anatomy where the breath has moved it, contrast, noise, edge enhancement."""
    down, right = float(motion.down_px[frame]), float(motion.right_px[frame])
    attenuation = anatomy.fixed + translate(anatomy.soft, 0.8 * down, right)
    attenuation += gas.picture(motion.gas_down_px[frame] + down, motion.gas_right_px[frame], motion.gas_size[frame])
    attenuation += detector.blur(translate(contrast, down, right), anatomy.scale)
    return detector.sharpen(detector.quantum_noise(attenuation, rng) - attenuation, anatomy.scale)


def _bowel_wall(anatomy: Anatomy, gas: Gas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Stain (H, W) of two to five loops of stomach and duodenum: a folded wall around a paler inside."""
    shape, scale = anatomy.shape, anatomy.scale
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    folds = np.clip(1 + 0.5 * power_law(shape, 1.6, rng, low=0.002 / scale, high=0.03 / scale), 0.2, 2)
    patches = np.clip(0.5 + 0.8 * smooth(shape, 50 * scale, rng), 0, 1.6)
    stain = np.zeros(shape, np.float32)
    for _ in range(rng.integers(2, 6)):
        u = x - rng.normal(0.56 * width, 80 * scale) + 1.5 * anatomy.warp[0] + 6 * scale * gas.rough
        v = y - rng.normal(0.78 * height, 55 * scale) + 1.5 * anatomy.warp[1] + 6 * scale * gas.rough
        a, b, tilt = rng.uniform(30, 95) * scale, rng.uniform(16, 40) * scale, rng.uniform(0, 3)
        along, across = u * np.cos(tilt) + v * np.sin(tilt), v * np.cos(tilt) - u * np.sin(tilt)
        radius = np.hypot(along / a, across / b)
        wall = 0.6 * np.exp(-(((radius - 0.85) / 0.25) ** 2))
        inside = 0.5 / (1 + np.exp(np.clip((radius - 0.9) / 0.12, -30, 30)))
        stain += (rng.uniform(0.03, 0.10) * (wall + inside)).astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(stain * patches * folds, 2 * scale, truncate=3), dtype=np.float32)
