"""Reviews in the form in which they are exported."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import numpy as np

from hepatic.geometry import Grid
from hepatic.harvest.book import Review
from hepatic.harvest.events import Event
from hepatic.harvest.export import reviewed as export
from hepatic.harvest.export.reviewed import Decision, Origin, ReviewedCandidate, ReviewedStudy
from hepatic.harvest.lesions import drawn_boxes
from hepatic.harvest.lesson import Learnt, Lesson, lesson
from hepatic.harvest.primary import primary_of
from hepatic.harvest.propose import key_slice
from hepatic.harvest.rules import Rules
from hepatic.harvest.study import Box, Candidate
from hepatic.harvest.verdicts import Settled, State, judged, settled


def reviewed_study(review: Review, rules: Rules) -> ReviewedStudy:
    """Return a study with every candidate of its last proposal, and lesions that only earlier models or readers saw."""
    study = review.study
    grid = Grid(study.size, np.asarray(study.affine, np.float64))
    held = settled(review, rules)
    found = [_candidate(review, c, held[c.uid], grid) for c in study.candidates]
    shown = {one.uid for one in found} | {held[uid].inherited for uid in held}
    lessons = lesson(review, rules)
    still = {one.candidate for one in (*lessons.boxes, *lessons.negatives)} - shown
    found += [_candidate(review, c, own, grid) for c, own in judged(review) if c.uid in still]
    learnt = {one.candidate: one for one in lessons.boxes}
    found += [
        _drawn(event, learnt.get(event.id), grid)
        for event in drawn_boxes(review)
        if event.id not in shown and (event.id in learnt or review.known is not None)
    ]
    return ReviewedStudy(
        study_uid=study.study_uid,
        patient_id=study.patient_id,
        reference=study.reference,
        image_ids=study.image_ids,
        grid=grid,
        candidates=_with_primary(found, review, lessons, held),
        complete=lessons.complete and not lessons.ignored,
    )


def _with_primary(
    found: Sequence[ReviewedCandidate], review: Review, lessons: Lesson, held: Mapping[str, Settled]
) -> tuple[ReviewedCandidate, ...]:
    """Mark the one that is the primary tumour: that was named, or was drawn in its place, or else that inherits it."""
    primary = primary_of(review)
    if primary is None:
        return tuple(found)
    names = {one.candidate for one in lessons.boxes if one.primary and one.candidate} or primary.uids
    heirs = sorted((uid for uid in held if held[uid].inherited in names), key=lambda uid: -held[uid].overlap)
    named = [one.uid for one in found if (one.uid in names and one.verdict == "true") or one.primary]
    chosen = next(iter(named + heirs), None)
    return tuple(replace(one, primary=one.uid == chosen) for one in found)


def _candidate(review: Review, candidate: Candidate, own: Settled, grid: Grid) -> ReviewedCandidate:
    corrected = {
        uid: box
        for one in review.readings
        if one.finished and one.kind != "repeat"
        for uid, box in one.corrected.items()
    }
    box = corrected.get(candidate.uid, candidate.box)
    proposed = {one.uid: one for proposal in review.proposals for one in proposal.study.candidates}
    judged_one = proposed.get(own.inherited, candidate)
    events = [
        (event, one.corrected.get(judged_one.uid, judged_one.box))
        for one in review.readings
        if one.kind != "repeat" and (one.finished or one.kind == "batch")
        if (event := one.verdicts.get(judged_one.uid)) is not None
    ]
    decisions = [decision_of(*one) for one in sorted(events, key=lambda one: one[0].seq)]
    decisions += [_drawing(event) for event in drawn_boxes(review) if event.id == own.inherited]
    last = max((e for e in review.adjudicated if e.candidate == judged_one.uid), key=lambda e: e.seq, default=None)
    origin: Origin = "inherited" if own.inherited else "model"
    return ReviewedCandidate(
        uid=candidate.uid,
        box=box,
        key_slice=key_slice(box, grid),
        origin=origin,
        state=cast(export.State, own.state.value),
        verdict=None if own.verdict is None else cast(export.Verdict, own.verdict.value),
        decisions=tuple(decisions),
        score=candidate.score,
        lineage=candidate.lineage,
        model=candidate.model,
        model_hash=candidate.model_hash,
        adjudicated_by=last.reader if last else "",
        adjudicated_at=moment_text(last.at) if last else "",
    )


def _drawn(event: Event, learnt: Learnt | None, grid: Grid) -> ReviewedCandidate:
    assert event.box is not None  # noqa: S101 - of this type
    return ReviewedCandidate(
        uid=f"2.25.{uuid.UUID(event.id).int}",
        box=event.box,
        key_slice=key_slice(event.box, grid),
        origin="manual",
        state=State.TRUE.value,
        verdict="true",
        primary=learnt is not None and learnt.primary,
        drawn_by=event.reader,
    )


def _drawing(event: Event) -> Decision:
    """Return the decision of who drew a lesion where a candidate was proposed later."""
    return Decision(
        reader=event.reader,
        verdict="true",
        round=event.round,
        decided_at=moment_text(event.decided_at),
        device=event.device,
        box=event.box,
    )


def decision_of(event: Event, box: Box | None = None) -> Decision:
    """Return a reader's decision as it leaves."""
    assert event.verdict is not None  # noqa: S101 - a decision has one
    return Decision(
        reader=event.reader,
        verdict=event.verdict.value,
        round=event.round,
        shown_at=moment_text(event.shown_at),
        decided_at=moment_text(event.decided_at),
        hidden_ms=round(event.hidden_ms),
        device=event.device,
        box=box,
    )


def moment_text(moment: float | None) -> str:
    """Return seconds since 1970 as ISO 8601, empty for None."""
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
