"""Pictures of several phases, painted body by body."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sample_data.ct.field import Image
from sample_data.ct.space import Window

Shade = float | Image


def cover(depth: Image, width_mm: float) -> Image:
    """Share of a voxel that a body fills, from the distance to its surface, positive inside."""
    return np.asarray(expit(depth * np.float32(1 / width_mm)), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """What is painted on.

    Attributes:
        images: (P, K, J, I) float32, HU in every phase, organs where they lie in the venous one.
        edge_mm: width of an edge.
    """

    images: Image
    edge_mm: float

    def paint(
        self, window: Window, depth: Image, shades: Sequence[Shade], *, soft: float = 1.0, share: Shade = 1.0
    ) -> None:
        """Cover what is there.

        Args:
            window: where.
            depth: distance to the body's surface in mm, positive inside; broadcast to the window.
            shades: HU per phase, each one number or an array like ``depth``.
            soft: width of the edge over the canvas's.
            share: how much of what is there is covered inside.
        """
        part = cover(depth, self.edge_mm * soft) * np.float32(share)
        for image, shade in zip(self.images, shades, strict=True):
            below = image[window]
            below += part * (np.float32(shade) - below)

    def add(self, window: Window, amount: Sequence[Shade]) -> None:
        """Add HU, per phase."""
        for image, more in zip(self.images, amount, strict=True):
            image[window] += np.float32(more)


def capsules(axes: Sequence[Image], segments: NDArray[np.float64]) -> Image:
    """Distance to vessel segments (n, 8), positive inside: from (z, y, x) to (z, y, x), with the radii there."""
    z, y, x = axes
    nearest = np.full(np.broadcast_shapes(z.shape, y.shape, x.shape), -30.0, dtype=np.float32)
    for segment in segments.astype(np.float32):
        start, end, (r0, r1) = segment[:3], segment[3:6], segment[6:]
        reach = max(r0, r1) + 6
        low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
        parts = []
        for along, a, b in zip((z, y, x), low, high, strict=True):
            first, last = np.searchsorted(along.ravel(), (a, b))
            parts.append(slice(int(first), int(last)))
        if any(part.start >= part.stop for part in parts):
            continue
        dz, dy, dx = end - start
        u, v, w = z[parts[0]] - start[0], y[:, parts[1]] - start[1], x[:, :, parts[2]] - start[2]
        along_it = np.clip((u * dz + v * dy + w * dx) / (dz * dz + dy * dy + dx * dx), 0, 1)
        gap = np.sqrt((u - along_it * dz) ** 2 + (v - along_it * dy) ** 2 + (w - along_it * dx) ** 2)
        window = tuple(parts)
        nearest[window] = np.maximum(nearest[window], r0 + (r1 - r0) * along_it - gap)
    return nearest
