"""Filling the review store and learning from it: jobs that propose studies, and trainings on what readers said."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hepatic.adapters.training_cases import label_names
from hepatic.engine.fit import SPLIT
from hepatic.engine.split import FrozenSplit
from hepatic.errors import BadInputError, HepaticError, NotFoundError
from hepatic.harvest.events import SLICER, read_box
from hepatic.harvest.parts import Part
from hepatic.harvest.propose_classes import classified_uid
from hepatic.harvest.snapshots import Snapshot
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study_json import from_json
from hepatic.store.case import LabelledCase
from hepatic.store.images import Image
from server import worker
from server.class_labels import ClassLabels
from server.class_proposals import CLASSIFICATION, proposed_from, request_for, suited
from server.class_proposals import MODALITY as ULTRASOUND
from server.executor import Executor
from server.harvest_slicer import FINAL
from server.host import Host, is_shared
from server.jobs.held import Held, JobFailedError
from server.jobs.items import go_through
from server.jobs.job import Job
from server.jobs.runner import Jobs
from server.names import check_listed
from server.params import cleaned
from server.training import Training

logger = logging.getLogger(__name__)

KIND, KNOW = "propose", "know"
DETECTION = "detection"
DEFAULT_MODEL = "ct_centernet3d"
MODALITY = "CT"
AGAIN_S = 600.0


class HarvestJobs:
    """Asks for proposals and for trainings on snapshots; proposes anew when a training has brought a better model.

    Args:
        host: the app.
        executor: where models run.
        jobs: where jobs are kept; this serves its kind ``propose``.
        store: of reviews.
        labels: where classes that readers settled are written.
        timeout_s: for one study.
    """

    def __init__(
        self,
        host: Host,
        executor: Executor,
        jobs: Jobs,
        store: ReviewStore,
        labels: ClassLabels,
        *,
        timeout_s: float = 3600.0,
    ) -> None:
        self._host, self._executor, self._jobs, self._store = host, executor, jobs, store
        self._labels = labels
        self._timeout_s = timeout_s
        self._again: dict[str, float] = {}
        jobs.serve(KIND, self._run)
        jobs.serve(KNOW, self._run_know)

    def propose(self, studies: Sequence[str] | None = None, *, model: str = "", asked_by: str = "") -> Job:
        """Ask a detector or a classifier to look at studies.

        Args:
            studies: StudyInstanceUIDs; all of the datastore by default: CT studies, or ultrasound for a classifier.
            model: which; our detector by default.
            asked_by: who wants it.

        Raises:
            BadInputError: there are no such studies, or the datastore is not ours.
            NotFoundError: there is no such model or study.
        """
        classifier = self.classifiers().get(model)
        chosen = model if classifier else self.detector(model)
        modality = ULTRASOUND if classifier else MODALITY
        there = self._looked_at_by(classifier)
        if studies is not None and (unknown := [uid for uid in studies if uid not in there]):
            raise NotFoundError(
                "the study",
                expected=f"{modality} studies of the datastore",
                came=f"{len(unknown)} others, first {ascii(unknown[0])[:60]}",
                fix="GET /datastore/ lists the images; add the study first.",
            )
        items = list(dict.fromkeys(studies)) if studies is not None else list(there)
        if not items:
            raise BadInputError(
                "the datastore",
                expected=f"a {modality} study",
                came="none",
                fix=f"Put {modality} images into the studies folder.",
            )
        return self._jobs.submit(KIND, {"model": chosen}, items=items, asked_by=asked_by)

    def prepare_again(self, study: str) -> bool:
        """Propose a study anew whose prepared pictures have gone from the cache; return whether they will come.

        Asked at most once in so many minutes, in case it fails.
        """
        if study in studies_under_way(self._jobs):
            return True
        if time.monotonic() - self._again.get(study, -math.inf) < AGAIN_S:
            return False
        self._again[study] = time.monotonic()
        try:
            self.propose([study])
        except HepaticError as failure:
            logger.warning("a study whose pictures have gone cannot be prepared again: %s", failure)
            return False
        return True

    def know(self, *, asked_by: str = "") -> Job:
        """Mark the studies under review as known cases whose reference series has a final label that shows lesions.

        Labels of data sets that mark only some of the lesions are left out: they do not say where there is none.

        Raises:
            BadInputError: there is none, or the datastore is not ours.
        """
        items = sorted(self._labelled())
        if not items:
            raise BadInputError(
                "the studies under review",
                expected="a final label on the reference series of one",
                came="none that marks every lesion",
                fix="Save or import labels of all lesions, or use PUT /qa/api/v1/known/{study}.",
            )
        return self._jobs.submit(KNOW, {"model": "labels"}, items=items, asked_by=asked_by)

    def detector(self, asked: str = "") -> str:
        """Return the name of a detector: the one asked for, else ours, else the first there is."""
        found = [name for name, task in self._host.models.items() if _type(task) == DETECTION]
        if asked:
            check_listed(
                "the model",
                asked,
                found,
                fix="GET /info/ lists the models; it takes one that detects, or classifies US.",
            )
            return asked
        if not found:
            raise NotFoundError(
                "the app", expected="a model that detects", came="none", fix="Serve an app that has one."
            )
        return DEFAULT_MODEL if DEFAULT_MODEL in found else found[0]

    def classifiers(self) -> dict[str, dict[str, Any]]:
        """Return the classifiers of ultrasound by name, with what they tell of themselves."""
        told = {n: dict(task.info()) for n, task in self._host.models.items() if _type(task) == CLASSIFICATION}
        return {n: about for n, about in told.items() if about.get("modality") == ULTRASOUND and about.get("note")}

    def trains_classifier(self, trainer: str) -> bool:
        """Whether a trainer makes a classifier of ultrasound."""
        return trainer in self._host.trainers and trainer in self.classifiers()

    def trains_detector(self, trainer: str) -> bool:
        """Whether a trainer makes a detector that can learn from a snapshot."""
        recipe = getattr(self._host.trainers.get(trainer), "recipe", None)
        return str(getattr(getattr(recipe, "task", None), "type", "")) == DETECTION

    def with_snapshot(self, request: Mapping[str, Any], *, asked_by: str = "", needed: bool = False) -> dict[str, Any]:
        """Return a request for a training with a snapshot of what readers have said by now, where it can use one.

        Args:
            request: ``model`` names the trainer.
            asked_by: who wants it.
            needed: refuse where there is nothing to learn from; else the training goes without.

        Raises:
            BadInputError: nothing was finished yet, and it is needed.
        """
        given = {key: value for key, value in request.items() if key != "snapshot"}
        if not self.trains_detector(str(given.get("model"))):
            return given
        try:
            return {**given, "snapshot": self.snapshot(str(given["model"]), asked_by=asked_by).sha256}
        except BadInputError:
            if needed:
                raise
            return given

    def snapshot(self, trainer: str = "", *, asked_by: str = "") -> Snapshot:
        """Write down what readers have said by now; patients stay on the side that earlier trainings put them on.

        Args:
            trainer: whose trainings; of ours by default.
            asked_by: who wants it.

        Raises:
            BadInputError: nothing was finished yet.
        """
        registry = getattr(self._host.app, "registry", None)
        drawn: dict[str, Part] = {}
        if registry is not None:
            parts = FrozenSplit(registry.models / (trainer or DEFAULT_MODEL) / SPLIT).parts
            drawn = {patient: "test" if part == "validation" else "train" for patient, part in parts.items()}
        return self._store.snapshot(asked_by=asked_by, drawn=drawn)

    def train(self, training: Training, params: Mapping[str, Any], *, model: str = "", asked_by: str = "") -> Job:
        """Ask for a training on a snapshot of what readers have said by now.

        A classifier learns from the final labels of images, where what readers settled is written before.

        Args:
            training: who runs it.
            params: as ``POST /train/{model}`` takes them.
            model: the trainer; ours by default.
            asked_by: who wants it.

        Raises:
            NotFoundError: there is no such trainer.
            BadInputError: nothing was finished yet.
            JobRunningError: another training runs.
        """
        if self.trains_classifier(model):
            self._labels.keep_all()
            self.snapshot(model, asked_by=asked_by)
            return training.submit({**cleaned(params), "model": model}, asked_by=asked_by)
        found = [name for name in self._host.trainers if self.trains_detector(name)]
        if not found:
            raise NotFoundError(
                "the app", expected="a trainer of a detector", came="none", fix="Serve an app that has one."
            )
        if model:
            check_listed("the trainer", model, found, fix="GET /info/ lists them; it takes one of a detector.")
        chosen = model or (DEFAULT_MODEL if DEFAULT_MODEL in found else found[0])
        request = self.with_snapshot({**cleaned(params), "model": chosen}, asked_by=asked_by, needed=True)
        return training.submit(request, asked_by=asked_by)

    def after_training(self, job: Job) -> None:
        """Let a model that was promoted look at the studies under review again; verdicts are inherited."""
        promoted = isinstance(job.result, Mapping) and job.result.get("promoted")
        if not promoted:
            return
        if self.trains_detector(job.subject):
            there = self.series()
            studies = [uid for uid in self._store.proposals.studies() if uid in there]
        elif self.trains_classifier(job.subject):
            note, reviews = str(self.classifiers()[job.subject]["note"]), self._store.reviews_of("classification")
            there = self._looked_at_by(self.classifiers()[job.subject])
            studies = [uid for uid in there if classified_uid(uid, note) in reviews]
        else:
            return
        if studies:
            self.propose(studies, model=job.subject, asked_by=job.asked_by)

    def _run(self, held: Held) -> dict[str, Any]:
        model = str(held.job.spec["model"])
        if model not in self._host.models:
            raise JobFailedError("The app has no such model any more.")
        classifier = self.classifiers().get(model)
        there = self._looked_at_by(classifier)

        def ask(study: str) -> tuple[Any, tuple[Any, ...]]:
            if study not in there:
                raise NotFoundError("the study", expected="its images", came="none any more", fix="Add them again.")
            if classifier:
                paths = {image.id: str(self._host.image_path(image.id)) for image in there[study]}
                return worker.classify, (request_for(study, there[study], paths, model),)
            series = [
                {
                    "image_id": image.id,
                    "path": str(self._host.image_path(image.id)),
                    "description": image.description,
                    "study_uid": image.study_uid,
                    "patient_id": image.patient_id,
                }
                for image in there[study]
            ]
            return worker.propose, ({"study_uid": study, "series": series, "model": model},)

        def keep(study: str, result: dict[str, Any]) -> dict[str, Any]:
            proposed = proposed_from(result, classifier) if classifier else from_json(result)
            told = {key: str(result.get(key) or "") for key in ("model", "model_hash")}
            self._store.proposals.add(proposed, model=told["model"] or model, model_hash=told["model_hash"])
            return {"candidates": len(proposed.candidates), "warnings": list(proposed.warnings)}

        held.line(f"{held.job.items} studies")
        go_through(held, self._executor, ask, keep, window=2, timeout_s=self._timeout_s)
        now = held.table.get(held.job.id)
        if now.items and now.items_failed == now.items:
            raise JobFailedError(f"None of the {now.items} studies could be proposed; the last lines say why.")
        return {"total": now.items, "done": now.items_done, "failed": now.items_failed}

    def _run_know(self, held: Held) -> dict[str, Any]:
        labelled = self._labelled()

        def ask(study: str) -> tuple[Any, tuple[Any, ...]]:
            if study not in labelled:
                raise NotFoundError("the study", expected="its label", came="none any more", fix="Save it again.")
            case = labelled[study]
            return worker.lesion_boxes, (str(case.label), str(case.source), label_names(case.label_info))

        def keep(study: str, boxes: list[list[float]]) -> dict[str, Any]:
            self._store.know(study, [read_box(box) for box in boxes], source="label")
            return {"lesions": len(boxes)}

        go_through(held, self._executor, ask, keep, window=2, timeout_s=self._timeout_s)
        now = held.table.get(held.job.id)
        if now.items_failed == now.items:
            raise JobFailedError(f"None of the {now.items} labels could be used; the last lines say why.")
        return {"total": now.items, "done": now.items_done, "failed": now.items_failed}

    def _labelled(self) -> dict[str, LabelledCase]:
        """Studies under review with the final label of their reference series, if it marks every lesion.

        Boxes saved as a reading are no such label.
        """
        self.series()  # refuses a datastore that is not ours
        cases = {case.image_id: case for case in self._host.datastore.store.labelled_cases(FINAL)}
        return {
            review.uid: cases[image]
            for review in self._store.book.reviews().values()
            if (image := review.study.image_ids.get(review.study.reference, "")) in cases
            and cases[image].label_info.get("boxes_known") != "positives_only"
            and not any(r.finished and r.finished.device == SLICER for r in review.readings)
        }

    def _looked_at_by(self, classifier: Mapping[str, Any] | None) -> dict[str, list[Image]]:
        """Return the series that a classifier can look at, or a detector for None: of one for cines no stills."""
        if classifier is None:
            return self.series()
        found = {uid: suited(images, classifier) for uid, images in self.series(ULTRASOUND).items()}
        return {uid: images for uid, images in found.items() if images}

    def series(self, modality: str = MODALITY) -> dict[str, list[Image]]:
        """Return the series of each study of the datastore, by StudyInstanceUID; CT by default.

        Raises:
            BadInputError: the datastore is not ours.
        """
        datastore = self._host.datastore
        if not is_shared(datastore):
            raise BadInputError(
                "the datastore",
                expected="one of hepatic's, which knows studies",
                came="another",
                fix="Serve a studies folder with an app on hepatic's datastore.",
            )
        found: dict[str, list[Image]] = {}
        for image in datastore.store.images.all(modality=modality):
            if image.study_uid:
                found.setdefault(image.study_uid, []).append(image)
        return found


def studies_under_way(jobs: Jobs) -> set[str]:
    """Return the studies that a detector is asked to look at and has not yet."""
    active = jobs.table.jobs(kind=KIND, states=("queued", "running"), limit=-1)
    return {study for job in active for study in jobs.table.waiting_items(job)}


def _type(task: Any) -> str:
    kind = getattr(task, "type", "")
    return str(getattr(kind, "value", kind))
