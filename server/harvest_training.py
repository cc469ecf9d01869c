"""Learning from what readers said: snapshots, trainings on them, and proposals of the models that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatic.engine.fit import SPLIT
from hepatic.engine.split import FrozenSplit
from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.noted_class import noted_classes
from hepatic.harvest.parts import Part
from hepatic.harvest.snapshots import Snapshot
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.verdicts import classes_held
from server.class_labels import ClassLabels
from server.harvest_jobs import HarvestJobs
from server.host import Host, is_shared
from server.jobs.job import Job
from server.names import check_listed
from server.params import cleaned
from server.proposers.proposers import CLASSIFICATION, DEFAULT_DETECTOR, DETECTION, Proposers, type_of
from server.training import Training


class HarvestTraining:
    """Asks for trainings on snapshots; proposes anew when a training has brought a better model.

    Args:
        host: the app.
        proposers: its models that propose.
        proposals: asks for proposals.
        store: of reviews.
        labels: writes classes that readers settled.
    """

    def __init__(
        self, host: Host, proposers: Proposers, proposals: HarvestJobs, store: ReviewStore, labels: ClassLabels
    ) -> None:
        self._host, self._proposers, self._proposals = host, proposers, proposals
        self._store, self._labels = store, labels

    def snapshot(self, trainer: str = "", *, asked_by: str = "") -> Snapshot:
        """Write down what readers have said by now; patients stay on the side that earlier trainings put them on.

        For a classifier, and where nobody is named, it holds what classifiers learn from, too: the notes of images with
        the versions of their labels, after what readers settled was written there.

        Args:
            trainer: whose trainings; of ours by default.
            asked_by: who wants it.

        Raises:
            BadInputError: there is nothing to learn from yet.
        """
        registry = getattr(self._host.app, "registry", None)
        drawn: dict[str, Part] = {}
        if registry is not None:
            parts = FrozenSplit(registry.models / (trainer or DEFAULT_DETECTOR) / SPLIT).parts
            drawn = {patient: "test" if part == "validation" else "train" for patient, part in parts.items()}
        return self._store.snapshot(asked_by=asked_by, drawn=drawn, labels=self._labels_now(trainer))

    def with_snapshot(self, request: Mapping[str, Any], *, asked_by: str = "", needed: bool = False) -> dict[str, Any]:
        """Return a request for a training with a snapshot of what is known by now, where it can use one.

        Args:
            request: ``model`` names the trainer.
            asked_by: who wants it.
            needed: refuse where there is nothing to learn from; else the training goes without.

        Raises:
            BadInputError: nothing was finished yet, and it is needed.
        """
        given = {key: value for key, value in request.items() if key != "snapshot"}
        trainer = str(given.get("model"))
        kind = self._trains(trainer)
        if kind != DETECTION and not (kind == CLASSIFICATION and is_shared(self._host.datastore)):
            return given
        try:
            return {**given, "snapshot": self.snapshot(trainer, asked_by=asked_by).sha256}
        except BadInputError:
            if needed:
                raise
            return given

    def train(self, training: Training, params: Mapping[str, Any], *, model: str = "", asked_by: str = "") -> Job:
        """Ask for a training on a snapshot of what is known by now.

        Args:
            training: who runs it.
            params: as ``POST /train/{model}`` takes them.
            model: the trainer, of a detector or of a classifier of ultrasound; by default our detector's, else another.
            asked_by: who wants it.

        Raises:
            NotFoundError: there is no such trainer.
            BadInputError: nothing was finished yet.
            JobRunningError: another training runs.
        """
        found = [name for name in self._host.trainers if self._trains(name) == DETECTION]
        chosen = model or (DEFAULT_DETECTOR if DEFAULT_DETECTOR in found else next(iter(found), ""))
        if not chosen:
            raise NotFoundError(
                "the app", expected="a trainer of a detector", came="none", fix="Serve an app that has one."
            )
        classifiers = [name for name in self._proposers.classifiers() if self._trains(name) == CLASSIFICATION]
        fix = "GET /info/ lists them; it takes one of a detector, or of a classifier of ultrasound."
        check_listed("the trainer", chosen, [*found, *classifiers], fix=fix)
        request = self.with_snapshot({**cleaned(params), "model": chosen}, asked_by=asked_by, needed=True)
        return training.submit(request, asked_by=asked_by)

    def after_training(self, job: Job) -> None:
        """Let a model that was promoted look at the studies under review again; verdicts are inherited."""
        promoted = isinstance(job.result, Mapping) and job.result.get("promoted")
        if not promoted or not self._proposes(job.subject):
            return
        proposer = self._proposers.named(job.subject)
        there, reviewed = proposer.images(), set(self._store.proposals.studies())
        studies = [uid for uid in there if proposer.review_uid(uid) in reviewed]
        if studies:
            self._proposals.propose(studies, model=job.subject, asked_by=job.asked_by)

    def _proposes(self, trainer: str) -> bool:
        """Whether the model that a trainer makes can propose studies."""
        return self._trains(trainer) == DETECTION or trainer in self._proposers.classifiers()

    def _labels_now(self, trainer: str) -> list[dict[str, Any]]:
        """Return what classifiers learn from; nothing for a trainer of something else, which learns nothing from it."""
        if (trainer and self._trains(trainer) != CLASSIFICATION) or not is_shared(self._host.datastore):
            return []
        self._labels.keep_all()
        tasks = [t.recipe.task for name, t in self._host.trainers.items() if self._trains(name) == CLASSIFICATION]
        read = {
            (candidate.image_id, review.study.note): name
            for review in self._store.reviews_of("classification").values()
            for candidate, name in classes_held(review, self._store.rules)
        }
        return [one.as_json() for one in noted_classes(self._host.datastore.store, tasks, read=read)]

    def _trains(self, trainer: str) -> str:
        """Return what a trainer's model does, empty where it does not say."""
        recipe = getattr(self._host.trainers.get(trainer), "recipe", None)
        return type_of(getattr(recipe, "task", None))
