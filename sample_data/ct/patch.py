"""A part of the picture in which one organ is painted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sample_data.ct.canvas import Canvas, Shade
from sample_data.ct.field import Field, Image
from sample_data.ct.patient import Patient, cavity, wavy
from sample_data.ct.space import Space, Window


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Part of a canvas, in millimetres (z, y, x) for average build.

    Attributes:
        canvas: what is painted on.
        space: where all its voxels are.
        patient: whose build and irregularities.
        window: the part.
    """

    canvas: Canvas
    space: Space
    patient: Patient
    window: Window

    @property
    def axes(self) -> tuple[Image, Image, Image]:
        """Straight coordinates."""
        z, y, x = (along / np.float32(self.patient.build) for along in self.space.axes(self.window))
        return z, y, x

    @property
    def bent(self) -> list[Image]:
        """Coordinates in which organs become irregular."""
        return wavy(self.space.axes(self.window), self.patient.build, self.patient.warp[:3])

    @property
    def cavity(self) -> Image:
        """Distance to the inner side of the abdominal wall, positive inside."""
        return cavity(self.axes, 1.0)

    def sample(self, field: Field) -> Image:
        """Values of a field."""
        return field.sample(self.space.axes(self.window))

    def paint(self, depth: Image, shades: Sequence[Shade] | Shade, *, soft: float = 1.0) -> None:
        """Paint a body, given the distance to its surface; ``shades`` are HU per phase, or HU in all of them."""
        each = shades if isinstance(shades, Sequence) else [shades] * len(self.canvas.images)
        self.canvas.paint(self.window, depth * np.float32(self.patient.build), each, soft=soft)


def patch(canvas: Canvas, space: Space, patient: Patient, centre: ArrayLike, reach: ArrayLike) -> Patch | None:
    """Give the part of a canvas about a place (z, y, x), for average build; None beyond the grid."""
    build = patient.build
    window = space.around(np.asarray(centre) * build, np.asarray(reach) * build)
    return None if window is None else Patch(canvas, space, patient, window)
