"""Boxes that a reader saved in 3D Slicer, as events of a review: removed is false, added is missed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatic.harvest.book import Review
from hepatic.harvest.events import SLICER, Verdict, plain_text
from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.match import Matched, match
from hepatic.harvest.queue import order_of, reader_state
from hepatic.harvest.reading import Kind, Reading
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study import ProposedStudy
from hepatic.harvest.verdicts import readers_done
from hepatic.io.markups import ROI


def studies_with(store: ReviewStore, image_id: str) -> list[str]:
    """Return the studies under review whose frame is that of this image."""
    return [
        review.uid
        for review in store.book.reviews().values()
        if review.study.image_ids.get(review.study.reference) == image_id
    ]


@dataclass(frozen=True)
class TakenBoxes:
    """What became of boxes that were saved.

    Attributes:
        matched: which candidates were kept, moved since they were given and removed, and which boxes were added.
        refused: what the review did not take, and why, in words; then the reading is not finished.
    """

    matched: Matched
    refused: tuple[str, ...] = ()


def rois_of(review: Review, reading: Reading, rules: Rules) -> list[ROI]:
    """Return what a reader has before them in 3D Slicer: the cards of their reading, and the boxes they drew.

    Cards they rejected are left out. Each box names them (``reader_of``) and which candidates were shown, so that
    those that are gone from what is saved are known to be rejected. Neither scores nor what others said are in it.

    Args:
        review: the study.
        reading: of it, begun.
        rules: by which studies are read.
    """
    order = order_of(review, reading, rules)
    boxes = {one.uid: one.box for one in review.proposal(reading.proposal).study.candidates}
    about = {"shown": sorted(order), "reader": reading.reader}
    rois = [
        ROI(reading.corrected.get(uid, boxes[uid]), f"candidate {number}", {"candidate": uid, **about})
        for number, uid in enumerate(order, 1)
        if reading.verdict(uid) is not Verdict.FALSE
    ]
    drawn = [box.box for box in reading.boxes if box.box is not None]
    return rois + [ROI(box, f"drawn {number}", about) for number, box in enumerate(drawn, 1)]


def reader_of(saved: Sequence[ROI]) -> str:
    """Return who was given the boxes that were saved (``rois_of``), empty where they name nobody or several.

    Raises:
        BadInputError: what they name is no reader.
    """
    named = {name for roi in saved if isinstance(name := roi.about.get("reader"), str)}
    return plain_text(named.pop(), "the reader of the boxes", longest=64) if len(named) == 1 else ""


def take_boxes(store: ReviewStore, study: str, saved: Sequence[ROI], reader: str) -> TakenBoxes:
    """Take in what a reader saved of a study; it ends their reading of it unless something is refused.

    Boxes that are still there are true, or unsure as before where they were not moved; moved ones true with the new
    box, added ones lesions that were missed. Those that are gone are false only if another box in the file says that
    they were shown (``rois_of``). What was said before and still holds is not said again, so that clicks keep their
    times. If the file names no candidate and the reader had not begun to read, the study was boxed by hand.
    Saving again replaces what was saved before. A study that others have read and that waits to be boxed by hand takes
    the added boxes only.

    Args:
        store: of reviews.
        study: StudyInstanceUID.
        saved: from the file.
        reader: who saved it, somebody who may draw boxes.

    Raises:
        NotFoundError: the study was never proposed.
        ConflictError: they had not begun to read it, and another is reading it, or enough readers have.
    """
    review = store.review(study)
    state = reader_state(reader, review, None, rules=store.rules, may_box=True)
    last = review.last_of(reader)
    begun = last is not None and (not last.finished or last.proposal == review.latest.number)
    if last and last.finished and last.finished.device == SLICER and begun:
        reading = last
    else:
        to_box = state == "boxing" or not (begun or _names(saved, review.study))
        kind: Kind | None = "boxing" if to_box else None if begun else "first"
        if begun:
            with store.database.write() as connection:
                reading = open_reading(connection, reader, Wish(study, kind), store.clock())
        else:
            lease = store.take(reader, Wish(study, kind), may_box=True)
            reading = next(one for one in store.review(study).of(reader) if one.round == lease.round)
    proposed = review.proposal(reading.proposal).study
    given = {one.uid: reading.corrected.get(one.uid, one.box) for one in proposed.candidates}
    seen = {uid for roi in saved for uid in _shown(roi)}
    is_read = reading.kind == "boxing" and bool(readers_done(review))
    matched = match(given if reading.kind != "boxing" or _names(saved, proposed) else {}, saved)
    events: list[dict[str, Any]] = []
    if reading.finished:
        events.append(_event("reopen", study))
    events += [_event("undo", study, of=box.id) for box in reading.boxes]
    if not is_read:
        said = dict.fromkeys(matched.kept, Verdict.TRUE)
        said |= {uid: Verdict.FALSE for uid in matched.removed if uid in seen}
        for uid, verdict in said.items():
            before = reading.verdict(uid)
            is_left = before is Verdict.UNSURE and uid in matched.kept and uid not in matched.moved
            if before is not verdict and not is_left:
                events.append(_event("decide", study, candidate=uid, verdict=verdict.value))
        events += [_event("box", study, candidate=uid, box=list(box)) for uid, box in matched.moved.items()]
    if matched.added and not reading.missed and reading.kind != "boxing":
        events.append(_event("missed", study))
    if reading.missed and reading.missed.device == SLICER and not matched.added:
        events.append(_event("undo", study, of=reading.missed.id))
    events += [_event("box", study, box=list(box)) for box in matched.added]
    refused = _refused(store, events, reader) or _refused(store, [_event("finish", study)], reader)
    return TakenBoxes(matched, refused)


def _names(saved: Sequence[ROI], study: ProposedStudy) -> bool:
    """Whether a box names a candidate of a study, or says that it was shown."""
    known = {one.uid for one in study.candidates}
    return any(roi.about.get("candidate") in known or known & _shown(roi) for roi in saved)


def _shown(roi: ROI) -> set[str]:
    """Candidates that a box says were shown with it."""
    shown = roi.about.get("shown")
    return {uid for uid in shown if isinstance(uid, str)} if isinstance(shown, list) else set()


def _refused(store: ReviewStore, events: Sequence[dict[str, Any]], reader: str) -> tuple[str, ...]:
    """Take events; return in words which were refused, each reason once."""
    taken, _ = store.reviews.take(events, reader, device=SLICER)
    told: dict[str, list[str]] = {}
    for event, one in zip(events, taken, strict=True):
        if one.status == "refused":
            box = event.get("box")
            place = "" if box is None else "({:.0f}, {:.0f}, {:.0f})".format(*(np.add(box[:3], box[3:]) / 2))
            told.setdefault(one.reason, []).append(place)
    return tuple(
        f"{reason} Boxes round {', '.join(places)} mm (LPS)." if all(places) else reason
        for reason, places in told.items()
    )


def _event(type: str, study: str, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "type": type, "study": study, **more}
