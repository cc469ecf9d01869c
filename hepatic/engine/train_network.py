"""Train a network by a recipe on prepared samples: MONAI's engines and handlers do the work."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from ignite.engine import Engine, Events
from ignite.handlers import EpochOutputStore
from ignite.metrics import Average
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import (
    CheckpointLoader,
    LrScheduleHandler,
    TensorBoardStatsHandler,
    ValidationHandler,
)
from torch import nn
from torch.utils.data import DataLoader, Sampler

from hepatic.engine.device import place
from hepatic.engine.kind import MEASURES, judge, judged_samples
from hepatic.engine.run_record import ANSWERS, FINISHED, RunRecord
from hepatic.engine.run_record import Progress as Progress
from hepatic.tasks.recipe import Recipe, Stage, Tensors
from hepatic.tasks.spec import ClassificationTask, Sample

CHECKPOINT = "checkpoint.pt"


@dataclass
class Trained:
    """A trained network: its best state by the tuning samples, or its last where there were none.

    Attributes:
        network: in that state.
        best_epoch: from which it is.
        history: a row per epoch.
        checkpoints: by question of the recipe, the epoch that answers it best and the state it had; a question that
            the tuning samples cannot decide is missing.
    """

    network: nn.Module
    best_epoch: int
    history: list[dict[str, Any]]
    checkpoints: dict[str, tuple[int, dict[str, torch.Tensor]]]


def train_network(
    recipe: Recipe,
    network: nn.Module,
    training: Sequence[Sample],
    tuning: Sequence[Sample] = (),
    *,
    device: torch.device,
    seed: int,
    run: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Run the stages of a recipe one after the other.

    Args:
        recipe: what to do.
        network: is trained in place.
        training: prepared samples (``hepatic.engine.kind.training_sample``).
        tuning: likewise, of other patients; the epoch wins that is judged best by them, on the network's grid.
        device: where.
        seed: of order and augmentation; each epoch draws from (seed, stage, epoch), so a resumed run repeats nothing
            and skips nothing.
        run: folder for checkpoints, curves and TensorBoard; a run found there unfinished is resumed; None keeps
            nothing.
        progress: called after each epoch.
    """
    place(network, device)
    record = RunRecord(recipe, run, progress)
    record.resume(network)
    for number, stage in enumerate(recipe.stages):
        if record.finished_stages > number:
            continue
        _run_stage(recipe, stage, number, network, training, tuning, device, seed, run, record)
        record.finish_stage(number, network, run)
    if record.best is not None:
        network.load_state_dict(record.best)
    checkpoints = {name: (kept["epoch"], kept["state"]) for name, kept in record.checkpoints.best.items()}
    return Trained(network, record.best_epoch or len(record.history), record.history, checkpoints)


def _run_stage(
    recipe: Recipe,
    stage: Stage,
    number: int,
    network: nn.Module,
    training: Sequence[Sample],
    tuning: Sequence[Sample],
    device: torch.device,
    seed: int,
    run: Path | None,
    record: RunRecord,
) -> None:
    order = _SeededOrder(len(training), seed=seed, stage=number)
    batch_size = min(recipe.batch_size, len(training))
    loader = DataLoader(
        cast(Any, _Augmented(training, recipe, order)),
        batch_size=batch_size,
        sampler=order,
        drop_last=len(training) > batch_size,
    )
    optimiser = recipe.optimiser(p for p in stage.parameters(network))
    schedule = recipe.scheduler(optimiser, stage.epochs * len(loader))
    saved = {"network": network, "optimiser": optimiser, "schedule": schedule, "record": record}
    handlers: list[Any] = [LrScheduleHandler(cast(Any, schedule), print_lr=False, epoch_level=False)]
    last = number == len(recipe.stages) - 1
    evaluator = _evaluator(recipe, network, tuning, device) if tuning and last else None
    if evaluator is not None:
        handlers.append(ValidationHandler(interval=1, validator=evaluator))
    handlers.append(record.handler(stage, evaluator, network))
    trainer = SupervisedTrainer(
        device=device,
        max_epochs=stage.epochs,
        train_data_loader=loader,
        network=network,
        optimizer=optimiser,
        loss_function=stage.loss,
        prepare_batch=_Mixed(recipe, order),
        inferer=_StageForward(stage, bf16=recipe.bf16, device=device),
        decollate=False,
        optim_set_to_none=True,
        train_handlers=handlers,
    )
    trainer.logger.setLevel("WARNING")
    order.follow(trainer)
    if run is not None:
        run.mkdir(parents=True, exist_ok=True)
        TensorBoardStatsHandler(
            log_dir=str(run / "tensorboard" / stage.name),
            tag_name="loss",
            output_transform=lambda output: output["loss"],
        ).attach(trainer)
        checkpoint = run / f"stage{number}" / CHECKPOINT
        if checkpoint.is_file():
            CheckpointLoader(str(checkpoint), {**saved, "trainer": trainer}).attach(trainer)
        everything = {**saved, "trainer": trainer}
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: _save(everything, checkpoint))
    trainer.run()


