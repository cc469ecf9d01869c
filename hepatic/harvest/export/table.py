"""Verdicts as a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np

from hepatic.boxes import centres, sizes
from hepatic.harvest.export.reviewed import Decision, ReviewedCandidate, ReviewedStudy

COLUMNS = (
    "study_uid", "patient_id", "study_complete", "reference_phase", "reference_image", "candidate_uid", "origin",
    "state", "verdict", "primary", "x_min_mm", "y_min_mm", "z_min_mm", "x_max_mm", "y_max_mm", "z_max_mm",
    "centre_x_mm", "centre_y_mm", "centre_z_mm", "size_x_mm", "size_y_mm", "size_z_mm", "key_slice", "score", "model",
    "model_hash", "phases", "drawn_by", "adjudicated_by", "adjudicated_at", "reader", "round", "reader_verdict",
    "shown_at", "decided_at", "hidden_ms", "seconds", "device",
)  # fmt: skip
"""Coordinates are LPS."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FORMULA_IN_A_NEW_CELL = re.compile(r'(;["\s]*)(?=[=+\-@])')


def write_table(studies: Iterable[ReviewedStudy]) -> bytes:
    """Return a CSV file (UTF-8, RFC 4180): a row per candidate and decision, one for a candidate without any.

    Texts that a spreadsheet would take for a formula are preceded by an apostrophe; numbers never are. Where a
    spreadsheet separates cells by semicolons, a text after one would be a cell of its own, quoted or not, and is
    treated the same.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for study in studies:
        for candidate in study.candidates:
            for decision in candidate.decisions or (None,):
                writer.writerow(_safe(value) for value in _row(study, candidate, decision))
    return text.getvalue().encode()


def seconds_taken(decision: Decision) -> float | None:
    """Return how long the reader looked at the card, the time in which the page was hidden taken off.

    None where a time is missing, or the clock went backwards.
    """
    if not decision.shown_at or not decision.decided_at:
        return None
    taken = datetime.fromisoformat(decision.decided_at) - datetime.fromisoformat(decision.shown_at)
    seconds = taken.total_seconds() - decision.hidden_ms / 1000
    return seconds if seconds >= 0 else None


def _row(study: ReviewedStudy, candidate: ReviewedCandidate, decision: Decision | None) -> Iterator[object]:
    yield from (study.study_uid, study.patient_id, _yes(study.complete), study.reference.value, study.reference_image)
    yield from (candidate.uid, candidate.origin, candidate.state, candidate.verdict, _yes(candidate.primary))
    box = np.array([candidate.box])
    (centre,), (size,) = centres(box), sizes(box)
    yield from (round(float(value), 3) for value in (*candidate.box, *centre, *size))
    yield from (candidate.key_slice, candidate.score, candidate.model, candidate.model_hash)
    yield " ".join(proposal.phase.value for proposal in candidate.lineage)
    yield from (candidate.drawn_by, candidate.adjudicated_by, candidate.adjudicated_at)
    if decision is not None:
        taken = seconds_taken(decision)
        yield from (decision.reader, decision.round, decision.verdict, decision.shown_at, decision.decided_at)
        yield from (decision.hidden_ms, None if taken is None else round(taken, 3), decision.device)
    else:
        yield from (None,) * 8


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _safe(value: object) -> object:
    """Return a cell that no spreadsheet runs: https://owasp.org/www-community/attacks/CSV_Injection."""
    if not isinstance(value, str):
        return value
    guarded = _FORMULA_IN_A_NEW_CELL.sub(r"\1'", value)
    return f"'{guarded}" if guarded.startswith(_FORMULA) else guarded
