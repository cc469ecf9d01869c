"""The convex probe: where its echoes lie, and how they become a picture."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.errors import BadInputError
from sample_data.noise import smooth

Image = NDArray[np.float32]
Size = Literal["tiny", "small", "full"]

RADIUS_MM: Final = 60.0  # of the probe's curved face
ANGLE_RAD: Final = float(np.deg2rad(62))
FREQUENCY_MHZ: Final = 3.5
FOCUS_MM: Final = 75.0
GRIDS: Final[dict[Size, tuple[int, int]]] = {"tiny": (320, 112), "small": (600, 176), "full": (1500, 320)}
_TOP_MM: Final = RADIUS_MM * (1 - float(np.cos(ANGLE_RAD / 2))) + 2  # what is above the middle of the face
_SKIN_MM: Final = (18.0, 34.0)  # breathing moves nothing above the first depth, everything below the second


@dataclass(frozen=True)
class Probe:
    """A polar grid of S samples along each of B beams.

    Coordinates are millimetres, x to the right of the picture, z down from the middle of the probe's face.

    Attributes:
        samples: S.
        beams: B.
        depth_mm: of the deepest sample below the face.
    """

    samples: int
    beams: int
    depth_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """(S, B)."""
        return self.samples, self.beams

    @property
    def step_mm(self) -> float:
        """Between samples of a beam."""
        return self.depth_mm / self.samples

    @property
    def step_rad(self) -> float:
        """Between beams."""
        return ANGLE_RAD / (self.beams - 1)

    @cached_property
    def angles(self) -> Image:
        """(B,) radians from straight down."""
        return np.linspace(-ANGLE_RAD / 2, ANGLE_RAD / 2, self.beams, dtype=np.float32)

    @cached_property
    def depths(self) -> Image:
        """(S,) millimetres along the beam."""
        return np.arange(self.samples, dtype=np.float32) * np.float32(self.step_mm)

    @cached_property
    def x(self) -> Image:
        """(S, B) millimetres."""
        return ((RADIUS_MM + self.depths)[:, None] * np.sin(self.angles)).astype(np.float32)

    @cached_property
    def z(self) -> Image:
        """(S, B) millimetres."""
        return ((RADIUS_MM + self.depths)[:, None] * np.cos(self.angles) - RADIUS_MM).astype(np.float32)

    def field(self, axial_mm: float, lateral_mm: float, rng: np.random.Generator) -> Image:
        """Draw a random field (S, B) of about unit variance that varies over these lengths, the second at the focus."""
        beams = lateral_mm / ((RADIUS_MM + FOCUS_MM) * self.step_rad)
        return smooth(self.shape, (axial_mm / self.step_mm, beams), rng)


def probe_for(size: Size, depth_mm: float) -> Probe:
    """Return the probe of a preset.

    Raises:
        BadInputError: there is no such preset.
    """
    if size not in GRIDS:
        raise BadInputError("size", expected=", ".join(GRIDS), came=repr(size), fix="Choose one of these.")
    return Probe(*GRIDS[size], depth_mm)


@dataclass(frozen=True)
class Panel:
    """The picture of a fan, H rows of W pixels, the fan as large as fits.

    Attributes:
        probe: whose echoes it shows.
        height: H.
    """

    probe: Probe
    height: int

    @property
    def pixel_mm(self) -> float:
        """Width and height of a pixel."""
        return (self.probe.depth_mm + _TOP_MM + 2) / self.height

    @property
    def width(self) -> int:
        """W."""
        half_mm = (RADIUS_MM + self.probe.depth_mm) * float(np.sin(ANGLE_RAD / 2))
        return 2 * int(np.ceil(half_mm / self.pixel_mm) + 1)

    @property
    def face(self) -> tuple[float, float]:
        """Pixel (column, row) of the middle of the probe's face."""
        return self.width / 2, (_TOP_MM - 1) / self.pixel_mm

    @cached_property
    def x(self) -> Image:
        """(W,) millimetres."""
        return ((np.arange(self.width) - self.face[0]) * self.pixel_mm).astype(np.float32)

    @cached_property
    def z(self) -> Image:
        """(H,) millimetres."""
        return ((np.arange(self.height) - self.face[1]) * self.pixel_mm).astype(np.float32)

    @cached_property
    def fan(self) -> NDArray[np.bool_]:
        """(H, W), where there is a picture."""
        sample, beam = self._polar(self.x[None], self.z[:, None])
        return (sample >= 0) & (sample <= self.probe.samples - 1) & (beam >= 0) & (beam <= self.probe.beams - 1)

    def show(self, polar: Image, *, right_mm: float = 0.0, down_mm: float = 0.0) -> Image:
        """Scan-convert echoes (S, B); tissue below the abdominal wall has moved right and down by so much."""
        x, z = np.broadcast_arrays(self.x[None], self.z[:, None])
        if right_mm or down_mm:
            low, high = _SKIN_MM
            share = np.clip((z - low) / (high - low), 0, 1)
            x, z = x - share * right_mm, z - share * down_mm
        shown = ndimage.map_coordinates(polar, self._polar(x, z), order=1, mode="nearest")
        return np.where(self.fan, shown, 0).astype(np.float32)

    def _polar(self, x: Image, z: Image) -> tuple[Image, Image]:
        down = z + RADIUS_MM
        sample = (np.hypot(x, down) - RADIUS_MM) / self.probe.step_mm
        beam = (np.arctan2(x, down) + ANGLE_RAD / 2) / self.probe.step_rad
        return sample, beam
