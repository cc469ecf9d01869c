"""How unsure a model was about an image, as kept in the image's info."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Version = int | str

#: Keys of the scores in an image's info: this and the model's name, so that models do not overwrite each other's.
PREFIX = "uncertainty."


@dataclass(frozen=True)
class Score:
    """A score and who gave it.

    Attributes:
        model: name of the task.
        version: of its weights.
        score: finite; the higher, the more is to be learned from the image.
    """

    model: str
    version: Version
    score: float


def read_scores(info: Mapping[str, Any]) -> tuple[Score, ...]:
    """Return the scores in an image's info, one per model; what is not one of ours is passed over."""
    found = (_read(key.removeprefix(PREFIX), value) for key, value in info.items() if key.startswith(PREFIX))
    return tuple(score for score in found if score is not None)


def _read(model: str, value: object) -> Score | None:
    if not isinstance(value, Mapping):
        return None
    version, score = value.get("version"), value.get("score")
    if not isinstance(version, int | str) or isinstance(version, bool):
        return None
    if not isinstance(score, int | float) or isinstance(score, bool):
        return None
    try:
        value = float(score)
    except OverflowError:
        return None
    return Score(model, version, value) if math.isfinite(value) else None


def write_score(score: Score) -> dict[str, Any]:
    """Return the change of an image's info that keeps this score.

    Raises:
        ValueError: the score is not finite.
    """
    if not math.isfinite(score.score):
        raise ValueError(f"A score must be finite, not {score.score}.")
    return {PREFIX + score.model: {"version": score.version, "score": score.score}}
