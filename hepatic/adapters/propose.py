"""Candidates of a study, by the app's models: what a server asks a worker for."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hepatic.engine.predict import Predictor
from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepare import OnStage, prepare_study
from hepatic.harvest.propose import propose
from hepatic.harvest.series import Series
from hepatic.harvest.study import Box, Phase, PreparedStudy
from hepatic.harvest.study_json import to_json
from hepatic.io.image import Volume
from hepatic.store.store import Store
from hepatic.tasks.spec import ClassificationTask, DetectionTask, SegmentationTask, Task

logger = logging.getLogger(__name__)

OneTask = TypeVar("OneTask", bound=Task)


class _PromotedError(ConflictError):
    """Other weights were promoted while a study was being proposed."""


DETECTOR, PHASE, LIVER = "ct_centernet3d", "ct_phase", "ct_liver"


class Proposer:
    """Prepares studies and proposes candidates in them.

    Args:
        tasks: by name; the detector, and ``ct_phase`` and ``ct_liver`` where there are such.
        predictor: runs them.
        data_dir: where prepared studies are kept.
    """

    def __init__(self, tasks: Mapping[str, Task], predictor: Predictor, data_dir: Path) -> None:
        self._tasks, self._predictor, self._cache = tasks, predictor, prepared_folder(data_dir)

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Propose candidates in one study.

        Args:
            request: ``study_uid``; ``patient_id``; ``series``, a list of ``image_id``, ``path`` (of this machine, set
                by the server), ``description`` and, where they differ, ``patient_id``; ``model``, the detector's name;
                its options. Without ``min_score`` candidates are shown from the score that was chosen when the
                detector was judged (``shown_from`` on its card).

        Returns:
            ``ProposedStudy`` as JSON, with ``model`` and ``model_hash``, which a study without candidates does not
            tell, and ``seconds`` by stage.

        Raises:
            BadInputError: the model is no detector, or no series of the study can be used.
            NotFoundError: the detector has not been trained yet.
            ConflictError: other weights were promoted again and again meanwhile.
        """
        detector = self._detector(str(request.get("model") or DETECTOR))
        try:
            return self._proposed(request, detector)
        except _PromotedError:
            logger.info("Other weights of %s were promoted meanwhile; the study is proposed again", detector.name)
            return self._proposed(request, detector)

    def _proposed(self, request: Mapping[str, Any], detector: DetectionTask) -> dict[str, Any]:
        """Propose with the weights that are served now; _PromotedError if others are before it is done."""
        options = detector.parse_options(request)
        card = self._predictor.model(detector).card
        if "min_score" not in request and "shown_from" in card.metrics:  # every card more is a chance to slip
            options["min_score"] = card.metrics["shown_from"]
        seconds: dict[str, float] = {}

        def count(stage: str, taken_s: float) -> None:
            seconds[stage] = round(seconds.get(stage, 0.0) + taken_s, 3)

        prepared = self.prepare(_series(request), on_stage=count)
        started = time.perf_counter()

        def detect(study: PreparedStudy, where: Phase) -> list[tuple[Box, float]]:
            volume = Volume(study.phases[where].hu, study.grid, "CT")
            found = self._predictor.detect(detector, volume, np.asarray(study.liver), params=options)
            if found.model_sha256 != card.sha256:
                raise _PromotedError(
                    f"model '{detector.name}'",
                    expected="the same weights for all phases of a study",
                    came="others, promoted meanwhile",
                    fix="Propose the study again.",
                )
            return [(tuple(box), score) for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)]

        study = propose(
            prepared,
            detect,
            model=detector.name,
            model_hash=card.sha256,
            most=int(options["most"]),
            min_score=float(options["min_score"]),
            max_iou=float(options["max_iou"]),
        )
        count("detect", time.perf_counter() - started)
        study = replace(study, warnings=(*study.warnings, *self._missing()))
        logger.info("%d candidates in %d phases (%s)", len(study.candidates), len(study.image_ids), seconds)
        return {**to_json(study), "model": detector.name, "model_hash": card.sha256, "seconds": seconds}

    def prepare(self, series: Sequence[Series], *, on_stage: OnStage | None = None) -> PreparedStudy:
        """Prepare a study by the models that are served, or take it from the cache; see ``prepare_study``."""
        phase, liver = self._served(PHASE, ClassificationTask), self._served(LIVER, SegmentationTask)
        return prepare_study(
            series,
            find_phase=None if phase is None else lambda volume: self._find_phase(phase[0], volume),
            find_liver=None if liver is None else lambda volume: self._predictor.liver(liver[0], volume),
            cache=self._cache,
            made_by=f"{PHASE} {phase and phase[1]} {LIVER} {liver and liver[1]}",
            on_stage=on_stage,
        )

    def _missing(self) -> list[str]:
        """What a reader must know of models that are not there."""
        said = {
            PHASE: "There is no model of contrast phases: the tags alone are believed.",
            LIVER: "There is no liver model: candidates are looked for in the whole picture.",
        }
        there = {PHASE: self._served(PHASE, ClassificationTask), LIVER: self._served(LIVER, SegmentationTask)}
        return [text for name, text in said.items() if there[name] is None]

    def _detector(self, name: str) -> DetectionTask:
        task = self._tasks.get(name)
        if not isinstance(task, DetectionTask):
            detectors = [one.name for one in self._tasks.values() if isinstance(one, DetectionTask)]
            raise BadInputError(
                "the model",
                expected="a detector: " + (" or ".join(sorted(detectors)) or "there is none"),
                came=ascii(name)[:80],
                fix="Choose one of these.",
            )
        return task

    def _served(self, name: str, kind: type[OneTask]) -> tuple[OneTask, str] | None:
        """Return a task that has a model, and the hash of its weights."""
        task = self._tasks.get(name)
        if not isinstance(task, kind):
            return None
        try:
            return task, self._predictor.model(task).card.sha256
        except NotFoundError:
            return None

    def _find_phase(self, task: ClassificationTask, volume: Volume) -> dict[Phase, float]:
        found = self._predictor.classify(task, volume).probabilities
        return {Phase(name): probability for name, probability in found.items()}


def series_of(store: Store, study_uid: str) -> list[Series]:
    """Return the CT series of a study.

    Raises:
        NotFoundError: there are none.
    """
    found = [
        Series(
            image_id=image.id,
            source=store.source(image.id),
            description=image.description,
            study_uid=image.study_uid,
            patient_id=image.patient_id,
        )
        for image in store.images.all(modality="CT", study_uid=study_uid)
    ]
    if not found:
        raise NotFoundError(
            "the study", expected="CT series in the studies folder", came="none any more", fix="Add them again."
        )
    return found


def _series(request: Mapping[str, Any]) -> list[Series]:
    """Read the series of a request, which the server wrote."""
    study = str(request["study_uid"])
    return [
        Series(
            image_id=str(one["image_id"]),
            source=Path(one["path"]),
            description=str(one.get("description") or ""),
            study_uid=study,
            patient_id=str(one.get("patient_id") or request.get("patient_id") or ""),
        )
        for one in request["series"]
    ]
