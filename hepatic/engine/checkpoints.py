"""Copies of a network's weights, each from the epoch that answers one question best (paper 004, "Implementation")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hepatic.metrics.classification import auc

FEWEST = 3
"""Tuning images with a finding, and without it, below which its AUC chooses nothing."""

State = dict[str, torch.Tensor]


class Checkpoints:
    """The best copy of the weights for each question, by the AUC on the tuning patients.

    Of epochs with the same AUC, which is common where few tune, the one whose probabilities are better is kept.

    Args:
        questions: by name, the findings whose mean AUC decides.
        labels: of the task, in the order of its probabilities.
    """

    def __init__(self, questions: Mapping[str, Sequence[str]], labels: Sequence[str]) -> None:
        self._places = {name: [labels.index(label) for label in asked] for name, asked in questions.items()}
        self.best: dict[str, dict[str, Any]] = {}

    def judge(
        self,
        epoch: int,
        network: nn.Module,
        probabilities: NDArray[np.floating],
        target: NDArray[np.floating],
        *,
        mean: float,
    ) -> None:
        """Keep the weights for the questions that this epoch answers better than all before.

        Args:
            epoch: its number.
            network: as it is after that epoch.
            probabilities: (N, L) of the tuning images.
            target: (N, 2, L), how much each finding is true and how much it is false (``ClassificationTask.target``).
            mean: the measure by which epochs are compared otherwise; decides between equal AUCs.
        """
        copy: State | None = None
        for name, places in self._places.items():
            areas = [area for place in places if (area := _area(probabilities, target, place)) is not None]
            if not areas:
                continue
            value = (round(float(np.mean(areas)), 6), mean)
            if name in self.best and value <= self.best[name]["value"]:
                continue
            copy = copy or {key: tensor.detach().clone() for key, tensor in network.state_dict().items()}
            self.best[name] = {"epoch": epoch, "value": value, "state": copy}

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` takes."""
        return {name: {**kept, "value": list(kept["value"])} for name, kept in self.best.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what an interrupted run kept."""
        self.best = {name: {**kept, "value": tuple(kept["value"])} for name, kept in state.items()}


def _area(probabilities: NDArray[np.floating], target: NDArray[np.floating], place: int) -> float | None:
    true, false = target[:, 0, place] > 0.5, target[:, 1, place] > 0.5
    if min(true.sum(), false.sum()) < FEWEST:
        return None
    known = true | false
    return auc(true[known], probabilities[known, place])
