"""HU of what contrast medium reaches, in the phases of one study."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sample_data.ct import kinetics

Numbers = NDArray[np.float64]


class Blood:
    """Blood in the phases of one study.

    Attributes:
        times_s: of the phases, after the injection began.
        strength: enhancement over that of the table.
        early: per phase, whether it is arterial.
        aorta, portal, hepatic, cava: HU of vessels per phase.
    """

    def __init__(self, times_s: Sequence[float] | Numbers, strength: float) -> None:
        self.times_s = np.asarray(times_s, dtype=np.float64)
        self.strength = strength
        self.early = (self.times_s > 20) & (self.times_s < 50)
        self.aorta = kinetics.BLOOD_HU + strength * kinetics.aorta(self.times_s)
        self.portal = kinetics.BLOOD_HU + strength * kinetics.portal_vein(self.times_s)
        delayed = kinetics.portal_vein(self.times_s - kinetics.HEPATIC_VEIN_DELAY_S)
        self.hepatic = kinetics.BLOOD_HU + 0.92 * strength * delayed
        self.cava = np.where(self.early, 62.0, self.hepatic)  # the kidneys' blood is in it before the liver's

    def rise(self, tissue: str) -> Numbers:
        """Enhancement of one of ``TISSUES`` in HU, per phase."""
        return self.strength * kinetics.enhancement(tissue, self.times_s)

    def shade(self, tissue: str) -> Numbers:
        """HU of one of ``TISSUES``, per phase."""
        return kinetics.TISSUES[tissue].native_hu + self.rise(tissue)
