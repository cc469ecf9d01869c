"""What the dashboard and reviewers are told of the harvest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from hepatic.engine.fit import SPLIT
from hepatic.engine.split import FrozenSplit
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.harvest import progress
from hepatic.harvest.batch_reject import Rejection
from hepatic.harvest.book import Review
from hepatic.harvest.classes import agreement_on, classifier_curve, model_against
from hepatic.harvest.primary import disputed_primaries
from hepatic.harvest.snapshots import Snapshot, check_snapshot
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study import Candidate
from hepatic.harvest.verdicts import Settled, doubtful, was_boxed, was_read
from server.harvest import settled_json
from server.host import Host
from server.jobs.job import as_text
from server.jobs.runner import Jobs

logger = logging.getLogger(__name__)


def progress_of(
    store: ReviewStore, host: Host, jobs: Jobs, *, reader: str, model: str, classifiers: Iterable[str], names: bool
) -> dict[str, Any]:
    """Return what ``GET /qa/api/v1/progress`` tells.

    Args:
        store: of reviews.
        host: the app, whose registry holds the versions of the detector.
        jobs: where proposals and trainings run.
        reader: who asks.
        model: the detector.
        classifiers: of ultrasound, that can propose.
        names: whether they may be told who the other readers are, and what detectors say of candidates.
    """
    reviews = list(store.reviews_of("detection").values())
    snapshots = store.snapshots.all()
    registry = getattr(host.app, "registry", None)
    versions = registry.versions(model) if registry is not None and model else []
    negatives = progress.negatives(reviews, store.rules, _last_document(snapshots))
    written = [snapshot_json(one) for one in snapshots]
    jobs_told = {kind: _job(jobs, kind) for kind in ("propose", "train")}
    if not names:
        negatives["firing"] = []  # scores of candidates that they may yet have to judge
        for told in (*written, *filter(None, jobs_told.values())):
            told.pop("asked_by", None)
    return {
        **progress.counts(reviews, store.leases.held(), store.rules),
        "effort": progress.effort(reviews, store.rules),
        "clicks": progress.clicks(r for review in reviews for r in review.readings),
        "readers": progress.readers(reviews, only=None if names else reader),
        "agreement": progress.agreed(reviews, names=names),
        "model": model or None,
        "versions": progress.curve(versions, snapshots),
        "negatives": negatives,
        "outlook": progress.outlook(reviews, store.rules),
        "snapshots": written,
        "jobs": jobs_told,
        "classifiers": sorted(classifiers),
        "classification": classification_of(store, host, reader=reader, names=names),
    }


def classification_of(store: ReviewStore, host: Host, *, reader: str, names: bool) -> list[dict[str, Any]]:
    """Return how the images that are classified go, by the note of their classes; as ``progress_of``."""
    by_note: dict[str, list[Review]] = {}
    for review in store.reviews_of("classification").values():
        by_note.setdefault(review.study.note, []).append(review)
    registry = getattr(host.app, "registry", None)
    learnt = _learnt(registry)
    told = []
    for note, reviews in sorted(by_note.items()):
        model = max(reviews, key=lambda one: one.latest.number).latest.model
        counted = progress.counts(reviews, store.leases.held(), store.rules)
        versions = registry.versions(model) if registry is not None and model in host.trainers else []
        told.append(
            {
                "note": note,
                "model": model,
                "classes": list(reviews[0].study.classes),
                "studies": counted["studies"],
                "images": counted["candidates"],
                "minutes": sum(r.seconds for review in reviews for r in review.readings if r.finished) / 60,
                "clicks": progress.clicks(r for review in reviews for r in review.readings),
                "readers": progress.readers(reviews, only=None if names else reader),
                "agreement": progress.told_of(agreement_on(reviews), names=names),
                "models": model_against(reviews, store.rules, learnt=learnt),
                "versions": classifier_curve(versions, store.snapshots.all(), note),
            }
        )
    return told


def _learnt(registry: Registry | None) -> Callable[[str, str, str], bool]:
    """Return whether a model, of a hash, may have learnt from a patient.

    A version that came with the app has not. Any other may have learnt from whoever is on the training side of the
    model's split by now, and from everybody where that cannot be read.
    """

    if registry is None:
        return lambda model, model_hash, patient: False

    @cache
    def shipped(model: str) -> set[str]:
        versions = registry.versions(model)
        return {one.card.sha256 for one in versions if not one.folder.is_relative_to(registry.models)}

    @cache
    def parts(model: str) -> Mapping[str, str] | None:
        try:
            return FrozenSplit(registry.models / model / SPLIT).parts
        except BadInputError as damaged:
            logger.warning("%s", damaged)
            return None

    def learnt(model: str, model_hash: str, patient: str) -> bool:
        if model_hash in shipped(model):
            return False
        drawn = parts(model)
        return drawn is None or drawn.get(patient, "validation") != "validation"

    return learnt


def snapshot_json(one: Snapshot) -> dict[str, Any]:
    """Return what is told of a snapshot."""
    return {
        "sha256": one.sha256,
        "number": one.number,
        "created": as_text(one.at),
        "asked_by": one.asked_by,
        **one.summary,
    }


def disputed(reviews: Sequence[Review], store: ReviewStore) -> list[dict[str, Any]]:
    """Return the candidates that readers disagree about or are unsure of, with what each said.

    Only of studies that enough readers have finished: the others are still being read. Also those that an earlier model
    proposed, unless something was said since of a later candidate at that place. ``primary_for`` tells who named a
    lesion the primary tumour where others named another one; it is null where it is asked whether there is a lesion.
    """
    told: list[dict[str, Any]] = []
    for review in reviews:
        if not (was_read(review, store.rules) or was_boxed(review)):
            continue
        doubts = [_disputed(review, *doubt, None) for doubt in doubtful(review, store.rules)]
        primaries = [_disputed(review, p.candidate, p.own, sorted(p.readers)) for p in disputed_primaries(review)]
        told += doubts + primaries
    return told


def rejection_json(told: Rejection) -> dict[str, Any]:
    """Return what is told of a rejection of many at once, or of its preview."""
    return {
        "batch": told.batch or None,
        "threshold": told.threshold,
        "safe": {
            "score": told.safe.score,
            "lesions": told.safe.lesions,
            "lost": told.safe.lost,
            "reason": told.safe.reason,
        },
        "count": len(told.candidates),
        "studies": len({study for study, _ in told.candidates}),
        "candidates": [{"study": study, "candidate": candidate} for study, candidate in told.candidates[:1000]],
    }


def _disputed(review: Review, candidate: Candidate, own: Settled, primary_for: list[str] | None) -> dict[str, Any]:
    return {
        "study": review.uid,
        "patient_label": review.study.patient_id,
        "candidate": candidate.uid,
        "image": candidate.image_id or None,
        "box": list(candidate.box),
        "key_slice": candidate.key_slice,
        "content": next(p.study.content for p in reversed(review.proposals) if candidate in p.study.candidates),
        "primary_for": primary_for,
        "classes": list(review.study.classes),
        **settled_json(own),
    }


def _last_document(snapshots: Sequence[Snapshot]) -> dict[str, Any] | None:
    if not snapshots:
        return None
    try:
        return check_snapshot(snapshots[-1].file)
    except BadInputError as damaged:
        logger.warning("%s", damaged)
        return None


def _job(jobs: Jobs, kind: str) -> dict[str, Any] | None:
    last = jobs.table.jobs(kind=kind, limit=1)
    return last[0].as_json() if last else None
