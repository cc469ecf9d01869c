"""Which image to label next."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hepatic.active.candidate import Candidate
from hepatic.active.score import Version


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


def choose_first(candidates: Sequence[Candidate]) -> Choice | None:
    """Take the first in the order given; None if there is none."""
    return Choice(candidates[0].id, "first in order") if candidates else None


def choose_random(candidates: Sequence[Candidate], *, seed: int | None = None) -> Choice | None:
    """Take any with equal chance; the same one for the same candidates and seed. None if there is none."""
    if not candidates:
        return None
    return Choice(random.Random(seed).choice(candidates).id, "drawn at random")


def choose_uncertain(
    candidates: Sequence[Candidate], *, served: Mapping[str, Version], model: str | None = None
) -> Choice | None:
    """Take the one a served model is least sure of.

    Scores of different models, or versions of one, cannot be compared. So one model decides: the first of those served
    that has scored anything. Scores of its served version come first; those of earlier versions count only where there
    is none of those. Without any score the first in the order given is taken.

    Args:
        served: version by model, as served now, the preferred model first.
        model: look at the scores of this model only.

    Returns:
        The choice, None if there are no candidates.
    """
    for name in served if model is None else (model,):
        scored = [(one, score) for one in candidates for score in one.scores if score.model == name]
        current = [(one, score) for one, score in scored if served.get(name) == score.version]
        if scored:
            one, score = max(current or scored, key=lambda pair: pair[1].score)
            stale = "" if current else ", which is not the one served; no image is scored by that yet"
            return Choice(one.id, f"highest uncertainty of {name} version {score.version}{stale}", score.score)
    if candidates:
        return Choice(candidates[0].id, "first in order: no image is scored yet")
    return None
