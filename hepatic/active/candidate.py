"""An unlabelled image that may be handed to somebody next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hepatic.active.score import Score, read_scores

#: Key under which MONAI Label notes who was handed an image: {"<strategy>": {"ts": seconds, "client_id": ...}}.
HANDED_KEY = "strategy"


@dataclass(frozen=True)
class Handed:
    """That an image was handed to a client.

    Attributes:
        at: seconds since 1970.
        client: the client's id, empty if it gave none.
    """

    at: float
    client: str


@dataclass(frozen=True)
class Candidate:
    """An image without a label, and what is known of it."""

    id: str
    scores: tuple[Score, ...] = ()
    handed: tuple[Handed, ...] = ()


def candidate(image_id: str, info: Mapping[str, Any]) -> Candidate:
    """Read a candidate from an image's info; what is not as expected is passed over."""
    handed = []
    notes = info.get(HANDED_KEY)
    for note in notes.values() if isinstance(notes, Mapping) else ():
        if isinstance(note, Mapping) and isinstance(note.get("ts"), int | float):
            handed.append(Handed(float(note["ts"]), str(note.get("client_id") or "")))
    return Candidate(image_id, read_scores(info), tuple(handed))


def free(candidates: Sequence[Candidate], *, client: str, now: float, within_seconds: float) -> list[Candidate]:
    """Leave out what another client was handed a short while ago, unless nothing else is left.

    Args:
        client: who asks; a client without an id is another one every time.
        now: seconds since 1970.
        within_seconds: how long an image is kept for the client it was handed to.
    """

    def is_taken(one: Candidate) -> bool:
        return any(
            0 <= now - handed.at < within_seconds and not (client and handed.client == client) for handed in one.handed
        )

    return [one for one in candidates if not is_taken(one)] or list(candidates)
