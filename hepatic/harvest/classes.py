"""What readers and models made of the images that are classified: how they agree, who was right, at which cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hepatic.harvest.agreement import Agreement, agreement
from hepatic.harvest.book import Review
from hepatic.harvest.progress import Version
from hepatic.harvest.rules import Rules
from hepatic.harvest.snapshots import Snapshot
from hepatic.harvest.verdicts import classes_held

MEASURES = ("accuracy", "auc")


def agreement_on(reviews: Sequence[Review]) -> Agreement:
    """Return how readers agree on the classes of images; ``unsure`` counts as one more class."""
    return agreement(reviews, categories=1 + max((len(one.study.classes) for one in reviews), default=2))


def model_against(
    reviews: Iterable[Review], rules: Rules, *, learnt: Callable[[str, str, str], bool]
) -> dict[str, Any]:
    """Compare what the models that proposed said with the classes that readers settled.

    Args:
        reviews: of images that are classified.
        rules: by which classes hold.
        learnt: whether a model, of a hash, may have learnt from a patient; such patients' images do not judge it.

    Returns:
        By model hash, in the order they came: ``model``, ``images`` that judge it, ``left_out``, the images of patients
        it learnt from, ``accuracy`` (share of images whose most probable class is the readers'), ``auc`` (of one class
        against the rest, the mean over classes; None where only one class was read).
    """
    said: dict[str, tuple[str, list[tuple[Mapping[str, float], str]], list[int]]] = {}
    for review in sorted(reviews, key=lambda one: one.latest.number):
        names = {candidate.uid: name for candidate, name in classes_held(review, rules)}
        for proposed in review.proposals:
            _, rows, left_out = said.setdefault(proposed.model_hash, (proposed.model, [], []))
            own = [one for one in proposed.study.candidates if one.model_hash == proposed.model_hash]
            told = [(one.probabilities, names[one.uid]) for one in own if one.uid in names]
            if learnt(proposed.model, proposed.model_hash, proposed.study.patient_id):
                left_out.append(len(told))
            else:
                rows += told
    return {
        model_hash: {
            "model": model,
            "images": len(rows),
            "left_out": sum(left_out),
            "accuracy": _accuracy(rows),
            "auc": _auc(rows),
        }
        for model_hash, (model, rows, left_out) in said.items()
    }


def classifier_curve(versions: Iterable[Version], snapshots: Sequence[Snapshot], note: str) -> list[dict[str, Any]]:
    """Return each version of a classifier against the minutes and images of the snapshot that it was trained on.

    ``cases`` is how many images measured it, those of the patients held back from its own training.
    """
    known = {snapshot.sha256: snapshot.summary for snapshot in snapshots}
    found = []
    for one in versions:
        sha256 = str(one.card.data.get("snapshot", ""))
        trained = known.get(sha256, {})
        found.append(
            {
                "version": one.version,
                "created": one.created,
                "state": one.state,
                "snapshot": sha256 if trained else None,
                "minutes": trained.get("image_minutes", {}).get(note, 0.0),
                "images": trained.get("labels", {}).get(note, 0),
                "cases": one.metrics.get("cases"),
                **{measure: one.metrics.get(measure) for measure in MEASURES},
            }
        )
    return found


def _accuracy(rows: Sequence[tuple[Mapping[str, float], str]]) -> float | None:
    right = [max(told, key=told.__getitem__) == name for told, name in rows if told]
    return sum(right) / len(right) if right else None


def _auc(rows: Sequence[tuple[Mapping[str, float], str]]) -> float | None:
    from sklearn.metrics import roc_auc_score

    found = []
    for name in sorted({name for _, name in rows}):
        is_it = np.array([other == name for _, other in rows])
        if not is_it.all():
            found.append(float(roc_auc_score(is_it, [told.get(name, 0.0) for told, _ in rows])))
    return sum(found) / len(found) if found else None
