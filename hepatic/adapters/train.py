"""A recipe as a MONAI Label training task."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import time
from pathlib import Path
from typing import Any

from hepatic.adapters import compat
from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.training_cases import cases_for
from hepatic.engine.cases import ClassCase, TrainingCase
from hepatic.engine.fit import FitSettings, fit, summary
from hepatic.engine.plan import Plan
from hepatic.engine.start import check_imagenet
from hepatic.engine.train_network import Progress
from hepatic.engine.weights import ModelVersion, Registry
from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.noted_class import snapshot_class_cases, with_its_study
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.snapshot_cases import Prepare, snapshot_cases
from hepatic.harvest.snapshots import snapshot_file
from hepatic.settings import settings
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask, Option, Task

compat.install()

from monailabel.interfaces.datastore import Datastore  # noqa: E402
from monailabel.interfaces.tasks.train import TrainTask  # noqa: E402

logger = logging.getLogger(__name__)

STATS, PLAN = "stats.json", "plan.json"
_SNAPSHOT = re.compile(r"([0-9a-f]{64})(\.json)?")
_FLAGGED = Option(
    name="flagged",
    default="preset",
    choices=("preset", "leave_out", "take"),
    description="Images that paper 002 excludes; by default the paper's presets of us_ceus leave them out.",
)


class HepaticTrainTask(TrainTask):  # type: ignore[misc]
    """Trains a hepatic recipe for MONAI Label, on the final labels of the datastore.

    A detector is also trained on a snapshot of readers' verdicts. A classifier is trained on the notes of images: as a
    snapshot holds them, where one is given, else those of the moment.

    Args:
        recipe: how.
        registry: where new versions go.
        runs: folder for run folders and the statistics of the last run.
        data_dir: where snapshots and prepared studies are; None where there are none.
        prepare: prepares a study again that has gone from the cache, by its StudyInstanceUID.
    """

    resumes = True
    """Tells a server that a training goes on where it was cut off, if it is given the same ``job_dir`` again."""

    def __init__(
        self,
        recipe: Recipe,
        registry: Registry,
        runs: Path,
        *,
        data_dir: Path | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        first, *others = recipe.task.description.split(" ")
        word = first if first.isupper() else first[0].lower() + first[1:]  # HCC stays
        super().__init__(" ".join(["Train", word, *others]))
        self.recipe, self._registry, self._runs = recipe, registry, runs
        self._data_dir, self._prepare = data_dir, prepare
        self._options = (
            Option(
                name="max_epochs", default=0, minimum=0, maximum=10_000, description="Epochs; 0 takes the recipe's own."
            ),
            Option(name="start", default="served", choices=("served", "scratch"), description="Weights to begin with."),
            Option(
                name="warm_up_epochs", default=-1, minimum=-1, description="Epochs before; -1 takes the recipe's own."
            ),
            Option(name="seed", default=0, minimum=0, description="Seed of the run."),
            *([_FLAGGED] if _is_of_lesions(recipe.task) else []),
        )

    def config(self) -> dict[str, Any]:
        """What a client may set; a list shows as a combo box whose first entry Slicer sends unless told otherwise."""
        return {option.name: option.shown for option in (*self._options, self._preset())}

    @property
    def takes(self) -> tuple[str, ...]:
        """What a request may hold; all else in it is passed over."""
        return (*self.config(), "imagenet", "snapshot", "job_dir")

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
            request: the options; ``imagenet``: file or folder of ImageNet weights to begin with; ``snapshot``, for a
                detector or a classifier: the SHA-256 of a snapshot of the review store, or its file below the data
                folder; and ``job_dir``: a folder of this training's own, in which it notes what it trains on. Given the
                same folder again, it goes on where it was cut off, on the same labels and from the same version,
                whatever has changed meanwhile.
            datastore: with the labels.

        Raises:
            BadInputError: a parameter or the labels do not suit.
            NotFoundError: there is no such snapshot.
        """
        noted = Path(request["job_dir"]) / PLAN if request.get("job_dir") else None
        resume = noted is not None and noted.is_file()
        plan = Plan.read(noted) if resume and noted is not None else self._plan(request, datastore)
        if noted is not None and not resume:
            plan.write(noted)
        started = time.monotonic()
        result = fit(
            self.recipe,
            self._cases(plan, datastore),
            registry=self._registry,
            runs=self._runs,
            settings=dataclasses.replace(plan.settings, snapshot=plan.snapshot),
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
            imagenet=str(request.get("imagenet") or ""),
            eligible_only={"leave_out": True, "take": False}.get(str(chosen.get(_FLAGGED.name))),
        )
        served = self._registry.served(self.recipe.name)
        self._check_imagenet(choices, served)
        snapshot = self._snapshot(request.get("snapshot"), datastore)
        frozen = bool(snapshot) and isinstance(self.recipe.task, ClassificationTask)
        cases = [] if frozen else cases_for(self.recipe.task, datastore, coarse=True)
        if not frozen and not cases and isinstance(self.recipe.task, ClassificationTask):
            raise BadInputError(
                "training",
                expected=f"images whose class is noted, under '{self.recipe.task.note}'",
                came="none",
                fix="Name classes on the pages of the cases, at /qa or in 3D Slicer, or import labels that name them.",
            )
        logger.info(
            "Training %s on %s%s",
            self.recipe.name,
            "the labels" if frozen else f"the labels of {len(cases)} images",
            f"{'' if frozen else ' and the verdicts'} of snapshot {snapshot[:12]}" if snapshot else "",
        )
        start = {"from_scratch": True} if served is None else {"start": served.version}
        return Plan(dataclasses.replace(choices, **start), cases, snapshot)

    def _check_imagenet(self, choices: FitSettings, served: ModelVersion | None) -> None:
        goes_on = served is not None and not choices.from_scratch and served.card.preset == choices.preset
        place = choices.imagenet or ("" if goes_on else settings().imagenet)
        used = check_imagenet(self.recipe.preset(choices.preset), place)
        if choices.imagenet and (goes_on or not used):
            raise BadInputError(
                "ImageNet weights",
                expected="a training from scratch of a preset that begins with them, and a file for its network",
                came=f"preset {choices.preset} of {self.recipe.name}"
                + (", which goes on from the model that is served" if goes_on else ""),
                fix="Add -p start=scratch and for example -p preset=paper (docs/ultrasound.md), or leave them out.",
            )

    def _snapshot(self, asked: object, datastore: Datastore) -> str:
        """Return the SHA-256 of the snapshot that is asked for; empty where none is."""
        if not asked:
            return ""
        found = _SNAPSHOT.fullmatch(str(asked).replace("\\", "/").rpartition("/")[2])
        able = self.recipe.task.type == "detection" or (
            self.recipe.task.type == "classification" and isinstance(datastore, HepaticDatastore)
        )
        if found is None or not able or self._data_dir is None:
            raise BadInputError(
                "parameter 'snapshot'",
                expected="the SHA-256 of a snapshot, for a detector or a classifier",
                came=ascii(asked)[:80],
                fix="Take a snapshot at /qa, or leave it out.",
            )
        if not snapshot_file(self._data_dir, found[1]).is_file():
            raise NotFoundError(
                "the snapshot", expected="one that was taken here", came=found[1], fix="Take a snapshot at /qa first."
            )
        return found[1]

    def _cases(self, plan: Plan, datastore: Datastore) -> list[TrainingCase]:
        """All that is trained on: a classifier's snapshot alone; of an image that has both a label and verdicts, a
        detector takes the verdicts if they say all there is.
        """
        file = snapshot_file(self._data_dir, plan.snapshot) if plan.snapshot and self._data_dir is not None else None
        if isinstance(self.recipe.task, ClassificationTask) and isinstance(datastore, HepaticDatastore):
            store = datastore.store
            found = plan.cases if file is None else snapshot_class_cases(file, self.recipe.task, store)
            return [with_its_study(case, store) if isinstance(case, ClassCase) else case for case in found]
        if file is None or self._data_dir is None:
            return list(plan.cases)
        reviewed = snapshot_cases(file, prepared=prepared_folder(self._data_dir), prepare=self._prepare)
        said = {case.image_id for case in reviewed if case.complete}
        labelled = {case.image_id for case in plan.cases} - said
        return [
            *(case for case in plan.cases if case.image_id not in said),
            *(case for case in reviewed if case.image_id not in labelled),
        ]

    def _tell(self, progress: Progress) -> None:
        """Log an epoch, and let viewers draw it: Slicer shows ``epoch`` of ``total_epochs``."""
        judged = "" if progress.value is None else f", tuning {progress.metric} {progress.value:.3f}"
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


def _is_of_lesions(task: Task) -> bool:
    return isinstance(task, ClassificationTask) and task.needs_boxes
