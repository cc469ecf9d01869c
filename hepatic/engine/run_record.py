"""What a training run has done so far: its history, its best weights, how long it has to go."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator
from torch import nn

from hepatic.engine.checkpoints import Checkpoints
from hepatic.engine.kind import MEASURES
from hepatic.tasks.recipe import Recipe, Stage

FINISHED = "finished_stages.pt"
ANSWERS = "answers"
"""Where an evaluator keeps probabilities and targets of the tuning samples, batch by batch."""


@dataclass(frozen=True)
class Progress:
    """Where a training run is.

    Attributes:
        stage: name of the stage.
        epoch: finished epochs over all stages.
        epochs: epochs over all stages.
        loss: mean over the epoch.
        metric: name of the measure on the network's grid by which epochs are compared (``hepatic.engine.kind``).
        value: its mean over the tuning samples; None where there are none.
        seconds_left: estimate.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    metric: str
    value: float | None
    seconds_left: float


class RunRecord:
    """History, best state and progress of a run; part of its checkpoints."""

    def __init__(self, recipe: Recipe, run: Path | None, progress: Callable[[Progress], None] | None) -> None:
        self._epochs = sum(stage.epochs for stage in recipe.stages)
        self._run, self._progress, self.metric = run, progress, MEASURES[recipe.task.type]
        self.history: list[dict[str, Any]] = []
        self.checkpoints = Checkpoints(recipe.checkpoints, recipe.task.labels)
        self.best: dict[str, torch.Tensor] | None = None
        self.best_value, self.best_epoch, self.finished_stages = -math.inf, 0, 0
        self._started, self._already = time.monotonic(), 0

    def resume(self, network: nn.Module) -> None:
        """Take up what earlier stages of an interrupted run left."""
        finished = None if self._run is None else self._run / FINISHED
        if finished is not None and finished.is_file():
            state = torch.load(finished, weights_only=True)
            network.load_state_dict(state["network"])
            self.load_state_dict(state)

    def handler(self, stage: Stage, evaluator: SupervisedEvaluator | None, network: nn.Module) -> _RecordHandler:
        """Return what tells this record of a stage's epochs."""
        return _RecordHandler(self, stage, evaluator, network)

    def epoch(
        self, stage: Stage, loss: float, value: float | None, network: nn.Module, answers: Sequence[Any] = ()
    ) -> None:
        """Note an epoch, and keep its weights where they are the best so far."""
        done = len(self.history) + 1
        rate = (time.monotonic() - self._started) / max(1, done - self._already)
        now = Progress(stage.name, done, self._epochs, loss, self.metric, value, round(rate * (self._epochs - done), 1))
        about = asdict(now)
        about[about.pop("metric")] = about.pop("value")
        self.history.append(about)
        if value is not None and value > self.best_value:
            self.best_value, self.best_epoch = value, done
            self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        if answers and value is not None:
            probabilities, target = (
                torch.cat([part.float().cpu() for part in parts]).numpy() for parts in zip(*answers, strict=True)
            )
            self.checkpoints.judge(done, network, probabilities, target, mean=value)
        if self._run is not None:
            (self._run / "history.json").write_text(json.dumps(self.history, indent=1))
        if self._progress is not None:
            self._progress(now)

    def finish_stage(self, number: int, network: nn.Module, run: Path | None) -> None:
        """Note that a stage is over."""
        self.finished_stages = number + 1
        if run is not None:
            temporary = run / (FINISHED + ".new")
            torch.save({**self.state_dict(), "network": network.state_dict()}, temporary)
            temporary.replace(run / FINISHED)

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` takes."""
        return {
            "history": self.history,
            "best": self.best,
            "best_value": self.best_value,
            "best_epoch": self.best_epoch,
            "checkpoints": self.checkpoints.state_dict(),
            "finished_stages": self.finished_stages,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what was noted before."""
        self.history, self.best = list(state["history"]), state["best"]
        self.best_value, self.best_epoch = state["best_value"], state["best_epoch"]
        self.finished_stages = state["finished_stages"]
        self.checkpoints.load_state_dict(state.get("checkpoints", {}))
        self._started, self._already = time.monotonic(), len(self.history)


class _RecordHandler:
    def __init__(
        self, record: RunRecord, stage: Stage, evaluator: SupervisedEvaluator | None, network: nn.Module
    ) -> None:
        self._record, self._stage, self._evaluator, self._network = record, stage, evaluator, network
        self._losses: list[float] = []

    def attach(self, trainer: Engine) -> None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._iteration)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._epoch)

    def _iteration(self, trainer: Engine) -> None:
        self._losses.append(trainer.state.output["loss"].item())

    def _epoch(self, trainer: Engine) -> None:
        loss, self._losses = sum(self._losses) / max(1, len(self._losses)), []
        if self._evaluator is None:
            return self._record.epoch(self._stage, loss, None, self._network)
        judged = self._evaluator.state
        value = float(judged.metrics[self._record.metric])
        self._record.epoch(self._stage, loss, value, self._network, getattr(judged, ANSWERS, ()))
