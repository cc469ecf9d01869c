"""How contrast microbubbles come and go: time-intensity curves of liver, vessels and lesions."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Curve:
    """Concentration of bubbles over time, 1 at the peak of the liver.

    Attributes:
        offset_s: arrival after the hepatic artery's blood reaches the lesion.
        rise_s: from 10 to 90 % of the wash-in, about.
        washout_s: time constant of the wash-out.
        floor: share that stays.
        peak_db: against the liver's.
    """

    offset_s: float
    rise_s: float
    washout_s: float
    floor: float
    peak_db: float

    def at(self, time_s: Numbers | float) -> NDArray[np.float32]:
        """Concentration so long after the arrival of the arterial blood; the same shape."""
        since = np.clip(np.asarray(time_s, np.float32) - np.float32(self.offset_s), 0, None)
        filled = 1 - np.exp(-((since / (self.rise_s / 1.6)) ** 1.5))
        left = self.floor + (1 - self.floor) * np.exp(-np.clip(since - self.rise_s, 0, None) / self.washout_s)
        return np.asarray(10 ** (self.peak_db / 20) * filled * left, dtype=np.float32)


LIVER: Final = Curve(7, 22, 260, 0.25, 0)
PORTAL: Final = Curve(8, 10, 170, 0.25, 5)
HEPATIC: Final = Curve(13, 12, 170, 0.25, 3)
ARTERY: Final = Curve(-1.5, 5, 60, 0.2, 10)
BELOW: Final = 0.9  # a lesion has washed out where it holds less than so much of what the liver holds
_SLOWEST_S: Final = 20000.0


def washing_out(onset_s: float, *, rise_s: float, floor: float, peak_db: float) -> Curve:
    """Return the curve of a lesion that falls below the liver at ``onset_s`` after the arrival.

    Where even a lesion that keeps its bubbles falls below it earlier, the slowest curve is returned; where one that
    loses them at once is above it still, the fastest.
    """
    target = BELOW * float(LIVER.at(onset_s))
    low, high = 0.5, _SLOWEST_S
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        if float(Curve(0, rise_s, middle, floor, peak_db).at(onset_s)) < target:
            low = middle
        else:
            high = middle
    return Curve(0, rise_s, float(np.sqrt(low * high)), floor, peak_db)
