"""Unlabelled images that may be handed to somebody next."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hepatic.store.handed import Handed, read_handed
from hepatic.store.score import Score, Version, read_scores


@dataclass(frozen=True)
class Candidate:
    """An image without a label, and what is known of it."""

    id: str
    scores: tuple[Score, ...] = ()
    handed: tuple[Handed, ...] = ()


class Candidates(Protocol):
    """Images one of which is handed out next: a list of them, or an index that need not list them (store.waiting)."""

    def __len__(self) -> int:
        """How many there are."""

    def nth(self, position: int) -> str | None:
        """Return the one at a position in their order, from 0 on; None if there is none."""

    def any(self) -> str | None:
        """Draw one with equal chance; None if there is none."""

    def best(self, model: str, version: Version | None = None) -> tuple[str, Score] | None:
        """Return the one with the highest score by a model, or by this version of it; None if none has any."""


class Listed:
    """Candidates in a list, in the order in which they are given."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._all = candidates

    def __len__(self) -> int:
        return len(self._all)

    def nth(self, position: int) -> str | None:
        """See ``Candidates``."""
        return self._all[position].id if position < len(self._all) else None

    def any(self) -> str | None:
        """See ``Candidates``."""
        return random.choice(self._all).id if self._all else None

    def best(self, model: str, version: Version | None = None) -> tuple[str, Score] | None:
        """See ``Candidates``."""
        scored = [(one.id, score) for one in self._all for score in one.scores if score.model == model]
        meant = [(id, score) for id, score in scored if version is None or score.version == version]
        return max(meant, key=lambda pair: pair[1].score, default=None)


def candidate(image_id: str, info: Mapping[str, Any]) -> Candidate:
    """Read a candidate from an image's info; what is not as expected is passed over."""
    return Candidate(image_id, read_scores(info), read_handed(info))


def taken(candidates: Sequence[Candidate], *, client: str, now: float, within_seconds: float) -> Collection[str]:
    """Return the ids of what another client was handed a short while ago.

    Args:
        candidates: those that were handed to somebody, at least.
        client: who asks; a client without an id is another one every time.
        now: seconds since 1970.
        within_seconds: how long an image is kept for the client it was handed to.
    """
    return {
        one.id
        for one in candidates
        for handed in one.handed
        if 0 <= now - handed.at < within_seconds and not (client and handed.client == client)
    }
