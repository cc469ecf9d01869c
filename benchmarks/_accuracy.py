"""How right a network is on simulated patients it has never seen, run by torch and by what accelerates it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from hepatic.engine.cases import TrainingCase
from hepatic.engine.evaluate import evaluate
from hepatic.engine.model import LoadedModel
from hepatic.settings import Accelerator
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import Sample, Task
from server.commands.demo_cases import demo_cases

FIRST_SEED = 950_000
"""Of patients that no weights were trained on and no document measures."""
_MEASURES = ("dice", "p1td_1", "p1td_10", "auc_lesion", "auc_malignant", "auc")


class _Read:
    """A case that is read once, for networks that look at it in turn."""

    def __init__(self, case: TrainingCase) -> None:
        self._case = case
        self.image_id, self.patient_id, self.study, self.part = case.image_id, case.patient_id, case.study, case.part
        self._sample: Sample | None = None

    def sample(self, task: Task) -> Sample:
        """Read it, the first time."""
        if self._sample is None:
            self._sample = self._case.sample(task)
        return dict(self._sample)

    def content(self) -> str:
        """Hashes of all it is made of."""
        return self._case.content()


def accuracy(
    recipe: Recipe, models: Mapping[Accelerator, LoadedModel[Task]], folder: Path, patients: int
) -> dict[str, Any]:
    """Judge a network by the truth of simulated patients, however it is run.

    Args:
        recipe: of its task.
        models: the same network, by what runs it.
        folder: where the patients' images go.
        patients: how many. Of a CT study one phase is judged, as a rule the venous one; all where they are to be told.

    Returns:
        ``cases``, how many images judge, and by what runs it the measures of the task's kind
        (``hepatic.engine.evaluate``): ``dice``, ``p1td_1`` and ``p1td_10``, or ``auc``.
    """
    task = recipe.task
    cases = demo_cases(task, folder, patients, first_seed=FIRST_SEED, progress=lambda: None)
    if task.modality == "CT" and task.type != "classification":
        studies = [list(of_one) for _, of_one in groupby(cases, lambda case: case.patient_id)]
        cases = [phases[len(phases) // 2] for phases in studies]
    read = [_Read(case) for case in cases]
    told = {side: evaluate(recipe, model, read, device=torch.device("cpu")) for side, model in models.items()}
    measures = {side: {name: row[name] for name in _MEASURES if name in row} for side, row in told.items()}
    return {"cases": len(read), "measures": measures}
