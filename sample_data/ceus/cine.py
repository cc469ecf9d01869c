"""A contrast-enhanced ultrasound cine of one liver lesion with its ground truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sample_data.ceus import kinetics
from sample_data.ceus.motion import Motion, draw_motion
from sample_data.ceus.patient import Label, Patient, draw_patient
from sample_data.us.echo import Knobs, bmode, focal_db, loss_db, speckle
from sample_data.us.probe import Image, Panel, Size, probe_for
from sample_data.us.screen import Box
from sample_data.us.still import box_of, outline, tissue_of, to_byte
from sample_data.us.tissue import Tissue, draw_tissue, edge, ridge

HEIGHTS: Final[dict[Size, int]] = {"tiny": 104, "small": 208, "full": 400}
RANGE_DB: Final = 38.0
_BUBBLES: Final = 20.0  # per mm2 where the liver is full
_SPREAD: Final = 1.2  # shape of the gamma distribution of what a bubble gives back


@dataclass(frozen=True, eq=False)
class Cine:
    """F frames about one lesion, and their truth.

    Attributes:
        patient: who.
        size: preset.
        panel: the fan's picture.
        times_s: (F,) after the recording began.
        contrast: (F, h, w) uint8, the contrast fan alone, nothing burnt in.
        motion: how breathing moves what is below the abdominal wall.
        mask: (h, w) bool, the lesion at rest.
        tissue: (S, B), B-mode echoes at rest, from 0 to 1, as the low power of a contrast recording gives them.
        aside: (S, B) likewise of the plane beside, without the lesion; None where the cine never shows it.
    """

    patient: Patient
    size: Size
    panel: Panel
    times_s: NDArray[np.float64]
    contrast: NDArray[np.uint8]
    motion: Motion
    mask: NDArray[np.bool_]
    tissue: Image
    aside: Image | None = None

    @cached_property
    def bmode(self) -> NDArray[np.uint8]:
        """(F, h, w), the B-mode fan of the same frames."""
        shown = []
        moments = zip(self.times_s, self.motion.shifts_mm, self.motion.in_plane, strict=True)
        for time_s, (x, z), is_in_plane in moments:
            tissue = self.tissue if is_in_plane or self.aside is None else self.aside
            rng = np.random.default_rng([self.patient.seed, 8640, round(1000 * time_s)])
            flicker = 0.02 * rng.standard_normal(tissue.shape, dtype=np.float32)
            shown.append(to_byte(self.panel.show(np.clip(tissue + flicker, 0, 1), right_mm=x, down_mm=z)))
        return np.stack(shown)

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """(xmin, ymin, xmax, ymax) of the lesion on every frame, the last column and row included."""
        pixels = np.rint(self.motion.shifts_mm / self.panel.pixel_mm).astype(int)
        return tuple(box_of(self.mask, int(right), int(down)) for right, down in pixels)


def simulate(
    seed: int, times_s: Sequence[float] | NDArray[np.float64], *, label: Label | None = None, size: Size = "small"
) -> Cine:
    """Simulate frames of a patient's cine, the same bytes for the same arguments.

    Args:
        seed: of the patient.
        times_s: when frames are taken, seconds after the recording begins.
        label: what the lesion is; None draws it.
        size: "small" is a fan 208 pixels high, "full" 400; "tiny", 104, is for networks.

    Raises:
        BadInputError: an argument is out of range.
    """
    return record(draw_patient(seed, label=label), times_s, size)


def record(patient: Patient, times_s: Sequence[float] | NDArray[np.float64], size: Size) -> Cine:
    """Record a patient's cine."""
    times = np.asarray(times_s, dtype=np.float64)
    probe = probe_for(size, patient.examined.depth_mm)
    panel = Panel(probe, HEIGHTS[size])
    tissue = tissue_of(patient.examined, probe)
    motion = draw_motion(patient.seed, times)
    shown = [
        to_byte(panel.show(frame, right_mm=x, down_mm=z))
        for frame, (x, z) in zip(_frames(patient, tissue, panel, times, motion), motion.shifts_mm, strict=True)
    ]
    low_power = Knobs(patient.examined.knobs.gain_db - 4, 50.0)
    aside = None
    if not motion.in_plane.all():
        elsewhere = int(np.random.default_rng([patient.seed, 8650]).integers(1 << 31))  # other scatterers
        aside = bmode(draw_tissue(probe, patient.seed, around=patient.examined.around), probe, elsewhere, low_power)
    return Cine(
        patient=patient,
        size=size,
        panel=panel,
        times_s=times,
        contrast=np.stack(shown),
        motion=motion,
        mask=outline(panel, patient.examined.lesions[0]),
        tissue=bmode(tissue, probe, patient.seed, low_power),
        aside=aside,
    )


