"""Which trainings an evaluation is made of."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hepatic.engine.trial import Seen
from hepatic.engine.trial_split import Expansion, Split, seven_one_two, thirds
from hepatic.tasks.spec import ClassificationTask

logger = logging.getLogger(__name__)

LEAK = (
    "expansion '%s': the rarer class is expanded before the split, as in paper 002, so that views of one patient train "
    "and judge; the figures are too good"
)
FLATTERED = "the copies of the weights are chosen on the images that judge, as in paper 004; the figures are too good"


@dataclass(frozen=True)
class Cell:
    """One training and what judges it.

    Attributes:
        preset: what is trained.
        expansion: how the rarer class was expanded; of findings, where the copies of the weights were chosen.
        number: of the split, ``seed`` or ``seed.fold``.
        seed: of the weights and the order.
        split: of the images' views.
    """

    preset: str
    expansion: str
    number: str
    seed: int
    split: Split

    @property
    def name(self) -> str:
        """Its name among the results."""
        return f"{self.preset}/{self.expansion}/{self.number}"


def default_presets(task: ClassificationTask) -> list[str]:
    """The presets that train in minutes: those whose names begin with the default's, ensembles left out."""
    name = task.preset_name
    small = [other for other, changes in task.presets.items() if other.startswith(name) and "members" not in changes]
    return [name, *small]


def cells(
    task: ClassificationTask,
    images: Sequence[Seen],
    *,
    presets: Sequence[str],
    repeats: int,
    expansions: Sequence[Expansion] = ("training",),
    paper: bool = False,
) -> Iterator[Cell]:
    """Yield the trainings of an evaluation, repeat by repeat.

    Of findings: a three-fold cross-validation per repeat, ``paper`` choosing the copies of the weights on those who
    judge. Of classes: one 7 : 1 : 2 split per repeat and expansion; ``off`` for the first preset only (paper 002,
    table 2), all others for all.
    """
    truth, patients = [image.truth for image in images], [image.patient_id for image in images]
    if task.findings:
        if paper:
            logger.warning(FLATTERED)
        for repeat in range(repeats):
            for fold, split in enumerate(thirds(truth, patients, seed=repeat, paper=paper)):
                for preset in presets:
                    chosen = "paper" if paper else "inner"
                    yield Cell(preset, chosen, f"{repeat}.{fold}", 10 * repeat + fold, split)
        return
    if paper or "paper" in expansions:
        logger.warning(LEAK, "paper")
    views = [len(image.views) for image in images]
    wanted: list[Expansion] = ["paper"] if paper else list(expansions)
    for seed in range(repeats):
        for expansion in wanted:
            split = seven_one_two(truth, patients, views, seed=seed, expansion=expansion)
            for preset in presets[:1] if expansion == "off" else presets:
                yield Cell(preset, expansion, str(seed), seed, split)
