"""What the beams pass through: abdominal wall, liver, vessels, diaphragm."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sample_data.us.probe import Image, Probe
from sample_data.us.vessels import draw_vessels

Mask = NDArray[np.bool_]

LIVER_ATTENUATION: Final = 0.55  # dB/cm/MHz, and what the scanner's gain makes up for
BLOOD_DB, BLOOD_ATTENUATION = -27.0, 0.12
LIVER_SCATTERERS: Final = 12.0


@dataclass(slots=True)
class Tissue:
    """Maps (S, B) on the grid of a probe.

    Attributes:
        echo_db: backscatter against that of liver.
        specular: amplitude of smooth interfaces against that of liver.
        attenuation: dB/cm/MHz.
        shadow_db: what is lost at ribs and edges, two-way.
        scatterers: shape of the gamma distribution of their strength: the fewer, the coarser the speckle.
        liver: where there is liver, vessels included.
        vessel: where there is blood.
        bile: where there is bile.
    """

    echo_db: Image
    specular: Image
    attenuation: Image
    shadow_db: Image
    scatterers: Image
    liver: Mask
    vessel: Mask
    bile: Mask

    def blend(self, share: Image, echo_db: Image | float, attenuation: float) -> None:
        """Replace so much of the tissue (S, B, from 0 to 1) by another."""
        self.echo_db += share * (echo_db - self.echo_db)
        self.attenuation += share * (attenuation - self.attenuation)


def edge(depth_mm: NDArray[np.floating], width_mm: float) -> Image:
    """Share from 0 outside to 1 inside a border; ``depth_mm`` is positive inside."""
    return np.asarray(1 / (1 + np.exp(np.clip(-depth_mm / width_mm, -30, 30))), dtype=np.float32)


def ridge(distance_mm: NDArray[np.floating], width_mm: float) -> Image:
    """Gaussian about a line."""
    return np.asarray(np.exp(-((distance_mm / width_mm) ** 2)), dtype=np.float32)


def draw_tissue(probe: Probe, seed: int, *, around: tuple[tuple[float, float, float], ...] = ()) -> Tissue:
    """Draw a patient's upper abdomen.

    Args:
        probe: on whose grid.
        seed: of the patient.
        around: (x, z, diameter) in millimetres of what pushes vessels aside.
    """
    rng = np.random.default_rng([seed, 8100])
    x, z = probe.x, probe.z
    depth = np.broadcast_to(probe.depths[:, None], probe.shape)
    wall_mm = float(rng.uniform(0.75, 1.35))
    wave = 1.9 * probe.field(16, 20, rng)
    texture = 1.5 * probe.field(1.4, 2.3, rng) + 1.2 * probe.field(4.5, 6.4, rng) + 0.8 * probe.field(20, 23, rng)
    made = Tissue(
        echo_db=texture,
        specular=np.zeros(probe.shape, np.float32),
        attenuation=np.full(probe.shape, LIVER_ATTENUATION, np.float32),
        shadow_db=np.zeros(probe.shape, np.float32),
        scatterers=np.full(probe.shape, LIVER_SCATTERERS, np.float32),
        liver=np.zeros(probe.shape, bool),
        vessel=np.zeros(probe.shape, bool),
        bile=np.zeros(probe.shape, bool),
    )
    capsule = _paint_wall(made, probe, depth, wave, wall_mm, rng)
    beyond = _paint_diaphragm(made, probe, wave, rng)
    inside = (depth > capsule + 3) & ~beyond
    made.liver = (depth > capsule) & ~beyond
    vessels = draw_vessels(probe, seed, around)
    for lumen_mm, walled in vessels:
        if walled:
            made.echo_db += inside * 8.5 * ridge(lumen_mm - 0.9, 0.8)
        else:
            made.echo_db += inside * 3 * ridge(lumen_mm - 0.2, 0.35)
    for lumen_mm, _ in vessels:
        blood = edge(-lumen_mm, 0.25) * inside
        made.blend(blood, BLOOD_DB, BLOOD_ATTENUATION)
        made.vessel |= blood > 0.5
    _paint_gallbladder(made, x, z, inside, around, rng)
    for side, width, loss_db in ((1, 0.06, 14), (-1, 0.05, 9)):  # ribs, or poor contact
        at = side * rng.uniform(0.30, 0.62)
        made.shadow_db += loss_db * ridge((probe.angles - at)[None], width) * np.clip((depth - 14) / 10, 0, 1)
    return made


def _paint_wall(
    made: Tissue, probe: Probe, depth: Image, wave: Image, wall_mm: float, rng: np.random.Generator
) -> Image:
    """Paint skin, fat, fascia and muscle; return the depth of the liver's capsule (S, B), millimetres."""
    deep = (depth + 0.5 * wave) / wall_mm
    skin, fat, muscle = deep < 2.5, (deep >= 2.5) & (deep < 11), (deep >= 11) & (deep < 20)
    made.echo_db[skin] = 7
    made.echo_db[fat] = -6 + 2 * probe.field(1.2, 9, rng)[fat]
    made.echo_db[muscle] = (-4 + 3 * np.sin(2.2 * deep + 2 * wave))[muscle]
    for layer in range(9):
        line = deep - (3 + 2.6 * layer + 0.9 * wave)
        broken = probe.field(6, 14, rng) > -0.4
        made.specular += 3 * rng.uniform(0.3, 1) * ridge(line, 0.35) * broken * (deep < 20.5)
    capsule = (20.5 + 0.8 * wave) * wall_mm
    made.specular += 4.7 * ridge(depth - capsule, 0.4)
    return capsule.astype(np.float32)


