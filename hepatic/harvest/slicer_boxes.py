"""Boxes that a reader saved in 3D Slicer, as events of a review: removed is false, added is missed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.match import Matched, match
from hepatic.harvest.queue import reader_state
from hepatic.harvest.reading import Kind
from hepatic.harvest.store import ReviewStore
from hepatic.io.markups import ROI

DEVICE = "slicer"


def studies_with(store: ReviewStore, image_id: str) -> list[str]:
    """Return the studies under review whose frame is that of this image."""
    return [
        review.uid
        for review in store.book.reviews().values()
        if review.study.image_ids.get(review.study.reference) == image_id
    ]


def take_boxes(store: ReviewStore, study: str, saved: Sequence[ROI], reader: str) -> Matched:
    """Take in what a reader saved of a study; it ends their reading of it.

    Boxes that are still there are true, moved ones true with the new box, added ones lesions that were missed. Those
    that are gone are false only if another box in the file names a candidate of this study, so that it is known that
    the reader had them before them. Saving again replaces what was saved before. A study that waits to be boxed by hand
    takes the added boxes only.

    Args:
        store: of reviews.
        study: StudyInstanceUID.
        saved: from the file.
        reader: who saved it, somebody who may draw boxes.

    Raises:
        NotFoundError: the study was never proposed.
    """
    review = store.review(study)
    mine = review.of(reader)
    state = reader_state(reader, review, None, rules=store.rules, may_box=True)
    last = mine[-1] if mine else None
    if last and last.finished and last.finished.device == DEVICE and last.proposal == review.latest.number:
        reading = last
    else:
        kind: Kind = "boxing" if state == "boxing" else "first"
        with store.database.write() as connection:
            reading = open_reading(connection, reader, Wish(study, kind), store.clock())
    proposed = review.proposal(reading.proposal) if reading.proposal != review.latest.number else review.latest
    candidates = {one.uid: one.box for one in proposed.study.candidates}
    matched = match(candidates, saved)
    seen = any(one.about.get("candidate") in candidates for one in saved)
    events: list[dict[str, Any]] = []
    if reading.finished:
        events.append(_event("reopen", study))
    events += [_event("undo", study, of=box.id) for box in reading.boxes]
    if reading.kind != "boxing":
        events += [_event("decide", study, candidate=uid, verdict="true") for uid in matched.kept]
        events += [_event("box", study, candidate=uid, box=list(box)) for uid, box in matched.moved.items()]
        if seen:
            events += [_event("decide", study, candidate=uid, verdict="false") for uid in matched.removed]
        if matched.added and not reading.missed:
            events.append(_event("missed", study))
    events += [_event("box", study, box=list(box)) for box in matched.added]
    events.append(_event("finish", study))
    store.reviews.take(events, reader, device=DEVICE)
    return matched


def _event(type: str, study: str, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "type": type, "study": study, **more}
