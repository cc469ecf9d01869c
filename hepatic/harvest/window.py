"""Windows: which Hounsfield units become which grey, in each phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import NotFoundError
from hepatic.harvest.study import Phase, PreparedStudy

_SAMPLE = 50_000
_UNKNOWN_LIVER_HU = 60.0


@dataclass(frozen=True)
class Window:
    """A preset that a reader chooses.

    Attributes:
        name: short, for addresses.
        label: for people.
        width_hu: from black to white.
        level_hu: mid-grey; ``None`` for the median of the liver in the phase that is drawn.
    """

    name: str
    label: str
    width_hu: float
    level_hu: float | None = None

    def level(self, liver_hu: float) -> float:
        """Return mid-grey in HU for a phase whose liver has that median."""
        return liver_hu if self.level_hu is None else self.level_hu


WINDOWS: Mapping[str, Window] = {
    window.name: window
    for window in (
        Window("liver", "Liver of each phase", 160.0),
        Window("narrow", "Narrow, liver of each phase", 80.0),
        Window("same", "Same in all phases", 200.0, 90.0),
        Window("soft", "Soft tissue", 400.0, 40.0),
    )
}
"""In the order in which a key goes through them. The first two put the liver of every phase at mid-grey, so that a
lesion stands out alike in each; the third shows how much each phase enhances."""


def find_window(name: str) -> Window:
    """Return the preset of that name.

    Raises:
        NotFoundError: there is none.
    """
    if name not in WINDOWS:
        raise NotFoundError("the window", expected=" or ".join(WINDOWS), came=name[:40], fix="Choose one of them.")
    return WINDOWS[name]


def liver_levels(prepared: PreparedStudy) -> dict[Phase, float]:
    """Return the median HU of the liver in each phase, of a sample of its voxels; 60 HU where no liver was found."""
    places = np.flatnonzero(prepared.liver)
    places = places[:: max(1, len(places) // _SAMPLE)]
    return {
        phase: float(np.median(volume.hu.reshape(-1)[places])) if len(places) else _UNKNOWN_LIVER_HU
        for phase, volume in prepared.phases.items()
    }


def greys(hu: NDArray[np.floating] | NDArray[np.int16], *, level_hu: float, width_hu: float) -> NDArray[np.uint8]:
    """Return greys, 0 to 255, of Hounsfield units of any shape."""
    scaled = (np.asarray(hu, np.float32) - (level_hu - width_hu / 2)) * (255.0 / width_hu)
    return np.asarray(np.clip(scaled + 0.5, 0, 255), np.uint8)
