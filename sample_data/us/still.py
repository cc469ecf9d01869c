"""A B-mode picture of the liver with its ground truth."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sample_data.us.echo import bmode
from sample_data.us.lesion import Lesion, paint_lesion
from sample_data.us.patient import Kind, Patient, draw_patient
from sample_data.us.probe import Image, Panel, Probe, Size, probe_for
from sample_data.us.screen import Box, Screen, Words, compose
from sample_data.us.tissue import Tissue, draw_tissue

Mask = NDArray[np.bool_]
HEIGHTS: Final[dict[Size, int]] = {"tiny": 160, "small": 336, "full": 560}


@dataclass(frozen=True, eq=False, slots=True)
class Still:
    """A still and its truth.

    Attributes:
        patient: who.
        size: preset.
        panel: the fan's picture.
        grey: (h, w) uint8, the fan alone, nothing burnt in.
        masks: (h, w) bool, one per lesion of the patient, on that picture.
        boxes: (xmin, ymin, xmax, ymax) of each, the last column and row included.
        vessel: (h, w) bool, where the fan shows blood or bile.
    """

    patient: Patient
    size: Size
    panel: Panel
    grey: NDArray[np.uint8]
    masks: tuple[Mask, ...]
    boxes: tuple[Box, ...]
    vessel: Mask


def simulate(seed: int, *, kind: Kind | None = None, size: Size = "small") -> Still:
    """Simulate a patient's B-mode picture, the same bytes for the same arguments.

    Args:
        seed: of the patient.
        kind: what is found; None draws it.
        size: "small" is a fan 336 pixels high, "full" 560; "tiny", 160, is for networks.

    Raises:
        BadInputError: an argument is out of range.
    """
    return take(draw_patient(seed, kind=kind), size)


def take(patient: Patient, size: Size) -> Still:
    """Take a still of a patient."""
    probe = probe_for(size, patient.depth_mm)
    panel = Panel(probe, HEIGHTS[size])
    tissue = tissue_of(patient, probe)
    shown = panel.show(bmode(tissue, probe, patient.seed, patient.knobs))
    masks = tuple(outline(panel, lesion) for lesion in patient.lesions)
    return Still(
        patient=patient,
        size=size,
        panel=panel,
        grey=to_byte(shown),
        masks=masks,
        boxes=tuple(box_of(mask) for mask in masks),
        vessel=panel.show((tissue.vessel | tissue.bile).astype(np.float32)) > 0.5,
    )


def tissue_of(patient: Patient, probe: Probe) -> Tissue:
    """Draw a patient's abdomen, lesions included."""
    tissue = draw_tissue(probe, patient.seed, around=patient.around)
    for lesion in patient.lesions:
        paint_lesion(tissue, probe, lesion)
    return tissue


def outline(panel: Panel, lesion: Lesion) -> Mask:
    """Where the fan shows a lesion at rest, (h, w)."""
    rho = lesion.rho(*np.broadcast_arrays(panel.x[None], panel.z[:, None]))
    return np.asarray((rho < 1) & panel.fan)


def box_of(mask: Mask, right: int = 0, down: int = 0) -> Box:
    """Box around a mask, moved; the last column and row included."""
    y, x = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return int(x[0]) + right, int(y[0]) + down, int(x[-1]) + right, int(y[-1]) + down


def to_byte(shown: Image) -> NDArray[np.uint8]:
    """Grey values from 0 to 1 as bytes."""
    return np.rint(255 * shown).astype(np.uint8)


def screen_of(still: Still, *, patient_id: str) -> Screen:
    """The still as the scanner's screen shows it, the patient's name and number burnt in."""
    knobs = still.patient.knobs
    words = Words(
        patient=f"PHANTOM^{patient_id}  ID {patient_id}  02-01-2024 10:02",
        settings=(
            f"C5-1  Abdomen  {still.patient.depth_mm / 10:.1f} cm  FR 32 Hz",
            f"2D  Gn {round(54 + knobs.gain_db)}  DR {round(knobs.range_db)}  MI 1.1  TIs 0.6",
        ),
        labels=("",),
    )
    return compose(still.panel, [("tissue", still.grey[None])], words)
