"""What holds of each candidate, from what every reader said; and what a candidate of a new model inherits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from weakref import WeakKeyDictionary

from hepatic.boxes import iou
from hepatic.harvest.book import Review
from hepatic.harvest.events import Event, Said, Verdict
from hepatic.harvest.lesions import places_of
from hepatic.harvest.proposals import Proposed
from hepatic.harvest.reading import Kind
from hepatic.harvest.rules import Rules
from hepatic.harvest.study import Box, Candidate


class State(StrEnum):
    """Of a candidate."""

    UNREVIEWED = "unreviewed"
    TRUE = "true"
    FALSE = "false"
    CLASSIFIED = "classified"
    UNSURE = "unsure"
    CONFLICT = "conflict"
    ADJUDICATED = "adjudicated"


@dataclass(frozen=True)
class Settled:
    """What holds of a candidate.

    Attributes:
        state: see ``State``.
        verdict: that holds: of all readers, or of who adjudicated; None while there is none. Of an image, false says
            that none of its classes fits.
        votes: what each reader said.
        inherited: UID of the candidate of an earlier model whose verdict this is, or the id of the event that drew a
            lesion there; empty for its own. An image has one UID for all models and inherits from itself.
        overlap: IoU with that one.
        batch: whether it was rejected with many at once, and by nothing else.
    """

    state: State
    verdict: Said | None
    votes: Mapping[str, Said]
    inherited: str = ""
    overlap: float = 0.0
    batch: bool = False


_NOTHING = Settled(State.UNREVIEWED, None, {})
_KNOWN: WeakKeyDictionary[Review, dict[tuple[int, float], dict[str, Settled]]] = WeakKeyDictionary()


def settled(review: Review, rules: Rules) -> dict[str, Settled]:
    """Return what holds of each candidate of the last proposal, by UID.

    A candidate that nobody has judged takes over the verdict, true or false, that holds of what it overlaps most, if it
    does by ``rules.min_iou`` at least: a candidate of an earlier proposal, in any place that a lesion has
    (``places_of``), or a box drawn by hand when one was read.
    Only what enough readers have looked at is taken over, so that a new model does not stand in for a second reader.
    The boxes of known cases give no verdict: they measure the readers.
    """
    known = _KNOWN.setdefault(review, {})
    key = (rules.readers, rules.min_iou)
    if key not in known:
        known[key] = _settled(review, rules)
    return known[key]


def cards_of(review: Review, rules: Rules, *, proposal: int | None = None) -> list[str]:
    """Return the candidates that a reader of a proposal is shown, of the last one by default.

    All but those that inherit a verdict and those that were rejected with many at once; what was proposed later changes
    nothing.
    """
    shown = review if proposal in (None, review.latest.number) else review.as_of(proposal)
    held = settled(shown, rules)
    return [c.uid for c in shown.study.candidates if not held[c.uid].inherited and not held[c.uid].batch]


def judged(review: Review) -> list[tuple[Candidate, Settled]]:
    """Return the candidates of every proposal of which somebody has said something, the latest proposal's first."""
    found: dict[str, tuple[Candidate, Settled]] = {}
    for proposed in reversed(review.proposals):
        for candidate in proposed.study.candidates:
            own = _own(review, candidate.uid)
            if own.votes or own.verdict:
                found.setdefault(candidate.uid, (candidate, own))
    return list(found.values())


def doubtful(review: Review, rules: Rules) -> list[tuple[Candidate, Settled]]:
    """Return the candidates of every proposal in conflict or that readers are unsure of, the latest proposal's first.

    Those whose place ``settled_since`` are not among them.
    """
    since = settled_since(review, rules)
    return [(c, own) for c, own in judged(review) if own.state in (State.CONFLICT, State.UNSURE) and c.uid not in since]


