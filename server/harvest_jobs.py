"""Filling the review store: jobs that let models look at studies, or take final labels for the truth."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from hepatic.errors import BadInputError, HepaticError, NotFoundError
from hepatic.harvest.events import SLICER, read_box
from hepatic.harvest.store import ReviewStore
from hepatic.store.label import FINAL, Label, label_names
from server import worker
from server.executor import Executor
from server.host import Host
from server.jobs.held import Held, JobFailedError
from server.jobs.items import go_through
from server.jobs.job import Job
from server.jobs.runner import Jobs
from server.proposers.proposer import store_of
from server.proposers.proposers import Proposers

logger = logging.getLogger(__name__)

KIND, KNOW = "propose", "know"
AGAIN_S = 600.0


class HarvestJobs:
    """Asks for proposals, and for known cases.

    Args:
        host: the app.
        proposers: its models that propose.
        executor: where models run.
        jobs: where jobs are kept; this serves its kinds ``propose`` and ``know``.
        store: of reviews.
        timeout_s: for one study.
    """

    def __init__(
        self,
        host: Host,
        proposers: Proposers,
        executor: Executor,
        jobs: Jobs,
        store: ReviewStore,
        *,
        timeout_s: float = 3600.0,
    ) -> None:
        self._host, self._proposers, self._executor = host, proposers, executor
        self._jobs, self._store = jobs, store
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
        proposer = self._proposers.named(model)
        there = proposer.images()
        if studies is not None and (unknown := [uid for uid in studies if uid not in there]):
            raise NotFoundError(
                "the study",
                expected=f"{proposer.modality} studies of the datastore",
                came=f"{len(unknown)} others, first {ascii(unknown[0])[:60]}",
                fix="GET /datastore/ lists the images; add the study first.",
            )
        items = list(dict.fromkeys(studies)) if studies is not None else list(there)
        if not items:
            raise BadInputError(
                "the datastore",
                expected=f"a {proposer.modality} study",
                came="none",
                fix=f"Put {proposer.modality} images into the studies folder.",
            )
        return self._jobs.submit(KIND, {"model": proposer.model}, items=items, asked_by=asked_by)

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

    def _run(self, held: Held) -> dict[str, Any]:
        model = str(held.job.spec["model"])
        if model not in self._host.models:
            raise JobFailedError("The app has no such model any more.")
        proposer = self._proposers.named(model)
        there = proposer.images()

        def ask(study: str) -> tuple[Any, tuple[Any, ...]]:
            if study not in there:
                raise NotFoundError("the study", expected="its images", came="none any more", fix="Add them again.")
            return proposer.work(study, there[study])

        def keep(study: str, result: dict[str, Any]) -> dict[str, Any]:
            proposed = proposer.proposed(result)
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
        labelled, store = self._labelled(), store_of(self._host)

        def ask(study: str) -> tuple[Any, tuple[Any, ...]]:
            if study not in labelled:
                raise NotFoundError("the study", expected="its label", came="none any more", fix="Save it again.")
            label = labelled[study]
            file, image = store.labels.path(label), self._host.image_path(label.image_id)
            return worker.lesion_boxes, (str(file), str(image), label_names(label.info))

        def keep(study: str, boxes: list[list[float]]) -> dict[str, Any]:
            self._store.know(study, [read_box(box) for box in boxes], source="label")
            return {"lesions": len(boxes)}

        go_through(held, self._executor, ask, keep, window=2, timeout_s=self._timeout_s)
        now = held.table.get(held.job.id)
        if now.items_failed == now.items:
            raise JobFailedError(f"None of the {now.items} labels could be used; the last lines say why.")
        return {"total": now.items, "done": now.items_done, "failed": now.items_failed}

    def _labelled(self) -> dict[str, Label]:
        """Studies under review with the final label of their reference series, if it marks every lesion.

        Boxes saved as a reading are no such label.
        """
        store = store_of(self._host)
        labels = {label.image_id: label for label in store.labels.heads(tag=FINAL)}
        labels = {image.id: labels[image.id] for image in store.images.all(labels)}
        return {
            review.uid: labels[image]
            for review in self._store.book.reviews().values()
            if (image := review.study.image_ids.get(review.study.reference, "")) in labels
            and labels[image].info.get("boxes_known") != "positives_only"
            and not any(r.finished and r.finished.device == SLICER for r in review.readings)
        }


def studies_under_way(jobs: Jobs, model: str = "") -> set[str]:
    """Return the studies that a model, or any, is asked to look at and has not yet."""
    active = jobs.table.jobs(kind=KIND, states=("queued", "running"), limit=-1)
    of_model = (job for job in active if not model or job.spec["model"] == model)
    return {study for job in of_model for study in jobs.table.waiting_items(job)}
