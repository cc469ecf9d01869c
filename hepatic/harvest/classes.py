"""What readers and models made of the images that are classified: what holds, how they agree, who was right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hepatic.harvest.agreement import Agreement, agreement
from hepatic.harvest.book import Review
from hepatic.harvest.rules import Rules
from hepatic.harvest.study import Candidate
from hepatic.harvest.verdicts import class_of, settled


def classes_held(review: Review, rules: Rules) -> list[tuple[Candidate, str]]:
    """Return the images of a study whose class is settled in a finished reading, each with it."""
    held = settled(review, rules)
    found = [(candidate, class_of(held[candidate.uid], rules)) for candidate in review.study.candidates]
    return [(candidate, name) for candidate, name in found if name]


def agreement_on(reviews: Sequence[Review]) -> Agreement:
    """Return how readers agree on the classes of images; ``unsure`` counts as one more class."""
    return agreement(reviews, categories=1 + max((len(one.study.classes) for one in reviews), default=2))


def model_against(reviews: Iterable[Review], rules: Rules) -> dict[str, Any]:
    """Compare what the models that proposed said with the classes that readers settled.

    Returns:
        By model hash, in the order they came: ``model``, ``images``, ``accuracy`` (share of images whose most probable
        class is the readers'), ``auc`` (of one class against the rest, the mean over classes; None where only one class
        was read).
    """
    said: dict[str, tuple[str, list[tuple[Mapping[str, float], str]]]] = {}
    for review in sorted(reviews, key=lambda one: one.latest.number):
        names = {candidate.uid: name for candidate, name in classes_held(review, rules)}
        for proposed in review.proposals:
            rows = said.setdefault(proposed.model_hash, (proposed.model, []))[1]
            rows += [(one.probabilities, names[one.uid]) for one in proposed.study.candidates if one.uid in names]
    return {
        model_hash: {"model": model, "images": len(rows), "accuracy": _accuracy(rows), "auc": _auc(rows)}
        for model_hash, (model, rows) in said.items()
    }


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
