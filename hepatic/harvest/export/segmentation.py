"""Accepted boxes as a DICOM segmentation of the reference series, a segment each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.harvest.export.reference_series import ReferenceSeries
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy
from hepatic.io.dicom_instance import Instance
from hepatic.io.dicom_seg import boxes_seg, say_creators
from hepatic.io.dicom_segment import Algorithm, Segment
from hepatic.io.dicom_source import person_name

_WHAT = "DICOM segmentation"


def segmentation(study: ReviewedStudy, reference: Sequence[Path], *, instance: Instance | None = None) -> Dataset:
    """Return the accepted boxes of a study, filled, on the slices of its reference series as they were scanned.

    A segment has the candidate's tracking UID and says what proposed the box and who accepted it, or who drew it. All
    these people are the object's operators, the one with the last word its creator.

    Args:
        study: with one accepted box or more.
        reference: the DICOM files of the study's reference series.
        instance: which one of which series it is; a new one by default.

    Raises:
        BadInputError: nothing was accepted; or the series is not DICOM, not the study's, or has no frame of reference.
    """
    accepted = study.accepted()
    if not accepted:
        raise BadInputError(
            _WHAT, expected="a study with accepted boxes", came="none", fix="Export this study in another format."
        )
    source = ReferenceSeries.of(study, reference, what=_WHAT)
    segments = [_segment(number, candidate) for number, candidate in enumerate(accepted, 1)]
    boxes = np.array([candidate.box for candidate in accepted], np.float64)
    made = boxes_seg(source.source, boxes, segments, description="Reviewed lesions, boxes", instance=instance)
    if not made.ContentDescription:
        made.ContentDescription = "Boxes around lesions that readers accepted"
    judges = [candidate.adjudicated_by for candidate in accepted if candidate.adjudicated_by]
    people = list(dict.fromkeys([*judges, *(name for candidate in accepted for name in _accepting(candidate))]))
    if people:
        say_creators(made, people)
    return made


def _segment(number: int, candidate: ReviewedCandidate) -> Segment:
    algorithm = Algorithm(candidate.model, candidate.model_hash) if candidate.model else None
    return Segment(
        name=f"lesion {number}{' (primary)' if candidate.primary else ''}",
        meaning="lesion",
        algorithm=algorithm,
        judged=True,
        tracking_uid=candidate.uid,
        tracking_id=f"Lesion {candidate.uid}",
        about=_about(candidate),
    )


def _about(candidate: ReviewedCandidate) -> str:
    names = ", ".join(person_name(name).rstrip("^") for name in _accepting(candidate))
    if not candidate.model:
        return f"Box drawn by {names}" if names else "Box drawn by hand"
    return f"Box proposed by {candidate.model}" + (f", accepted by {names}" if names else "")


def _accepting(candidate: ReviewedCandidate) -> list[str]:
    """Return who drew or accepted a box, the one with the last word first."""
    readers = [one.reader for one in candidate.decisions if one.verdict == "true"]
    return [name for name in dict.fromkeys([candidate.adjudicated_by, candidate.drawn_by, *readers]) if name]
