"""Portal and hepatic veins as a slice through the liver shows them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sample_data.us.probe import Image, Probe

Point = tuple[float, float]
_BEND_MM = 4.4, 3.0
_PUSH = 0.45  # 1: all that was where the lesion is has moved aside; 0: nothing has


@dataclass(slots=True)
class _Trees:
    """Vessels in the liver at rest.

    Attributes:
        x, z: (S, B) places, bent so that no vessel runs straight.
        rng: source of randomness.
        lumen_mm: distance to the nearest lumen of walled (portal) and unwalled (hepatic) veins, negative inside.
    """

    x: Image
    z: Image
    rng: np.random.Generator
    lumen_mm: dict[bool, Image] = field(default_factory=dict)

    def tube(self, points: list[Point], first_mm: float, last_mm: float, walled: bool) -> None:
        """Add a vessel whose radius goes from the first to the last."""
        nearest = self.lumen_mm.setdefault(walled, np.full(self.x.shape, 99, np.float32))
        parts = len(points) - 1
        for index in range(parts):
            a, b = np.array(points[index]), np.array(points[index + 1])
            along = b - a
            share = ((self.x - a[0]) * along[0] + (self.z - a[1]) * along[1]) / (along @ along)
            share = np.clip(share, 0, 1)
            radius = first_mm + (last_mm - first_mm) * (index + share) / parts
            away = np.hypot(self.x - a[0] - share * along[0], self.z - a[1] - share * along[1]) - radius
            np.minimum(nearest, away.astype(np.float32), out=nearest)

    def branch(self, start: Point, angle: float, radius_mm: float, length_mm: float, order: int, walled: bool) -> None:
        """Add a vessel and, mostly, two smaller ones from its end."""
        if order == 0 or radius_mm < 0.8:
            return
        rng = self.rng
        step = length_mm * np.array([np.cos(angle), np.sin(angle)])
        middle = np.array(start) + step / 2 + rng.normal(0, 1.5, 2)
        end = np.array(start) + step
        self.tube([start, tuple(middle), tuple(end)], radius_mm, 0.8 * radius_mm, walled)
        for side in (-1, 1):
            if rng.random() < 0.75:
                turn = side * rng.uniform(0.3, 0.7)
                self.branch(tuple(end), angle + turn, 0.68 * radius_mm, 0.75 * length_mm, order - 1, walled)


def draw_vessels(probe: Probe, seed: int, around: tuple[tuple[float, float, float], ...]) -> list[tuple[Image, bool]]:
    """Draw a portal tree, a hepatic one and some veins cut across, which look like cysts.

    Args:
        probe: on whose grid.
        seed: of the patient.
        around: (x, z, diameter) in millimetres of what pushes vessels aside.

    Returns:
        (millimetres to the nearest lumen, negative inside; whether its wall is bright), unwalled ones first.
    """
    rng = np.random.default_rng([seed, 8200])
    x, z = _pushed(probe.x, probe.z, around)
    bend = probe.field(11, 12, rng)
    trees = _Trees(x + np.float32(_BEND_MM[0] / 2) * bend, z + np.float32(_BEND_MM[1] / 2) * bend, rng)
    trees.branch((-58 + rng.normal(0, 5), 105 + rng.normal(0, 5)), -0.35 + rng.normal(0, 0.25), 4.6, 34, 3, True)
    trees.branch((40 + rng.normal(0, 6), 118 + rng.normal(0, 4)), -2.2 + rng.normal(0, 0.25), 4.0, 34, 3, False)
    for _ in range(int(rng.integers(3, 7))):
        at = np.array([rng.uniform(-45, 45), rng.uniform(35, 110)])
        to = at + rng.normal(0, (4, 3))
        walled = bool(rng.random() < 0.6)
        trees.tube([tuple(at), tuple(to)], float(rng.uniform(0.9, 2)), 1.0, walled)
    for _ in range(int(rng.integers(0, 3))):
        at = np.array([rng.uniform(-40, 40), rng.uniform(45, 105)])
        to, radius = at + rng.normal(0, 1, 2), float(rng.uniform(2, 5.5))
        trees.tube([tuple(at), tuple(to)], radius, radius, False)
    return [(trees.lumen_mm[walled], walled) for walled in (False, True) if walled in trees.lumen_mm]


def _pushed(x: Image, z: Image, around: tuple[tuple[float, float, float], ...]) -> tuple[Image, Image]:
    """Where tissue comes from that lesions push aside; within one there is none."""
    from_x: NDArray[np.float32] = x
    from_z: NDArray[np.float32] = z
    for at_x, at_z, size_mm in around:
        dx, dz = from_x - np.float32(at_x), from_z - np.float32(at_z)
        squared = dx**2 + dz**2
        free = np.float32((size_mm / 2 + 1.5) ** 2)
        scale = np.sqrt(np.clip(1 - np.float32(_PUSH) * free / np.maximum(squared, 1e-3), 0, None))
        inside = squared <= free
        from_x = np.where(inside, np.float32(1e4), np.float32(at_x) + dx * scale)
        from_z = np.where(inside, np.float32(1e4), np.float32(at_z) + dz * scale)
    return from_x.astype(np.float32), from_z.astype(np.float32)