def settled_since(review: Review, rules: Rules) -> set[str]:
    """Return the candidates whose place was judged after them, though they were not.

    By enough readers of a later proposal, who called a candidate at that place true or false or drew a box there, or by
    who boxed the study by hand and drew one. Images that are classified have no places: what is said of one counts for
    it alone.
    """
    if review.study.kind != "detection":
        return set()
    since: dict[str, bool] = {}
    later: list[Box] = []
    for proposed in reversed(review.proposals):
        here = proposed.study.candidates
        later += _drawn_in(review, proposed.number, "boxing")
        for one in here:
            most = iou([one.box], later).max() if later else 0.0  # type: ignore[arg-type]
            since.setdefault(one.uid, bool(most >= rules.min_iou))
        for one in here:
            own = _own(review, one.uid)
            if _holds(own, rules) and not own.batch:
                later += _places(review, one, own)
        if len(_readers_of(review, proposed.number)) >= rules.readers:
            later += _drawn_in(review, proposed.number, "first")
    return {uid for uid, is_settled in since.items() if is_settled}


def was_read(review: Review, rules: Rules) -> bool:
    """Whether enough readers have finished one and the same proposal, this one or an earlier one."""
    return any(len(_readers_of(review, one.number)) >= rules.readers for one in review.proposals)


def readers_done(review: Review) -> list[str]:
    """Return who has finished reading the last proposal."""
    return sorted(_readers_of(review, review.latest.number))


def was_missed(review: Review) -> bool:
    """Whether a reader who has finished has said that a lesion was missed."""
    return any(one.missed and one.finished for one in review.readings if one.kind == "first")


def was_boxed(review: Review) -> bool:
    """Whether somebody has boxed the study by hand from the start, or found nothing to box.

    Who boxes what a reader has missed looks for that only, whatever becomes of that reading afterwards.
    """
    return any(one.kind == "boxing" and one.finished and not _was_missed_at(review, one.at) for one in review.readings)


def waits_for_boxes(review: Review) -> bool:
    """Whether somebody has said that a lesion was missed, and nobody has answered it.

    Boxes of the same reading answer it, and so does a boxing that finished later, also if it found nothing to box.
    """
    boxings = [one.finished.seq for one in review.readings if one.kind == "boxing" and one.finished]
    return any(
        one.missed and one.finished and not one.boxes and not any(seq > one.finished.seq for seq in boxings)
        for one in review.readings
        if one.kind in ("first", "boxing")
    )


def _settled(review: Review, rules: Rules) -> dict[str, Settled]:
    now = {candidate.uid: _own(review, candidate.uid) for candidate in review.study.candidates}
    if review.study.kind == "classification":
        return {uid: _as_it_was(review, uid, own, rules) for uid, own in now.items()}
    before = [one for one in review.readings if one.proposal < review.latest.number and one.finished]
    before = [one for one in before if one.kind in ("first", "boxing")]
    enough = len({one.reader for one in before}) >= rules.readers or was_boxed(review)
    earlier = [
        (event.id, event.box, Settled(State.TRUE, Verdict.TRUE, {}))
        for one in (before if enough else ())
        for event in one.boxes
        if event.box is not None
    ]
    for proposed in review.proposals[:-1]:
        for candidate in proposed.study.candidates:
            own = _own(review, candidate.uid)
            if _holds(own, rules):
                earlier += [(candidate.uid, place, own) for place in _places(review, candidate, own)]
    return {
        candidate.uid: own if own.votes or own.verdict else _inherited(candidate, earlier, rules.min_iou)
        for candidate, own in zip(review.study.candidates, now.values(), strict=True)
    }


def _as_it_was(review: Review, uid: str, own: Settled, rules: Rules) -> Settled:
    """What holds of an image, inherited where all of it was said of an earlier proposal.

    No class, too, where enough readers were asked for the same classes: doubts are for a reviewer, not for them again.
    """
    firsts = [one for one in review.readings if one.kind == "first" and uid in one.verdicts]
    if any(one.proposal == review.latest.number for one in firsts):
        return own
    alike = [one.number for one in _asked_alike(review)]
    asked = {one.reader for one in firsts if one.finished and one.proposal in alike}
    is_known = class_of(own, rules) or own.state is State.ADJUDICATED or len(asked) >= rules.readers
    return replace(own, inherited=uid, overlap=1.0) if is_known else own


def _asked_alike(review: Review) -> list[Proposed]:
    """Return the proposals that ask what the last one does: of images, for the same classes."""
    return [one for one in review.proposals if one.study.asks_as(review.study)]


