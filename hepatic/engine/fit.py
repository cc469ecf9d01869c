"""Train a task on readers' labels and serve the new model only if it is not worse."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from filelock import FileLock, Timeout

from hepatic.engine.card import ModelCard, software
from hepatic.engine.cases import TrainingCase, data_hash
from hepatic.engine.class_counts import check_classes, count, doubt, in_words
from hepatic.engine.device import choose_device
from hepatic.engine.evaluate import evaluate, nothing_to_judge
from hepatic.engine.fit_result import FitResult as FitResult
from hepatic.engine.fit_result import FitSettings as FitSettings
from hepatic.engine.fit_result import summary as summary
from hepatic.engine.judgement import card_notes, reason
from hepatic.engine.kind import can_tune
from hepatic.engine.members import train_members
from hepatic.engine.model import LoadedModel, assemble, load_model
from hepatic.engine.predict import Predictor
from hepatic.engine.prepared_cases import PreparedCases, prepare_cases
from hepatic.engine.split import FrozenSplit, Part
from hepatic.engine.start import begin_with_imagenet
from hepatic.engine.train_network import Progress, drop_checkpoints
from hepatic.engine.tuning import epoch_chosen, with_shown_from
from hepatic.engine.weights import ModelVersion, Registry
from hepatic.errors import BadInputError, ConflictError
from hepatic.settings import settings as library_settings
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Task

logger = logging.getLogger(__name__)

SPLIT, RESULT, PUBLISHED = "split.json", "result.json", "published.json"
PARTS: tuple[Part, ...] = ("train", "tuning", "validation")


def fit(
    recipe: Recipe,
    cases: Sequence[TrainingCase],
    *,
    registry: Registry,
    runs: Path,
    settings: FitSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
) -> FitResult:
    """Train, judge, publish, and promote if not worse.

    The same labels, settings and parent make the same run folder: a run that was interrupted there is resumed.

    Args:
        recipe: how; its ``presets`` follow the task's.
        cases: all labelled images; they are split by patient here (``FrozenSplit``).
        registry: where the new version goes.
        runs: folder for run folders.
        settings: choices of a person.
        progress: called after each epoch.
        resume: this very run was begun before: where it was finished, take its result rather than train anew.

    Raises:
        BadInputError: labels of fewer than two patients, labels that do not fit their images, no study that can judge a
            detector, or images of one class alone for a classifier; all before anything is trained.
    """
    settings = settings or FitSettings()
    folder = registry.models / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".training.lock", timeout=0):
            return _fit(
                recipe, cases, registry=registry, runs=runs, settings=settings, progress=progress, resume=resume
            )
    except Timeout:
        raise ConflictError(
            f"training of '{recipe.name}'",
            expected="no other training of this model over the same studies",
            came="one that is running, in this or another process",
            fix="Wait for it or stop it.",
        ) from None


def _fit(
    recipe: Recipe,
    cases: Sequence[TrainingCase],
    *,
    registry: Registry,
    runs: Path,
    settings: FitSettings,
    progress: Callable[[Progress], None] | None,
    resume: bool,
) -> FitResult:
    base = recipe
    served = registry.version(recipe.name, settings.start) if settings.start else registry.served(recipe.name)
    recipe = base.preset(settings.preset or (served.card.preset if served else recipe.task.preset_name))
    parent = (
        None if settings.from_scratch or served is None or served.card.preset != recipe.task.preset_name else served
    )
    own = getattr(recipe.task, "members", ()) or (recipe.task.preset_name,)
    recipes = [
        _staged(
            dataclasses.replace(base.preset(name), answered_by=recipe.answered_by),
            settings,
            fine_tune=parent is not None,
        )
        for name in own
    ]
    parts = FrozenSplit(registry.models / recipe.name / SPLIT).extend(
        (case.patient_id for case in cases),
        wished={case.patient_id: case.part for case in cases if case.part is not None},
    )
    livers = Predictor(registry, device=settings.device).liver

    def prepared(recipe: Recipe, part: Part) -> PreparedCases:
        own = [case for case in cases if parts[case.patient_id] == part]
        return prepare_cases(recipe, own, livers=livers, needed=part != "tuning", balanced=part != "validation")

    training, tuning, judging = (prepared(recipes[0], part) for part in PARTS)
    if isinstance(recipe.task, DetectionTask) and not can_tune(recipe.task, judging.samples):
        raise nothing_to_judge(recipe.name, len({case.study for case in judging.cases}))
    counted = {
        part: count(recipe.task, prepared.cases)
        for part, prepared in zip(PARTS, (training, tuning, judging), strict=True)
    }
    check_classes(recipe, counted)
    device = choose_device(settings.device)

    run = runs / recipe.name / _run_name(recipe, cases, settings, parent)
    if (run / RESULT).is_file():
        if resume:
            return _finished(recipe, registry, run)
        shutil.rmtree(run)  # finished before: train anew rather than repeat its result unseen
    run.mkdir(parents=True, exist_ok=True)

    logger.info(
        "%s (%s): seed %d, data %s, %d images train, %d tune, %d judge, from %s, run %s",
        recipe.name,
        recipe.task.preset_name,
        settings.seed,
        data_hash(cases)[:12],
        len(training.cases),
        len(tuning.cases),
        len(judging.cases),
        parent.version if parent else "new weights",
        run.name,
    )
    for part, counts in counted.items():
        if isinstance(recipe.task, ClassificationTask):
            logger.info("Classes, %s: %s", part, in_words(counts["classes"]))
    left_out = {**training.left_out, **tuning.left_out, **judging.left_out}
    if left_out:
        logger.warning(
            "%d of %d images are left out, for the reasons above; the card says why each", len(left_out), len(cases)
        )
    ready = {recipes[0].task.pre_fingerprint: (training, tuning)}

    def as_prepared_by(recipe: Recipe) -> tuple[PreparedCases, PreparedCases]:
        fingerprint = recipe.task.pre_fingerprint
        if fingerprint not in ready:
            ready.clear()
            ready[fingerprint] = prepared(recipe, "train"), prepared(recipe, "tuning")
        return ready[fingerprint]

    trained = train_members(
        recipes,
        as_prepared_by,
        parent=parent,
        begin=lambda recipe, network: begin_with_imagenet(
            recipe, network, settings.imagenet or library_settings().imagenet
        ),
        device=device,
        seed=settings.seed,
        run=run,
        progress=progress,
    )
    card = ModelCard(
        task=recipe.name,
        preset=recipe.task.preset_name,
        pre_fingerprint=recipe.task.pre_fingerprint,
        members=trained.told,
        parent=None if parent is None else parent.version,
        seed=settings.seed,
        key_metric=recipe.key_metric,
        data={
            "sha256": data_hash(cases),
            **counted,
            "best_epoch": trained.best_epoch,
            "epoch_chosen": epoch_chosen(recipe, tuning),
            "left_out": left_out,
            **({"begins_with": trained.begins_with} if trained.begins_with else {}),
            **({"snapshot": settings.snapshot} if settings.snapshot else {}),
        },
        software=software(),
    )
    model = assemble(recipe.task, card, trained.networks, device)
    if isinstance(recipe.task, DetectionTask):
        detector = cast(LoadedModel[DetectionTask], model)
        card = with_shown_from(recipe, detector, tuning, device=device, livers=livers)
        model = dataclasses.replace(model, card=card)
    metrics = evaluate(recipe, model, judging.cases, device=device, livers=livers)
    judged_by = counted["validation"]
    told_too_little = doubt(recipe.task, judged_by)
    patients = min(judged_by["patients"], int(metrics["cases"]))  # of a detector those with a lesion judge
    if (run / PUBLISHED).is_file():  # it was cut off after that
        version = registry.version(recipe.name, json.loads((run / PUBLISHED).read_bytes())["version"])
    else:
        notes = card_notes(settings.notes, patients=patients, doubt=told_too_little, parent=parent, registry=registry)
        version = registry.publish(trained.states(), card.model_copy(update={"metrics": metrics, "notes": notes}))
        _write(run / PUBLISHED, {"version": version.version})
    served = registry.served(recipe.name)  # it may have changed meanwhile
    before = {}
    if served is not None and (rival := _loaded(recipe, served, device)):
        before = evaluate(recipe, rival, judging.cases, device=device, livers=livers)

    new, old = metrics[recipe.key_metric], before.get(recipe.key_metric)
    wanted = library_settings().judging_patients
    # a tie at nothing found is no reason to change
    promoted = not told_too_little and (old is None or (new >= old and new > 0 and patients >= wanted))
    if promoted:
        version = registry.promote(recipe.name, version.version)
    result = FitResult(
        version=version,
        promoted=promoted,
        reason=reason(
            recipe.key_metric,
            new,
            old,
            images=len(judging.cases),
            patients=patients,
            wanted=wanted,
            doubt=told_too_little,
            promoted=promoted,
        ),
        metrics=metrics,
        served_metrics=before,
        epochs=trained.epochs,
        run=run,
    )
    _write(run / RESULT, {**summary(result), "epochs": result.epochs})
    drop_checkpoints(run)
    return result


def _finished(recipe: Recipe, registry: Registry, run: Path) -> FitResult:
    """Return the result of a run that was finished before."""
    told = json.loads((run / RESULT).read_bytes())
    drop_checkpoints(run)
    return FitResult(
        version=registry.version(recipe.name, told["version"]),
        promoted=told["promoted"],
        reason=told["reason"],
        metrics=told["metrics"],
        served_metrics=told["served_metrics"],
        epochs=told["epochs"],
        run=run,
    )


def _write(file: Path, about: Mapping[str, object]) -> None:
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(about, indent=1))
    temporary.replace(file)


def _loaded(recipe: Recipe, served: ModelVersion, device: torch.device) -> LoadedModel[Task] | None:
    """Return the model that is served; None, with a warning, where its weights are no longer those of its network."""
    try:
        return load_model(recipe.task, served, device)
    except BadInputError as error:
        logger.warning("%s", error)
        return None


def _staged(recipe: Recipe, settings: FitSettings, *, fine_tune: bool) -> Recipe:
    """Leave out the warm-up stages when training goes on from a trained model, and set what was asked for."""
    *warm_up, last = recipe.stages
    if fine_tune:
        warm_up = []
        last = dataclasses.replace(last, epochs=recipe.fine_tune_epochs)
    if settings.epochs:
        last = dataclasses.replace(last, epochs=settings.epochs)
    if settings.warm_up_epochs >= 0:
        warm_up = [dataclasses.replace(stage, epochs=settings.warm_up_epochs) for stage in warm_up]
        warm_up = [stage for stage in warm_up if stage.epochs]
    optimiser = recipe.fine_tune_optimiser if fine_tune else recipe.optimiser
    eligible_only = recipe.eligible_only if settings.eligible_only is None else settings.eligible_only
    return dataclasses.replace(recipe, stages=(*warm_up, last), optimiser=optimiser, eligible_only=eligible_only)


def _run_name(recipe: Recipe, cases: Sequence[TrainingCase], settings: FitSettings, parent: ModelVersion | None) -> str:
    parts = [recipe.task.preset_name, data_hash(cases), dataclasses.asdict(settings), parent and parent.version]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
