"""By which rules studies are read and verdicts are used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What can be set.

    Attributes:
        readers: how many readers read each study, each without seeing what the others said.
        lease_s: how long a reader holds a study without a sign of life.
        known_every: one study in so many is a known case, as long as there are some; 0 for none.
        repeat_every: one study in so many is shown a second time to the same reader, who is not told; 0 for none.
        repeat_after: a study is repeated only after so many others.
        min_iou: from which IoU on a box of a new model inherits the verdict of an old one.
        test_share: of the patients whose studies test models and never train them.
        seed: of the draw of these patients.
        manual_minutes: that boxing a study by hand takes; paper 001 says 15.
        straight_to_boxing: a study whose chance of a hit lies below this is better boxed by hand at once.
    """

    readers: int = 1
    lease_s: float = 600.0
    known_every: int = 20
    repeat_every: int = 25
    repeat_after: int = 5
    min_iou: float = 0.5
    test_share: float = 0.2
    seed: int = 0
    manual_minutes: float = 15.0
    straight_to_boxing: float = 0.05