def _is_outdated(review: Review, settled: Event) -> bool:
    """Whether a reviewer said that none of other classes than those asked for now fits an image."""
    others = {one.model_hash for one in review.proposals} - {one.model_hash for one in _asked_alike(review)}
    return settled.verdict is Verdict.FALSE and settled.model_hash in others


def class_of(own: Settled, rules: Rules) -> str:
    """Return the class that holds of an image, by enough readers or by who adjudicated; empty while there is none."""
    enough = len(own.votes) >= rules.readers or own.state is State.ADJUDICATED
    return str(own.verdict) if enough and own.verdict and not isinstance(own.verdict, Verdict) else ""


def classes_held(review: Review, rules: Rules) -> list[tuple[Candidate, str]]:
    """Return the images of a study whose class is settled in a finished reading, each with it."""
    held = settled(review, rules)
    found = [(candidate, class_of(held[candidate.uid], rules)) for candidate in review.study.candidates]
    return [(candidate, name) for candidate, name in found if name]


def _holds(own: Settled, rules: Rules) -> bool:
    """Whether true or false holds for later proposals: by enough readers, who adjudicated, or a rejection of many."""
    enough = len(own.votes) >= rules.readers or own.state is State.ADJUDICATED or own.batch
    return enough and own.verdict in (Verdict.TRUE, Verdict.FALSE)


def _places(review: Review, candidate: Candidate, own: Settled) -> list[Box]:
    """Where a verdict holds: at every place that a lesion has; of what is none, where it was looked at."""
    return places_of(review, candidate) if own.verdict is Verdict.TRUE else [candidate.box]


def _readers_of(review: Review, proposal: int) -> set[str]:
    return {r.reader for r in review.readings if r.kind == "first" and r.finished and r.proposal == proposal}


def _drawn_in(review: Review, proposal: int, kind: Kind) -> list[Box]:
    """Boxes drawn by hand in the finished readings of a proposal."""
    readings = (r for r in review.readings if r.kind == kind and r.finished and r.proposal == proposal)
    return [event.box for one in readings for event in one.boxes if event.box is not None]


def _was_missed_at(review: Review, moment: float) -> bool:
    """Whether a reader who had finished by then had said that a lesion was missed."""
    then = (one.as_of(moment) for one in review.readings if one.kind == "first")
    return any(one.missed and one.finished for one in then)


def _inherited(candidate: Candidate, earlier: Sequence[tuple[str, Box, Settled]], min_iou: float) -> Settled:
    if not earlier:
        return _NOTHING
    overlaps = iou([candidate.box], [box for _, box, _ in earlier])[0]  # type: ignore[arg-type]
    best = int(overlaps.argmax())
    if overlaps[best] < min_iou:
        return _NOTHING
    other, _, own = earlier[best]
    state = State(own.verdict.value) if own.verdict else State.UNREVIEWED
    return Settled(state, own.verdict, {}, inherited=other, overlap=float(overlaps[best]), batch=own.batch)


def _own(review: Review, uid: str) -> Settled:
    """What was said of a candidate itself: each reader's latest finished reading counts, hidden repeats do not."""
    votes: dict[str, Event] = {}
    for reading in sorted(review.readings, key=lambda one: one.round):
        event = reading.verdicts.get(uid)
        if event is not None and (reading.kind == "batch" or (reading.kind != "repeat" and reading.finished)):
            votes[reading.reader] = event
    if not all(event.tag for event in votes.values()):  # what somebody has looked at goes before a batch
        votes = {reader: event for reader, event in votes.items() if not event.tag}
    said: dict[str, Said] = {reader: event.verdict for reader, event in votes.items() if event.verdict}
    final = max((e for e in review.adjudicated if e.candidate == uid), key=lambda e: e.seq, default=None)
    if final is not None and not _is_outdated(review, final):
        return Settled(State.ADJUDICATED, final.verdict, said)
    if not said:
        return _NOTHING
    if len(set(said.values())) > 1:
        return Settled(State.CONFLICT, None, said)
    verdict = next(iter(said.values()))
    state = State(verdict.value) if isinstance(verdict, Verdict) else State.CLASSIFIED
    return Settled(state, verdict, said, batch=all(event.tag for event in votes.values()))