def _paint_diaphragm(made: Tissue, probe: Probe, wave: Image, rng: np.random.Generator) -> Mask:
    """Paint an arc that fades out to both sides; return what lies beyond."""
    radius, middle = 162 + rng.normal(0, 5), rng.normal(-6, 6)
    out = np.hypot(probe.x + 8, probe.z + 30 + wave) - radius
    fading = edge(52 - np.abs(probe.x - middle + 12 * wave / 2), 6)
    uneven = 0.6 + 0.5 * np.clip(probe.field(20, 10, rng), -1, 1)
    made.specular += 14.7 * ridge(out, 0.9) * fading * uneven
    beyond: Mask = out > 1
    made.echo_db[beyond] -= 9
    return beyond


def _paint_gallbladder(
    made: Tissue,
    x: Image,
    z: Image,
    inside: Mask,
    around: tuple[tuple[float, float, float], ...],
    rng: np.random.Generator,
) -> None:
    """Paint one in every fourth patient, where no lesion is: bile, a wall, and more sound behind it."""
    is_there = rng.random() < 0.25
    at_x, at_z, tilt = rng.choice([-1, 1]) * rng.uniform(30, 46), rng.uniform(62, 92), rng.uniform(-0.9, 0.9)
    long_mm, short_mm = rng.uniform(20, 30), rng.uniform(8, 13)
    near = any(np.hypot(at_x - cx, at_z - cz) < long_mm + size / 2 + 4 for cx, cz, size in around)
    if not is_there or near:
        return
    along = (x - at_x) * np.cos(tilt) + (z - at_z) * np.sin(tilt)
    across = (z - at_z) * np.cos(tilt) - (x - at_x) * np.sin(tilt)
    narrowing = short_mm * (1 - 0.3 * np.clip(along / long_mm, -1, 1))
    rho = np.sqrt(np.abs(along / long_mm) ** 2.6 + (across / narrowing) ** 2)
    into_mm = (1 - rho) * short_mm
    lumen = edge(into_mm, 0.4) * inside
    made.blend(lumen, -42.0, 0.03)
    made.specular += 1.3 * ridge(into_mm + 0.5, 0.5) * inside
    made.bile |= lumen > 0.5
