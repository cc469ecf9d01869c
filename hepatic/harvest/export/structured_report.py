"""Verdicts as DICOM structured reports, TID 1500 (``hepatic.io.dicom_report``).

The Comprehensive 3D SR holds the box of each candidate in space, and its verdict; a Comprehensive SR, for OHIF, its
rectangle on the key slice. Groups of one candidate have one tracking UID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from highdicom import sr
from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.harvest.export.reference_series import ReferenceSeries
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy
from hepatic.harvest.propose import key_slice
from hepatic.io.dicom_instance import Instance
from hepatic.io.dicom_report import Finding, Group, own_code, report
from hepatic.io.dicom_segment import Algorithm

VERDICT = own_code("verdict", "Verdict on the candidate")
PRIMARY = own_code("primary", "Primary lesion of the patient")
STATE = own_code("state", "State of the review")
VERDICTS: dict[str, sr.CodedConcept] = {
    "true": sr.CodedConcept("31874001", "SCT", "True"),
    "false": sr.CodedConcept("64100000", "SCT", "False"),
    "unsure": sr.CodedConcept("373068000", "SCT", "Undetermined"),
}

_YES, _NO = sr.CodedConcept("373066001", "SCT", "Yes"), sr.CodedConcept("373067005", "SCT", "No")


@dataclass(frozen=True)
class Report:
    """One document.

    Attributes:
        name: what tells it from the others of the study: empty for what counts in the end, ``slices`` for its
            rectangles on key slices, ``reader-1`` and so on for what one reader said.
        observer: that reader; empty in the first two.
        dataset: the document.
    """

    name: str
    observer: str
    dataset: Dataset


def structured_reports(
    study: ReviewedStudy, reference: Sequence[Path], *, instance: Callable[[str], Instance] | None = None
) -> list[Report]:
    """Return the reports of a study: what counts in the end, in space and on key slices, and what each reader said.

    Where one reader decided alone, that is what counts, and there is no other.

    Args:
        study: with one candidate or more.
        reference: the DICOM files of the study's reference series.
        instance: which one of which series the report of a name is; new ones by default.

    Raises:
        BadInputError: the series is not DICOM, has no frame of reference or is not the study's, or there is nothing to
            report.
    """
    if not study.candidates:
        raise BadInputError(
            "structured report", expected="a study with candidates", came="none", fix="Leave the study out."
        )
    series = ReferenceSeries.of(study, reference, what="structured report")
    source, listed = series.source, series.key_slices(study)
    i_mm, j_mm, _ = source.grid.spacing

    def boxes(of: Sequence[ReviewedCandidate], reader: str | None = None) -> list[Group]:
        return [_finding(c, reader).in_space(c.box, study.grid, source) for c in of]

    def document(kind: type[Dataset], groups: Sequence[Group], name: str, people: Sequence[str], reader: str) -> Report:
        made = report(
            kind,
            groups,
            source,
            observers=people,
            description=f"Lesions reviewed by {reader}" if reader else "Reviewed lesions",
            described=listed,
            instance=None if instance is None else instance(name),
            is_complete=study.complete,
            is_final=study.complete and not reader,
        )
        return Report(name, reader, made)

    readers = list(dict.fromkeys(d.reader for c in study.candidates for d in c.decisions))
    drawers = [c.drawn_by for c in study.candidates if c.drawn_by]
    judges = [c.adjudicated_by for c in study.candidates if c.adjudicated_by]
    everybody = list(dict.fromkeys([*judges, *readers, *drawers]))
    rectangles = [
        _finding(c, None).on_picture(source.rectangle(c.box, series.key_slice(c)), pixel_mm=(i_mm, j_mm))
        for c in study.candidates
    ]
    reports = [
        document(sr.Comprehensive3DSR, boxes(study.candidates), "", everybody, ""),
        document(sr.ComprehensiveSR, rectangles, "slices", everybody, ""),
    ]
    if len(readers) > 1:
        for number, reader in enumerate(readers, 1):
            own = boxes(tuple(_said(study, reader)), reader)
            reports.append(document(sr.Comprehensive3DSR, own, f"reader-{number}", [reader], reader))
    return reports


def _said(study: ReviewedStudy, reader: str) -> Iterator[ReviewedCandidate]:
    """Yield what a reader judged, with the box that reader judged, and what the reader drew."""
    for candidate in study.candidates:
        last = next((d for d in reversed(candidate.decisions) if d.reader == reader), None)
        if last is None:
            if candidate.drawn_by == reader:
                yield candidate
        elif last.box is None or last.box == candidate.box:
            yield candidate
        else:
            yield replace(candidate, box=last.box, key_slice=key_slice(last.box, study.grid))


def _finding(candidate: ReviewedCandidate, reader: str | None) -> Finding:
    return Finding(
        uid=candidate.uid,
        name=f"Lesion {candidate.uid}",
        algorithm=Algorithm(candidate.model, candidate.model_hash) if candidate.model else None,
        certainty=candidate.score,
        evaluations=tuple(_evaluations(candidate, reader)),
    )


def _evaluations(candidate: ReviewedCandidate, reader: str | None) -> Iterator[sr.QualitativeEvaluation]:
    verdict: str | None
    if reader is None:
        verdict = candidate.verdict
        yield sr.QualitativeEvaluation(STATE, own_code(candidate.state, candidate.state.capitalize()))
        yield sr.QualitativeEvaluation(PRIMARY, _YES if candidate.primary else _NO)
    else:
        verdict = next((d.verdict for d in reversed(candidate.decisions) if d.reader == reader), None)
    if verdict is not None:
        yield sr.QualitativeEvaluation(VERDICT, VERDICTS[verdict])
