"""Which lesion of a study is its primary tumour: what readers named so, where they agree, or a reviewer has said."""

from __future__ import annotations

from dataclasses import dataclass

from hepatic.harvest.book import Review
from hepatic.harvest.events import Verdict
from hepatic.harvest.lesions import concentric, places_of
from hepatic.harvest.study import Box, Candidate
from hepatic.harvest.verdicts import Settled, judged


@dataclass(frozen=True)
class Named:
    """A lesion that was named the primary tumour.

    Attributes:
        candidate: that was named; the latest proposal's, where several at its place were.
        own: what holds of it.
        readers: who named it.
        uids: of all candidates at its place that were named.
        places: its boxes, LPS millimetres.
    """

    candidate: Candidate
    own: Settled
    readers: frozenset[str]
    uids: frozenset[str]
    places: tuple[Box, ...]


def primary_of(review: Review) -> Named | None:
    """Return the primary tumour; None where nobody named one, readers disagree, or it is not known to be a lesion."""
    named = _named(review)
    return named[0] if len(named) == 1 and named[0].own.verdict is Verdict.TRUE else None


def disputed_primaries(review: Review) -> list[Named]:
    """Return the lesions among which a reviewer has to choose, because readers named different ones."""
    named = _named(review)
    return [one for one in named if one.own.verdict is Verdict.TRUE] if len(named) > 1 else []


def _named(review: Review) -> list[Named]:
    """Return every lesion that was named the primary tumour.

    Each reader's last word counts, hidden repeats do not; nor does a candidate that they, or all, rejected. What a
    reviewer has said goes before all. Candidates of several proposals at one place are one lesion.
    """
    said: dict[str, str] = {}
    for one in sorted(review.readings, key=lambda one: one.round):
        counts = one.finished and one.kind in ("first", "boxing")
        if counts and one.primary and one.verdict(one.primary.candidate) is not Verdict.FALSE:
            said[one.reader] = one.primary.candidate
    if not said and review.primary_settled is None:
        return []
    held = {candidate.uid: (candidate, own) for candidate, own in judged(review) if own.verdict is not Verdict.FALSE}
    if review.primary_settled is not None and review.primary_settled.candidate in held:
        said = {review.primary_settled.reader: review.primary_settled.candidate}
    found: list[Named] = []
    for uid, (candidate, own) in held.items():
        readers = frozenset(reader for reader, named in said.items() if named == uid)
        if readers:
            _add(found, Named(candidate, own, readers, frozenset({uid}), tuple(places_of(review, candidate))))
    return found


def _add(found: list[Named], new: Named) -> None:
    """Add a lesion, or who named it to one that is there at its place."""
    for n, one in enumerate(found):
        if any(concentric(a, b) for a in one.places for b in new.places):
            found[n] = Named(
                one.candidate, one.own, one.readers | new.readers, one.uids | new.uids, one.places + new.places
            )
            return
    found.append(new)
