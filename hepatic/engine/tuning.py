"""What is chosen on tuning patients: the epoch that is kept, and from which score candidates are shown."""

from __future__ import annotations

import torch

from hepatic.engine.card import ModelCard
from hepatic.engine.evaluate import choose_shown_from, found_in
from hepatic.engine.kind import MEASURES, can_tune
from hepatic.engine.model import LoadedModel
from hepatic.engine.prepared_cases import Livers, PreparedCases
from hepatic.metrics.threshold import FEWEST_LESIONS
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import DetectionTask


def tunes(recipe: Recipe, tuning: PreparedCases) -> bool:
    """Whether the epochs of a run can be compared on these cases."""
    return can_tune(recipe.task, tuning.samples)


def epoch_chosen(recipe: Recipe, tuning: PreparedCases) -> str:
    """Say for the model card how the epoch that is kept is chosen."""
    if tunes(recipe, tuning):
        return f"the best by {MEASURES[recipe.task.type].replace('_', ' ')} on the tuning patients"
    if not tuning.cases:
        return "the last: no patient is set aside for tuning"
    return "the last: no label of the tuning patients shows what is looked for"


def with_shown_from(
    recipe: Recipe,
    model: LoadedModel[DetectionTask],
    tuning: PreparedCases,
    *,
    device: torch.device,
    livers: Livers,
) -> ModelCard:
    """Return a detector's card with the score from which readers are shown its candidates, and how it was chosen."""
    score = choose_shown_from(found_in(recipe, model, tuning.cases, device=device, livers=livers))
    if score is None:
        chosen = f"none: fewer than {FEWEST_LESIONS} lesions of tuning patients are found, so all candidates are shown"
        return model.card.model_copy(update={"data": {**model.card.data, "shown_from_chosen": chosen}})
    data = {**model.card.data, "shown_from_chosen": "on the tuning patients"}
    return model.card.model_copy(update={"data": data, "metrics": {"shown_from": score}})
