"""Verdicts as a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np

from hepatic.boxes import centres, sizes
from hepatic.harvest.export.classified import ClassifiedImage, ClassifiedStudy
from hepatic.harvest.export.reviewed import Decision, ReviewedCandidate, ReviewedStudy

COLUMNS = (
    "study_uid", "patient_id", "study_complete", "reference_phase", "reference_image", "candidate_uid", "origin",
    "state", "verdict", "primary", "x_min_mm", "y_min_mm", "z_min_mm", "x_max_mm", "y_max_mm", "z_max_mm",
    "centre_x_mm", "centre_y_mm", "centre_z_mm", "size_x_mm", "size_y_mm", "size_z_mm", "key_slice", "score", "model",
    "model_hash", "phases", "drawn_by", "adjudicated_by", "adjudicated_at", "reader", "round", "reader_verdict",
    "shown_at", "decided_at", "hidden_ms", "seconds", "device", "note", "image", "model_class", "class_probability",
)  # fmt: skip
"""Coordinates are LPS."""
_DECISION = ("reader", "round", "reader_verdict", "shown_at", "decided_at", "hidden_ms", "seconds", "device")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_FORMULA_IN_A_NEW_CELL = re.compile(r'(;["\s]*)(?=[=+\-@])')


def write_table(studies: Iterable[ReviewedStudy], classified: Iterable[ClassifiedStudy] = ()) -> bytes:
    """Return a CSV file (UTF-8, RFC 4180): a row per candidate and decision, one for a candidate without any.

    Images that are classified follow: ``note`` is the question, ``verdict`` and ``reader_verdict`` are classes,
    ``model_class`` is the model's most probable one with its ``score``, ``class_probability`` what it gave the verdict.

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
    for asked in classified:
        for image in asked.images:
            for decision in image.decisions or (None,):
                told = {**_image_row(asked, image), **dict(zip(_DECISION, _decided(decision), strict=True))}
                writer.writerow(_safe(told.get(column)) for column in COLUMNS)
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
    yield from _decided(decision)
    yield from (None,) * 4


def _image_row(study: ClassifiedStudy, image: ClassifiedImage) -> dict[str, object]:
    return {
        "study_uid": study.study_uid,
        "patient_id": study.patient_id,
        "candidate_uid": image.uid,
        "origin": "model",
        "state": image.state,
        "verdict": image.name,
        "score": image.probabilities.get(image.model_class),
        "model": image.model,
        "model_hash": image.model_hash,
        "adjudicated_by": image.adjudicated_by,
        "adjudicated_at": image.adjudicated_at,
        "note": study.note,
        "image": image.image_id,
        "model_class": image.model_class,
        "class_probability": None if image.name is None else image.probabilities.get(image.name),
    }


def _decided(decision: Decision | None) -> Iterator[object]:
    """Yield the cells of ``_DECISION``."""
    if decision is None:
        yield from (None,) * len(_DECISION)
        return
    taken = seconds_taken(decision)
    yield from (decision.reader, decision.round, decision.verdict, decision.shown_at, decision.decided_at)
    yield from (decision.hidden_ms, None if taken is None else round(taken, 3), decision.device)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _safe(value: object) -> object:
    """Return a cell that no spreadsheet runs: https://owasp.org/www-community/attacks/CSV_Injection."""
    if not isinstance(value, str):
        return value
    guarded = _FORMULA_IN_A_NEW_CELL.sub(r"\1'", value)
    return f"'{guarded}" if guarded.startswith(_FORMULA) else guarded
