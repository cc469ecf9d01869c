"""Which studies wait for a reader, and in which order: quick ones first, known cases and hidden repeats among them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from hepatic.harvest.book import Review, by_reader
from hepatic.harvest.leases import Lease, Wish, can_repeat, shuffled
from hepatic.harvest.reading import Reading
from hepatic.harvest.rules import Rules
from hepatic.harvest.study_state import study_state
from hepatic.harvest.triage import Calibration, calibrate, chance_of_a_hit, expected_minutes
from hepatic.harvest.verdicts import cards_of, readers_done, waits_for_boxes

ReaderState = Literal["waiting", "started", "finished", "leased", "boxing", "done"]
"""For one reader: to be read, begun, finished by them, held by another, to be boxed by hand, nothing left to do."""


@dataclass(frozen=True)
class Place:
    """A study in a reader's queue.

    Attributes:
        review: the study.
        state: for this reader.
        chance: that some candidate of it is a lesion.
        minutes: that it is expected to take.
    """

    review: Review
    state: ReaderState
    chance: float
    minutes: float


def queue_of(
    reader: str, reviews: Mapping[str, Review], held: Mapping[str, Lease], *, rules: Rules, may_box: bool
) -> list[Place]:
    """Return every study for one reader, those that they can be given first, in the order in which they would be.

    A study whose candidates are hardly ever lesions is to be boxed by hand at once by who may do that.
    """
    calibrations: dict[str, Calibration] = {}
    places = []
    for review in reviews.values():
        model_hash = review.latest.model_hash
        if model_hash not in calibrations:
            calibrations[model_hash] = calibrate(reviews.values(), model_hash)
        is_detection = review.study.kind == "detection"
        chance = 1.0  # of images that are classified, none is missed
        if is_detection:
            chance = chance_of_a_hit([one.score for one in review.study.candidates], calibrations[model_hash])
        state = reader_state(reader, review, held.get(review.uid), rules=rules, may_box=may_box)
        if state == "waiting" and may_box and chance < rules.straight_to_boxing:
            state = "boxing"
        places.append(Place(review, state, chance, expected_minutes(chance, rules=rules)))
    turn: dict[str, int] = {"started": 0, "waiting": 1, "boxing": 2, "leased": 3, "finished": 4, "done": 5}
    return sorted(places, key=lambda place: (turn[place.state], place.minutes, place.review.uid))


def reader_state(
    reader: str, review: Review, lease: Lease | None, *, rules: Rules, may_box: bool = False
) -> ReaderState:
    """Return how a study is for one reader; nothing of it tells what another has said before they have finished."""
    mine = review.last_of(reader)
    if mine and not mine.finished:
        return "started" if lease is None or lease.reader == reader else "leased"
    done = readers_done(review)
    if reader in done:
        boxing = may_box and waits_for_boxes(review) and len(done) >= rules.readers
        return "boxing" if boxing and (lease is None or lease.reader == reader) else "finished"
    if lease is not None and lease.reader != reader:
        return "leased"
    state = study_state(review, rules)
    if state == "waiting":
        return "waiting"
    if state == "boxing" and may_box:
        return "boxing"
    return "finished" if mine and mine.proposal == review.latest.number else "done"


def waits(state: ReaderState, wish: Wish) -> bool:
    """Whether a study in this state is still to be given for a wish; a hidden repeat is, whatever has become of it."""
    return wish.kind == "repeat" or state in ("waiting", "started", wish.kind)


def wishes(reader: str, places: list[Place], reviews: Mapping[str, Review], *, rules: Rules) -> list[Wish]:
    """Return what a reader is to be given, the first first: what they began, then as the queue has it.

    One study in ``rules.known_every`` is a known case, one in ``rules.repeat_every`` a study that they have read
    before. Which, is drawn; the reader is not told.
    """
    mine = by_reader(reviews.values()).get(reader, [])
    read = [one for one in mine if one.kind == "first" and one.finished]
    begun = [place for place in places if place.state == "started"]
    fresh = [place for place in places if place.state == "waiting"]
    found = [Wish(one.study, one.kind) for place in begun if (one := place.review.last_of(reader))]
    repeated = sum(one.kind == "repeat" for one in mine)
    if repeated < _due(reader, "repeat", len(read), rules.repeat_every):
        held_back = {place.review.uid for place in places if place.state == "leased"}
        found += [Wish(uid, "repeat") for uid in _repeat(reader, read, mine, held_back=held_back, rules=rules)]
    known = [place.review.uid for place in fresh if place.review.known is not None]
    unknown = [place.review.uid for place in fresh if place.review.known is None]
    seen = sum(reviews[one.study].known is not None for one in read)
    if known and (not unknown or seen < _due(reader, "known", len(read), rules.known_every)):
        found.append(Wish(_drawn(f"{reader} known {len(read)}").choice(sorted(known))))
    found += [Wish(uid) for uid in unknown]
    found += [Wish(uid) for uid in known if Wish(uid) not in found]
    found += [Wish(place.review.uid, "boxing") for place in places if place.state == "boxing"]
    return found


def order_of(review: Review, reading: Reading, rules: Rules) -> list[str]:
    """Return the candidates that a reader is shown, and those they have judged before, in the order they see them."""
    shown = cards_of(review, rules, proposal=reading.proposal)
    shown += [uid for uid in reading.verdicts if uid not in shown]
    return shuffled(shown, study=review.uid, reader=reading.reader, round=reading.round)


def _due(reader: str, what: str, read: int, every: int) -> int:
    """How many of some sort a reader is to have been given by now: one in each block, at a place that is drawn."""
    if not every:
        return 0
    block, place = divmod(read, every)
    return block + (place >= _drawn(f"{reader} {what} {block}").randrange(every))


def _repeat(
    reader: str, read: list[Reading], mine: list[Reading], *, held_back: Collection[str], rules: Rules
) -> list[str]:
    passed_over = {one.study for one in mine if one.kind == "repeat"} | set(held_back)
    passed_over |= {one.study for one in mine[max(0, len(mine) - rules.repeat_after) :]}
    left = sorted({one.study for one in read if can_repeat(one)} - passed_over)
    return [_drawn(f"{reader} repeat {len(read)}").choice(left)] if left else []


def _drawn(what: str) -> random.Random:
    return random.Random(hashlib.sha256(what.encode()).digest())
