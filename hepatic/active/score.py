"""How unsure a model was about an image, as kept in the image's info."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Version = int | str

#: Key of the score in an image's info.
KEY = "uncertainty"


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


def read_score(info: Mapping[str, Any]) -> Score | None:
    """Return the score in an image's info, None if there is none or it is not one of ours."""
    value = info.get(KEY)
    if not isinstance(value, Mapping):
        return None
    model, version, score = value.get("model"), value.get("version"), value.get("score")
    if not isinstance(model, str) or not isinstance(version, int | str) or isinstance(version, bool):
        return None
    if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
        return None
    return Score(model, version, float(score))


def write_score(score: Score) -> dict[str, Any]:
    """Return the change of an image's info that keeps this score.

    Raises:
        ValueError: the score is not finite.
    """
    if not math.isfinite(score.score):
        raise ValueError(f"A score must be finite, not {score.score}.")
    return {KEY: {"model": score.model, "version": score.version, "score": score.score}}
