"""What a detector may learn from one study: boxes, hard negatives, and where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from hepatic.boxes import hits, iou
from hepatic.harvest.book import Review
from hepatic.harvest.events import Event, Verdict
from hepatic.harvest.lesions import drawn_boxes, same_lesion
from hepatic.harvest.primary import Named, primary_of
from hepatic.harvest.rules import Rules
from hepatic.harvest.study import Box
from hepatic.harvest.verdicts import (
    State,
    doubtful,
    judged,
    settled,
    waits_for_boxes,
    was_boxed,
    was_read,
)

Source = Literal["harvested", "inherited", "manual", "gold"]


@dataclass(frozen=True)
class Learnt:
    """A box that is known to be a lesion, known to be none, or not known to be either.

    Attributes:
        box: LPS millimetres in the study's frame.
        source: where it comes from.
        candidate: UID of the candidate, or the id of the event that drew it; empty for gold.
        primary: whether it is the primary tumour.
    """

    box: Box
    source: Source
    candidate: str = ""
    primary: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what a snapshot holds of it."""
        return {
            "box": list(self.box),
            "source": self.source,
            "candidate": self.candidate,
            "primary": self.primary,
        }


@dataclass(frozen=True)
class Lesson:
    """What a study teaches.

    Attributes:
        boxes: lesions.
        negatives: candidates that somebody looked at and rejected. Those rejected many at once are not among them.
        ignored: candidates that are neither: unsure, in conflict, not reviewed, rejected in a batch, or rejected
            although they touch a lesion. No loss may count there.
        complete: whether the study is read to the end and nothing in it is unsure or in conflict.
        background: whether there is no lesion outside of ``boxes`` and ``ignored``, so that the rest is background.
    """

    boxes: tuple[Learnt, ...]
    negatives: tuple[Learnt, ...]
    ignored: tuple[Learnt, ...]
    complete: bool
    background: bool


def lesson(review: Review, rules: Rules) -> Lesson:
    """Return what a study teaches, by these rules.

    - A lesion: a candidate of any proposal that its readers, or who adjudicated, accepted; a box drawn by hand by any
      reader in any round; the boxes of a known case, and then only these. A lesion counts once: with the box drawn
      last, or else with the latest candidate's.
    - The primary tumour: one at most, what readers named so (``primary_of``); the only lesion of a complete study.
    - A hard negative: a candidate that was rejected one by one, by all who judged it or by who adjudicated, and that
      touches no lesion.
    - Nothing else teaches anything, hidden repeats least of all: they measure their reader.

    A study is complete if enough readers have finished it, or somebody has boxed it by hand from the start, none of its
    candidates is in conflict or unsure (what was said later of another candidate at the same place settles it), and no
    lesion that was missed waits to be boxed; and if it is a known case.
    """
    in_doubt = doubtful(review, rules)
    said = [(c, own) for c, own in judged(review) if own.verdict in (Verdict.TRUE, Verdict.FALSE)] + in_doubt
    readings = [one for one in review.readings if one.finished and one.kind != "repeat"]
    corrected = {uid: box for reading in readings for uid, box in reading.corrected.items()}
    if review.known is not None:
        boxes = [Learnt(box, "gold", primary=n == review.known_primary) for n, box in enumerate(review.known)]
    else:
        boxes = [
            Learnt(corrected.get(c.uid, c.box), "harvested", c.uid) for c, own in said if own.verdict is Verdict.TRUE
        ]
        boxes = _with_drawn(_apart(boxes, rules.min_iou), drawn_boxes(review))
        boxes = _with_primary(boxes, primary_of(review))
    negatives: list[Learnt] = []
    ignored: list[Learnt] = []
    for candidate, own in said:
        if own.verdict is Verdict.TRUE:
            continue
        learnt = Learnt(candidate.box, "harvested", candidate.uid)
        rejected = own.verdict is Verdict.FALSE and not own.batch
        (negatives if rejected and not _touches(learnt, boxes) else ignored).append(learnt)
    open_now = settled(review, rules)
    ignored += [
        Learnt(candidate.box, "harvested", candidate.uid)
        for candidate in review.study.candidates
        if open_now[candidate.uid].state is State.UNREVIEWED and review.known is None
    ]
    looked_at = was_read(review, rules) or was_boxed(review)
    background = review.known is not None or (looked_at and not waits_for_boxes(review))
    complete = review.known is not None or (background and not in_doubt)
    if complete and len(boxes) == 1 and review.known is None:
        boxes = [replace(boxes[0], primary=True)]
    return Lesson(
        tuple(boxes),
        tuple(_apart(negatives, rules.min_iou)),
        tuple(one for one in ignored if not _touches(one, boxes)),
        complete,
        background,
    )


def _touches(one: Learnt, boxes: list[Learnt]) -> bool:
    """Whether it could be meant for one of these lesions."""
    return bool(boxes) and bool(hits([one.box], [other.box for other in boxes]).any())  # type: ignore[arg-type]


def _with_drawn(harvested: list[Learnt], drawn: list[Event]) -> list[Learnt]:
    """Add boxes drawn by hand, the latest first; they go before others of the same lesion.

    Boxes that a reader drew side by side in one reading are never taken for one lesion.
    """
    kept: list[tuple[Learnt, tuple[str, int]]] = []
    for event in drawn:
        reading = (event.reader, event.round)
        others = [one.box for one, by in kept if by != reading]
        if event.box is not None and not any(same_lesion(event.box, other) for other in others):
            kept.append((Learnt(event.box, "manual", event.id), reading))
    manual = [one for one, _ in kept]
    return [one for one in harvested if not any(same_lesion(one.box, other.box) for other in manual)] + manual


def _with_primary(boxes: list[Learnt], primary: Named | None) -> list[Learnt]:
    """Mark the one box that is the primary tumour's."""
    if primary is None or not boxes:
        return boxes
    shared = iou(list(primary.places), [one.box for one in boxes]).max(axis=0)  # type: ignore[arg-type]
    best = int(shared.argmax())
    is_there = any(same_lesion(place, boxes[best].box) for place in primary.places)
    return [replace(one, primary=is_there and n == best) for n, one in enumerate(boxes)]


def _apart(boxes: list[Learnt], min_iou: float) -> list[Learnt]:
    """Keep one of those that several models proposed at the same place: the latest, which comes first."""
    kept: list[Learnt] = []
    for one in boxes:
        if not kept or iou([one.box], [other.box for other in kept]).max() < min_iou:  # type: ignore[arg-type]
            kept.append(one)
    return kept
