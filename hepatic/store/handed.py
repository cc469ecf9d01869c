"""Who was handed an image to label, as kept in the image's info."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def read_handed(info: Mapping[str, Any]) -> tuple[Handed, ...]:
    """Return to whom an image was handed, by its info; what is not as expected is passed over."""
    notes = info.get(HANDED_KEY)
    found = (_read(note) for note in notes.values()) if isinstance(notes, Mapping) else ()
    return tuple(handed for handed in found if handed is not None)


def _read(note: object) -> Handed | None:
    at = note.get("ts") if isinstance(note, Mapping) else None
    if not isinstance(note, Mapping) or not isinstance(at, int | float):
        return None
    try:
        seconds = float(at)
    except OverflowError:
        return None
    return Handed(seconds, str(note.get("client_id") or "")) if math.isfinite(seconds) else None
