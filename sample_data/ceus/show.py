"""A contrast cine as the scanner's screen shows and stores it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sample_data.ceus.cine import Cine
from sample_data.ceus.patient import Patient
from sample_data.us.screen import Content, Pixels, Screen, Words, compose

LAST_S: Final = 210.0


@dataclass(frozen=True, slots=True)
class Style:
    """How a scanner shows and stores a cine, drawn apart from what the lesion is.

    Attributes:
        colour: the contrast picture in amber, or all in grey.
        side_by_side: contrast on the left and B-mode on the right, or contrast alone.
        even: a frame every two seconds, or one each second for a minute and then one every 30 s.
    """

    colour: bool
    side_by_side: bool
    even: bool

    @property
    def times_s(self) -> NDArray[np.float64]:
        """(F,) when frames are taken, seconds after the recording begins."""
        if self.even:
            return np.arange(0, LAST_S, 2.0)
        return np.concatenate([np.arange(0, 76.0), np.arange(90, LAST_S + 1, 30.0)])


def draw_style(seed: int) -> Style:
    """Draw how a patient's cine is stored."""
    colour, side_by_side, even = np.random.default_rng([seed, 8800]).random(3) < (0.5, 0.5, 0.3)
    return Style(bool(colour), bool(side_by_side), bool(even))


def screen_of(cine: Cine, style: Style, *, patient_id: str) -> Screen:
    """The cine as the scanner's screen shows it, the patient's name and number and a clock burnt in."""
    patient: Patient = cine.patient
    contrast = _amber(cine.contrast) if style.colour else cine.contrast
    shown: list[tuple[Content, Pixels]] = [("contrast", contrast)]
    labels = ["Contrast"]
    if style.side_by_side:
        tissue = np.repeat(cine.bmode[..., None], 3, axis=-1) if style.colour else cine.bmode
        shown.append(("tissue", tissue))
        labels.append("Tissue")
    words = Words(
        patient=f"PHANTOM^{patient_id}  ID {patient_id}  02-01-2024",
        settings=(
            f"C5-1  Abd CEUS  {patient.examined.depth_mm / 10:.1f} cm",
            f"CPI  Gn {round(60 + patient.gain_db)}  MI 0.08",
        ),
        labels=labels,
        clock=[f"{int(time // 60):02d}:{int(time % 60):02d}" for time in cine.times_s],
    )
    return compose(cine.panel, shown, words)


def _amber(grey: Pixels) -> Pixels:
    """(F, h, w) as (F, h, w, 3) in the usual colours of contrast pictures."""
    g = np.arange(256) / 255
    table = np.stack([1.35 * g, 0.85 * (g - 0.05), 0.9 * (g - 0.45)], -1)
    return np.rint(255 * np.clip(table, 0, 1)).astype(np.uint8)[grey]
