"""Which image to label next."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from hepatic.active.candidate import Candidates
from hepatic.store.score import Version


@dataclass(frozen=True)
class Choice:
    """The image to label next.

    Attributes:
        reason: why this one, for people.
        score: its score, where that was the reason.
    """

    id: str
    reason: str
    score: float | None = None


def choose_first(candidates: Candidates) -> Choice | None:
    """Take the first in the order given; None if there is none."""
    return _because(candidates.nth(0), "first in order")


def choose_random(candidates: Candidates, *, seed: int | None = None) -> Choice | None:
    """Take any with equal chance; the same one for the same candidates and seed. None if there is none."""
    if seed is None:
        return _because(candidates.any(), "drawn at random")
    count = len(candidates)
    return _because(candidates.nth(random.Random(seed).randrange(count)) if count else None, "drawn at random")


def choose_uncertain(
    candidates: Candidates, *, served: Mapping[str, Version], model: str | None = None
) -> Choice | None:
    """Take the one a served model is least sure of.

    Scores of different models, or versions of one, cannot be compared. So one model decides: the first of those served
    that has scored anything. Scores of its served version come first; those of earlier versions count only where there
    is none of those. Without any score the first in the order given is taken.

    Args:
        candidates: what there is to choose from.
        served: version by model, as served now, the preferred model first.
        model: look at the scores of this model only.

    Returns:
        The choice, None if there are no candidates.
    """
    for name in served if model is None else (model,):
        current = candidates.best(name, served[name]) if name in served else None
        found = current or candidates.best(name)
        if found is not None:
            id, score = found
            stale = "" if current else ", which is not the one served; no image is scored by that yet"
            return Choice(id, f"highest uncertainty of {name} version {score.version}{stale}", score.score)
    return _because(candidates.nth(0), "first in order: no image is scored yet")


def _because(id: str | None, reason: str) -> Choice | None:
    return None if id is None else Choice(id, reason)
