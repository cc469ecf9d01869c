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
    """Take the one the served model is least sure of.

    Scores of the served version come first; scores of other versions count only where there is none of those, since
    scores of two versions cannot be compared. Without any score the first in the order given is taken.

    Args:
        served: version by model, as served now.
        model: look at the scores of this model only.

    Returns:
        The choice, None if there are no candidates.
    """
    scored = [(one, one.score) for one in candidates if one.score is not None and model in (None, one.score.model)]
    current = [(one, score) for one, score in scored if served.get(score.model) == score.version]
    if current:
        one, score = max(current, key=lambda pair: pair[1].score)
        return Choice(one.id, f"highest uncertainty of {score.model} version {score.version}", score.score)
    if scored:
        one, score = max(scored, key=lambda pair: pair[1].score)
        reason = f"highest uncertainty of {score.model} version {score.version}, which is not the one served"
        return Choice(one.id, f"{reason}; no image is scored by that yet", score.score)
    if candidates:
        return Choice(candidates[0].id, "first in order: no image is scored yet")
    return None