def drop_checkpoints(run: Path) -> None:
    """Remove what only an interrupted run needs; curves, history and TensorBoard events stay."""
    for finished in list(run.rglob(FINISHED)):  # an ensemble's networks have folders of their own
        for folder in finished.parent.glob("stage*"):
            shutil.rmtree(folder)
        finished.unlink()


def _save(parts: Mapping[str, Any], file: Path) -> None:
    """Write a checkpoint whole or not at all (MONAI's CheckpointSaver leaves half a file when it is killed)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    torch.save({name: part.state_dict() for name, part in parts.items()}, temporary)
    temporary.replace(file)


def _evaluator(
    recipe: Recipe, network: nn.Module, tuning: Sequence[Sample], device: torch.device
) -> SupervisedEvaluator:
    def step(output: dict[str, Any]) -> torch.Tensor:
        return judge(recipe.task, output["pred"], output["label"])

    evaluator = SupervisedEvaluator(
        device=device,
        val_data_loader=DataLoader(cast(Any, judged_samples(recipe.task, tuning)), batch_size=recipe.batch_size),
        network=network,
        prepare_batch=_image_and_batch,
        inferer=_StageForward(recipe.stages[-1], bf16=recipe.bf16, device=device),
        decollate=False,
        key_val_metric={MEASURES[recipe.task.type]: Average(output_transform=step)[0]},
    )
    evaluator.logger.setLevel("WARNING")
    if recipe.checkpoints:
        task = cast(ClassificationTask, recipe.task)
        answers = EpochOutputStore(lambda output: (task.probabilities(output["pred"]), output["label"]["target"]))
        answers.attach(evaluator, ANSWERS)
    return evaluator


def _image_and_batch(
    batch: Mapping[str, torch.Tensor], device: torch.device, non_blocking: bool = False, **_: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    moved = {name: tensor.to(device, non_blocking=non_blocking) for name, tensor in batch.items()}
    return moved["image"], moved


class _Mixed:
    """The batch on the device, mixed as the recipe says; drawn per epoch and batch."""

    def __init__(self, recipe: Recipe, order: _SeededOrder) -> None:
        self._mix, self._order, self._drawn = recipe.mix, order, (0, 0)

    def __call__(
        self, batch: Mapping[str, torch.Tensor], device: torch.device, non_blocking: bool = False, **_: Any
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        if self._mix is not None:
            epoch, number = self._drawn
            number = number + 1 if epoch == self._order.epoch else 0
            self._drawn = (self._order.epoch, number)
            generator = self._order.generator()
            batch = self._mix(dict(batch), generator.manual_seed(generator.initial_seed() ^ (number + 1) << 20))
        return _image_and_batch(batch, device, non_blocking)


class _StageForward:
    """MONAI inferer: the stage's own forward, channels last, in bf16 where the recipe says so."""

    def __init__(self, stage: Stage, *, bf16: bool, device: torch.device) -> None:
        self._stage, self._bf16, self._device = stage, bf16, device

    def __call__(self, inputs: torch.Tensor, network: nn.Module, *_: Any, **__: Any) -> Any:
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            return self._stage.forward(network, inputs)


class _SeededOrder(Sampler[int]):
    """A permutation per epoch that depends on (seed, stage, epoch) alone."""

    def __init__(self, count: int, *, seed: int, stage: int) -> None:
        self._count, self._seed, self._stage, self.epoch = count, seed, stage, 0

    def __len__(self) -> int:
        return self._count

    def generator(self) -> torch.Generator:
        """Draws of this epoch."""
        return torch.Generator().manual_seed(hash((self._seed, self._stage, self.epoch)) & 0x7FFFFFFFFFFFFFFF)

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(self._count, generator=self.generator()).tolist()

    def follow(self, trainer: Engine) -> None:
        """Keep in step with the trainer's epochs, those of a resumed run too."""

        def step(engine: Engine) -> None:
            self.epoch = engine.state.epoch

        trainer.add_event_handler(Events.EPOCH_STARTED, step)


class _Augmented:
    """Training samples with the recipe's random transforms, drawn per epoch and sample."""

    def __init__(self, samples: Sequence[Sample], recipe: Recipe, order: _SeededOrder) -> None:
        self._samples, self._recipe, self._order = samples, recipe, order

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Tensors:
        sample = self._samples[index]
        if self._recipe.augment:
            generator = self._order.generator().manual_seed(self._order.generator().initial_seed() + index + 1)
            for transform in self._recipe.augment:
                sample = transform(sample, generator)
        return sample if self._recipe.encode is None else self._recipe.encode(sample)
