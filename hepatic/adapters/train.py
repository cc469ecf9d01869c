"""A recipe as a MONAI Label training task."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hepatic.adapters import compat
from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine.cases import Case
from hepatic.engine.fit import FitSettings, fit, summary
from hepatic.engine.plan import Plan
from hepatic.engine.train_network import Progress
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.settings import settings
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import Option

compat.install()

from monailabel.interfaces.datastore import Datastore  # noqa: E402
from monailabel.interfaces.tasks.train import TrainTask  # noqa: E402

logger = logging.getLogger(__name__)

STATS, PLAN = "stats.json", "plan.json"


class HepaticTrainTask(TrainTask):  # type: ignore[misc]
    """Trains a hepatic recipe for MONAI Label, on the final labels of the datastore.

    Args:
        recipe: how.
        registry: where new versions go.
        runs: folder for run folders and the statistics of the last run.
    """

    resumes = True
    """Tells a server that a training goes on where it was cut off, if it is given the same ``job_dir`` again."""

    def __init__(self, recipe: Recipe, registry: Registry, runs: Path) -> None:
        super().__init__(f"Train {recipe.task.description[0].lower()}{recipe.task.description[1:]}")
        self.recipe, self._registry, self._runs = recipe, registry, runs
        self._options = (
            Option(
                name="max_epochs", default=0, minimum=0, maximum=10_000, description="Epochs; 0 takes the recipe's own."
            ),
            Option(name="start", default="served", choices=("served", "scratch"), description="Weights to begin with."),
            Option(
                name="warm_up_epochs", default=-1, minimum=-1, description="Epochs before; -1 takes the recipe's own."
            ),
            Option(name="seed", default=0, minimum=0, description="Seed of the run."),
        )

    def config(self) -> dict[str, Any]:
        """What a client may set; a list shows as a combo box whose first entry Slicer sends unless told otherwise."""
        return {option.name: option.shown for option in (*self._options, self._preset())}

    def _preset(self) -> Option:
        """The preset, by default that of the served model: training then goes on from it."""
        served = self._registry.served(self.recipe.name)
        default = served.card.preset if served else self.recipe.task.preset_name
        presets = (self.recipe.task.preset_name, *self.recipe.task.presets)
        return Option(name="preset", default=default, choices=presets, description="Size of the network.")

    def stats(self) -> dict[str, Any]:
        """Statistics of the last run, in the words MONAI Label's clients know (``best_metric`` is a number)."""
        file = self._runs / self.recipe.name / STATS
        return dict(json.loads(file.read_bytes())) if file.is_file() else {}

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train; log a line per epoch.

        Args:
            request: the options, and ``job_dir``: a folder of this training's own, in which it notes what it trains on.
                Given the same folder again, it goes on where it was cut off, on the same labels and from the same
                version, whatever has changed meanwhile.
            datastore: with the labels.

        Raises:
            BadInputError: a parameter or the labels do not suit.
        """
        noted = Path(request["job_dir"]) / PLAN if request.get("job_dir") else None
        resume = noted is not None and noted.is_file()
        plan = Plan.read(noted) if resume and noted is not None else self._plan(request, datastore)
        if noted is not None and not resume:
            plan.write(noted)
        started = time.monotonic()
        result = fit(
            self.recipe,
            plan.cases,
            registry=self._registry,
            runs=self._runs,
            settings=plan.settings,
            progress=self._tell,
            resume=resume,
        )
        logger.info(result.reason)
        stats = {
            "total_time": round(time.monotonic() - started, 1),
            "best_metric": result.metrics[self.recipe.key_metric],
            "model": self.recipe.name,
            "epoch": result.epochs,
            "total_epochs": result.epochs,
            **summary(result),
        }
        self._write(stats)
        return stats

    def _plan(self, request: dict[str, Any], datastore: Datastore) -> Plan:
        """What a request asks for, with the labels and the served version of this moment."""
        # viewers send a combo box's whole list when nobody touched it
        sent = {name: value[0] if isinstance(value, list) and value else value for name, value in request.items()}
        options = (*self._options, self._preset())
        chosen = {o.name: o.parse(sent[o.name]) if o.name in sent else o.default for o in options}
        choices = FitSettings(
            seed=int(chosen["seed"]),
            epochs=int(chosen["max_epochs"]),
            warm_up_epochs=int(chosen["warm_up_epochs"]),
            from_scratch=chosen["start"] == "scratch",
            preset=str(chosen["preset"]),
            device=settings().device,
        )
        cases = labelled_cases(datastore, modality=self.recipe.task.modality)
        logger.info("Training %s on the labels of %d images", self.recipe.name, len(cases))
        served = self._registry.served(self.recipe.name)
        start = {"from_scratch": True} if served is None else {"start": served.version}
        return Plan(dataclasses.replace(choices, **start), cases)

    def _tell(self, progress: Progress) -> None:
        """Log an epoch, and let viewers draw it: Slicer shows ``epoch`` of ``total_epochs``."""
        judged = "" if progress.value is None else f", validation {progress.metric} {progress.value:.3f}"
        logger.info(
            "epoch %d/%d (%s): loss %.4f%s, %.0f s left",
            progress.epoch, progress.epochs, progress.stage, progress.loss, judged, progress.seconds_left,
        )  # fmt: skip
        self._write(
            {
                "model": self.recipe.name,
                "epoch": progress.epoch,
                "total_epochs": progress.epochs,
                "best_metric": progress.value or 0.0,
                "seconds_left": progress.seconds_left,
            }
        )

    def _write(self, stats: dict[str, Any]) -> None:
        file = self._runs / self.recipe.name / STATS
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(stats, indent=1))
        temporary.replace(file)


def labelled_cases(datastore: Datastore, *, modality: str) -> list[Case]:
    """Final labels of a datastore with their images and patients.

    A datastore other than hepatic's knows neither patients nor modalities: each image counts as a patient of its own.
    """
    if isinstance(datastore, HepaticDatastore):
        return [
            Case(
                image_id=case.image_id,
                patient_id=case.patient_id,
                source=case.source,
                label=case.label,
                names=label_names(case.label_info),
            )
            for case in datastore.labelled_cases()
            if case.modality == modality
        ]
    cases = []
    for image_id in datastore.get_labeled_images():
        label_id = datastore.get_label_by_image_id(image_id, "final")
        cases.append(
            Case(
                image_id=image_id,
                patient_id=image_id,
                source=Path(datastore.get_image_uri(image_id)),
                label=Path(datastore.get_label_uri(label_id, "final")),
                names=label_names(datastore.get_label_info(label_id, "final")),
            )
        )
    return cases


def label_names(info: Mapping[str, Any]) -> dict[str, int]:
    """Values by name out of what a viewer sent with a label: ``label_info``, a list of {name, idx}.

    Raises:
        BadInputError: it is not that shape.
    """
    nested = info.get("params")
    entries = info.get("label_info") or (nested.get("label_info") if isinstance(nested, Mapping) else None) or []
    try:
        return {str(entry["name"]): int(entry.get("idx", position)) for position, entry in enumerate(entries, start=1)}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadInputError(
            "label_info", expected="a list of {name, idx}", came=repr(entries)[:80], fix="Save the label again."
        ) from None
