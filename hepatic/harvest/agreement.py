"""How much readers agree, beyond what chance would give; and a reader with themselves, and with the truth.

Cohen 1960 (two readers), Fleiss 1971 (any number), Gwet 2008 (AC1, which stays sensible where nearly all say the same).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from hepatic.boxes import hits
from hepatic.harvest.book import Review
from hepatic.harvest.events import Verdict
from hepatic.harvest.reading import Reading

Ratings = Sequence[Sequence[str]]
"""For each candidate what its readers said, two or more of them; which reader said what does not matter."""


def raw_agreement(ratings: Ratings) -> float | None:
    """Share of pairs of readers that say the same of a candidate, averaged over candidates; None without any."""
    rated = [_alike(row) for row in ratings if len(row) > 1]
    return sum(rated) / len(rated) if rated else None


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two readers; None where chance alone would have them agree on everything."""
    if not pairs:
        return None
    n = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[word] * second[word] for word in first) / n**2
    return _beyond(sum(a == b for a, b in pairs) / n, chance)


def fleiss_kappa(ratings: Ratings) -> float | None:
    """Fleiss' kappa; candidates may have had different numbers of readers, two at least. None as ``cohen_kappa``."""
    rows = [row for row in ratings if len(row) > 1]
    if not rows:
        return None
    return _beyond(_mean([_alike(row) for row in rows]), sum(share**2 for share in _shares(rows).values()))


def gwet_ac1(ratings: Ratings, *, categories: int = len(Verdict)) -> float | None:
    """Gwet's AC1 over so many categories (equation 3 of the paper of 2008); None without candidates that two read."""
    rows = [row for row in ratings if len(row) > 1]
    if not rows:
        return None
    chance = sum(share * (1 - share) for share in _shares(rows).values()) / (categories - 1)
    return _beyond(_mean([_alike(row) for row in rows]), chance)


@dataclass(frozen=True)
class Agreement:
    """Agreement of readers.

    Attributes:
        candidates: that two readers or more have judged.
        raw, fleiss, gwet: None without any, and where a coefficient is not defined.
        cohen: of each two readers, with how many candidates both have judged.
    """

    candidates: int
    raw: float | None
    fleiss: float | None
    gwet: float | None
    cohen: Mapping[tuple[str, str], tuple[float | None, int]]


def agreement(reviews: Iterable[Review], *, categories: int = len(Verdict)) -> Agreement:
    """Compare what different readers said of the same candidates in finished readings; batches do not count.

    Args:
        reviews: of one kind.
        categories: that may be said.
    """
    said: list[dict[str, str]] = []
    for review in reviews:
        by_candidate: dict[str, dict[str, str]] = {}
        for reading in review.readings:
            if reading.kind == "first" and reading.finished:
                for event in reading.decisions:
                    if not event.tag and event.verdict:
                        by_candidate.setdefault(event.candidate, {})[reading.reader] = event.verdict.value
        said += [votes for votes in by_candidate.values() if len(votes) > 1]
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for votes in said:
        for a, b in combinations(sorted(votes), 2):
            pairs.setdefault((a, b), []).append((votes[a], votes[b]))
    ratings = [list(votes.values()) for votes in said]
    return Agreement(
        len(said),
        raw_agreement(ratings),
        fleiss_kappa(ratings),
        gwet_ac1(ratings, categories=categories),
        {names: (cohen_kappa(found), len(found)) for names, found in sorted(pairs.items())},
    )


@dataclass(frozen=True)
class Drift:
    """How steady a reader is.

    Attributes:
        repeats: candidates that were judged twice, by hidden repeats.
        same: share of them that were judged the same way.
        kappa: Cohen's, of the two judgements.
        known: candidates of known cases that were judged true or false.
        right: share of them that were judged as the truth has it.
        right_before, right_lately: the same over the earlier and the later half of them.
        accepted_wrongly, rejected_wrongly: how many; of images, a wrong class counts as rejecting the right one.
    """

    repeats: int
    same: float | None
    kappa: float | None
    known: int
    right: float | None
    right_before: float | None
    right_lately: float | None
    accepted_wrongly: int
    rejected_wrongly: int


def drift(reader: str, reviews: Iterable[Review]) -> Drift:
    """Measure a reader by the studies they were shown twice and by those whose lesions are known."""
    pairs: list[tuple[str, str]] = []
    judged: list[tuple[float, bool, bool]] = []
    for review in reviews:
        mine = [one for one in review.of(reader) if one.finished]
        for repeat in (one for one in mine if one.kind == "repeat"):
            before = next((one for one in mine if one.kind == "first" and one.proposal == repeat.proposal), None)
            pairs += _both(before, repeat) if before is not None else []
        if review.known_classes is not None:
            judged += [one for reading in mine for one in _against_classes(review.known_classes, reading)]
        elif review.known is not None:
            for one in mine:
                judged += _against_truth(review, one) if one.kind in ("first", "repeat") else []
    judged.sort()
    right = [said == true for _, said, true in judged]
    half = len(right) // 2
    return Drift(
        repeats=len(pairs),
        same=_mean_or_none([a == b for a, b in pairs]),
        kappa=cohen_kappa(pairs),
        known=len(judged),
        right=_mean_or_none(right),
        right_before=_mean_or_none(right[:half]),
        right_lately=_mean_or_none(right[half:]) if half else None,
        accepted_wrongly=sum(said and not true for _, said, true in judged),
        rejected_wrongly=sum(true and not said for _, said, true in judged),
    )


def truth(review: Review, proposal: int) -> dict[str, bool]:
    """Return which candidates of a known case hit one of its lesions (``hepatic.boxes.hits``)."""
    candidates = review.proposal(proposal).study.candidates
    if not review.known or not candidates:
        return {candidate.uid: False for candidate in candidates}
    found = hits([c.box for c in candidates], list(review.known))  # type: ignore[arg-type]
    return {candidate.uid: bool(found[n].any()) for n, candidate in enumerate(candidates)}


def _against_truth(review: Review, reading: Reading) -> list[tuple[float, bool, bool]]:
    true = truth(review, reading.proposal)
    return [
        (event.decided_at or event.at, event.verdict is Verdict.TRUE, true[event.candidate])
        for event in reading.decisions
        if event.verdict in (Verdict.TRUE, Verdict.FALSE) and not event.tag and event.candidate in true
    ]


def _against_classes(known: Mapping[str, str], reading: Reading) -> list[tuple[float, bool, bool]]:
    """Each image that a reader named a class of: when, whether it was the right one, and True."""
    return [
        (event.decided_at or event.at, event.verdict == known[event.candidate], True)
        for event in reading.decisions
        if event.candidate in known and event.verdict is not Verdict.UNSURE and reading.kind in ("first", "repeat")
    ]


def _both(first: Reading, again: Reading) -> list[tuple[str, str]]:
    return [
        (str(first.verdict(uid)), str(again.verdict(uid))) for uid in sorted(first.verdicts.keys() & again.verdicts)
    ]


def _alike(row: Sequence[str]) -> float:
    n = len(row)
    return sum(count * (count - 1) for count in Counter(row).values()) / (n * (n - 1))


def _shares(rows: Ratings) -> dict[str, float]:
    """Share of each category, each candidate counting the same."""
    shares: Counter[str] = Counter()
    for row in rows:
        for word, count in Counter(row).items():
            shares[word] += count / len(row) / len(rows)  # type: ignore[assignment]
    return dict(shares)


def _beyond(observed: float, chance: float) -> float | None:
    return (observed - chance) / (1 - chance) if chance < 1 else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_or_none(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None
