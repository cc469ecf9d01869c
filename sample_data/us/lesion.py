"""How a focal lesion of the liver looks in B-mode, and how it is painted."""

from dataclasses import dataclass

import numpy as np

from sample_data.us.probe import Image, Probe
from sample_data.us.tissue import Tissue, edge, ridge

_HARMONICS = (2, 3, 5)


@dataclass(frozen=True, slots=True)
class Look:
    """A lesion's echoes, decibels against liver.

    Attributes:
        echo_db: of its body.
        rim_db: its margin against its body: a dark halo is negative.
        rim_share: how far the margin reaches inwards, of the radius.
        core_db: its inner third against its body.
        scar_db: a star in its middle against its body.
        mosaic_db: coarse texture, standard deviation.
        grain_db: fine texture, standard deviation.
        wall: amplitude of a smooth wall.
        attenuation: dB/cm/MHz; less than the liver's brightens what is behind, more darkens it.
        scatterers: as in ``Tissue``.
        edge_shadow_db: of its sides.
    """

    echo_db: float
    rim_db: float = 0.0
    rim_share: float = 0.1
    core_db: float = 0.0
    scar_db: float = 0.0
    mosaic_db: float = 0.0
    grain_db: float = 1.2
    wall: float = 0.0
    attenuation: float = 0.55
    scatterers: float = 12.0
    edge_shadow_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion in the plane of the picture.

    Attributes:
        kind: as drawn.
        x_mm, z_mm: its centre in the probe's coordinates.
        size_mm: mean diameter.
        lobes: (amplitude, phase) of the harmonics of its outline.
        look: its echoes.
        seed: of its texture.
    """

    kind: str
    x_mm: float
    z_mm: float
    size_mm: float
    lobes: tuple[tuple[float, float], ...]
    look: Look
    seed: int

    @property
    def place(self) -> tuple[float, float, float]:
        """(x, z, diameter), millimetres."""
        return self.x_mm, self.z_mm, self.size_mm

    def rho(self, x: Image, z: Image) -> Image:
        """Distance from the centre over that of the outline: below 1 inside."""
        dx, dz = x - np.float32(self.x_mm), z - np.float32(self.z_mm)
        return np.asarray(np.hypot(dx, dz) / self.radius_mm(np.arctan2(dz, dx)), dtype=np.float32)

    def radius_mm(self, angle: Image) -> Image:
        """Radius of the outline in a direction."""
        waves = [size * np.cos(k * angle + phase) for k, (size, phase) in zip(_HARMONICS, self.lobes, strict=True)]
        return np.asarray(self.size_mm / 2 * (1 + sum(waves)), dtype=np.float32)


def draw_lobes(rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Draw an outline."""
    sizes = np.array([0.07, 0.05, 0.03]) * rng.uniform(0.5, 1.4)
    return tuple((float(size), float(rng.uniform(0, 2 * np.pi))) for size in sizes)


def paint_lesion(tissue: Tissue, probe: Probe, lesion: Lesion) -> None:
    """Paint a lesion into tissue, and the shadows of its edges."""
    look = lesion.look
    rng = np.random.default_rng([lesion.seed, 8300])
    dx, dz = probe.x - np.float32(lesion.x_mm), probe.z - np.float32(lesion.z_mm)
    angle, away = np.arctan2(dz, dx), np.hypot(dx, dz)
    radius = lesion.radius_mm(angle)
    rho = away / radius
    coarse_mm = float(np.clip(0.22 * lesion.size_mm, 3, 9))
    echo = look.echo_db + look.mosaic_db * probe.field(coarse_mm, coarse_mm, rng)
    echo += look.grain_db * probe.field(2.2, 3.2, rng)
    echo += look.rim_db * edge(rho - (1 - look.rim_share), 0.035)
    echo += look.core_db * edge(0.36 - rho, 0.06)
    if look.scar_db:
        spokes = ridge(rho * np.abs(np.sin(1.5 * angle + lesion.lobes[0][1])), 0.05) * (rho < 0.65)
        echo += look.scar_db * np.clip(ridge(rho, 0.13) + 0.8 * spokes, 0, 1)
    share = edge((1 - rho) * radius, 0.6)
    tissue.blend(share, echo.astype(np.float32), look.attenuation)
    inside = rho < 1
    tissue.scatterers[inside] = look.scatterers
    tissue.vessel &= ~inside
    tissue.bile &= ~inside
    if look.wall:
        facing = np.abs(np.sin(angle))
        tissue.specular += look.wall * ridge(away - radius, 0.4) * facing
    if look.edge_shadow_db:
        down = lesion.z_mm + 60.0
        far = np.hypot(lesion.x_mm, down)
        middle, half = np.arctan2(lesion.x_mm, down), np.arcsin(min(0.99, lesion.size_mm / 2 / far))
        below = np.hypot(probe.x, probe.z + 60.0) > far
        for side in (-1, 1):
            tissue.shadow_db += (
                look.edge_shadow_db * ridge((probe.angles - (middle + side * half))[None], 0.012) * below
            )