def _frames(
    patient: Patient, tissue: Tissue, panel: Panel, times: NDArray[np.float64], motion: Motion
) -> Iterator[Image]:
    """Yield contrast frames (S, B), from 0 to 1, at rest."""
    probe, lesion = panel.probe, patient.examined.lesions[0]
    shared = np.random.default_rng([patient.seed, 8600])
    late_s = 1.6 * probe.field(6, 9, shared)
    filled = 1 + 0.35 * probe.field(3, 4.5, shared)
    own = np.clip(0.9 + 0.45 * probe.field(6, 8, shared), 0.25, 2)
    rho = lesion.rho(probe.x, probe.z)
    inside = edge((1 - rho) * lesion.size_mm / 2, 1.0)
    middle = patient.rim * edge(0.72 - rho, 0.06)
    angle = np.arctan2(probe.z - lesion.z_mm, probe.x - lesion.x_mm)
    feeding = 0.7 * ridge(rho - 1.02, 0.05) * (np.abs(np.sin(2 * angle + 1)) > 0.6) * tissue.liver
    perfused = tissue.liver & ~tissue.bile
    gain = np.power(10, (focal_db(probe) - 0.8 * loss_db(tissue, probe) - 0.03 * np.clip(probe.z - 70, 0, None)) / 20)
    cell_mm2 = probe.step_mm * probe.step_rad * (60 + probe.depths[:, None])
    bubbles = (_BUBBLES * cell_mm2).astype(np.float32)
    full = bubbles * (1 + 1 / _SPREAD)
    steady = np.random.default_rng([patient.seed, 8620])
    residue = (
        speckle(0.03 * np.power(10, tissue.echo_db / 20, dtype=np.float32), probe, steady) + 0.05 * tissue.specular
    )
    for index, time_s in enumerate(times):
        since = time_s - patient.arrival_s
        rng = np.random.default_rng([patient.seed, 8610, round(1000 * time_s)])
        content = kinetics.LIVER.at(since - late_s) * filled
        content = np.where(tissue.vessel, max(kinetics.PORTAL.at(since), kinetics.HEPATIC.at(since)), content)
        content = content * perfused
        if motion.in_plane[index]:
            body = patient.body.at(since - 0.4 * late_s) * own
            uptake = body + middle * (patient.core.at(since) * own - body)
            content += inside * (uptake - content)
            content = np.maximum(content, feeding * kinetics.ARTERY.at(since))
        number = rng.poisson(np.clip(bubbles * np.clip(content, 0, None) ** 1.8, 0, 60 * bubbles))
        strength = np.sqrt(number) * rng.standard_gamma(_SPREAD, probe.shape) / _SPREAD / np.sqrt(full)
        envelope = np.hypot(speckle(strength.astype(np.float32), probe, rng), residue) * gain
        envelope = np.hypot(envelope, 0.03 * rng.rayleigh(1, probe.shape))
        decibels = 20 * np.log10(envelope + 1e-4) + patient.gain_db
        yield np.asarray(np.clip(0.42 + decibels / RANGE_DB, 0, 1) ** 1.15, dtype=np.float32)
