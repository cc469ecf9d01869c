"""What is wrong with some studies: a phase is missing, series are numbered out of order, phases are named badly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from hepatic.errors import BadInputError
from sample_data.ct.study import PHASES, Phase

Naming = Literal["clear", "meaningless", "foreign", "misleading"]

DESCRIPTIONS: Final[dict[Naming, dict[Phase, str]]] = {
    "clear": {
        "nc": "Non-contrast 5.0 B30f",
        "arterial": "Late arterial 5.0 B30f",
        "venous": "Portal venous 5.0 B30f",
        "delayed": "Delayed 5.0 B30f",
    },
    "meaningless": {"nc": "Abdomen 5.0", "arterial": "Abdomen 5.0", "venous": "Abdomen 5.0", "delayed": "Abdomen 5.0"},
    "foreign": {"nc": "nativ", "arterial": "spaetarteriell", "venous": "portalvenoes", "delayed": "Spaetphase"},
    "misleading": {
        "nc": "Liver 5.0",
        "arterial": "Portal venous 5.0",
        "venous": "Delayed 5.0",
        "delayed": "Portal venous late 5.0",
    },
}
_BAD: Final[tuple[Naming, ...]] = ("meaningless", "foreign", "misleading")


@dataclass(frozen=True, slots=True)
class SeriesLabel:
    """What a series says it is: SeriesNumber and SeriesDescription."""

    number: int
    description: str


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with a study.

    Attributes:
        missing: the phase that is not there.
        order: series numbers, by phase; ascending with time where nothing is wrong.
        naming: how the series are described.
    """

    missing: Phase | None = None
    order: Mapping[Phase, int] = field(default_factory=lambda: {phase: n for n, phase in enumerate(PHASES, 2)})
    naming: Naming = "clear"

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that are there."""
        return tuple(phase for phase in PHASES if phase != self.missing)

    @property
    def swapped(self) -> bool:
        """Whether the series numbers do not follow the time."""
        numbers = [self.order[phase] for phase in PHASES]
        return numbers != sorted(numbers)

    def label(self, phase: Phase) -> SeriesLabel:
        """What the series of a phase says it is."""
        return SeriesLabel(self.order[phase], DESCRIPTIONS[self.naming][phase])


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """Shares of the studies, 0 to 1, that have a missing phase, swapped series, bad names.

    Raises:
        BadInputError: a share is not between 0 and 1.
    """

    missing: float = 0.0
    swapped: float = 0.0
    misnamed: float = 0.0

    def __post_init__(self) -> None:
        for name in ("missing", "swapped", "misnamed"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise BadInputError(name, expected="a share from 0 to 1", came=str(share), fix="0.1 is a tenth.")


def draw_flaws(seed: int, visit: int, odds: Odds) -> Flaws:
    """Draw what is wrong with a patient's study, the same for the same arguments."""
    rng = np.random.default_rng([seed, 7600, visit])
    chances, which, turn, naming = rng.random(3), rng.integers(4), rng.integers(3), rng.integers(len(_BAD))
    numbers = list(range(2, 6))
    if chances[1] < odds.swapped:
        numbers[turn], numbers[turn + 1] = numbers[turn + 1], numbers[turn]
    return Flaws(
        missing=PHASES[which] if chances[0] < odds.missing else None,
        order=dict(zip(PHASES, numbers, strict=True)),
        naming=_BAD[naming] if chances[2] < odds.misnamed else "clear",
    )
