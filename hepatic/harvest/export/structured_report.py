"""Verdicts as DICOM structured reports, TID 1500 "Measurement Report" (PS3.16).

The Comprehensive 3D SR holds a volumetric group (TID 1411) per candidate: its box as a stack of polygons in the frame
of reference, its verdict. OHIF makes no annotations of such a document: it loads its groups without the images they lie
on (``_checkIfCanAddMeasurementsToDisplaySet``). So there is a second one, a Comprehensive SR with a planar group (TID
1410) per candidate, its rectangle on the key slice, of which OHIF does. Groups of one candidate have one tracking UID.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from hepatic import __version__
from hepatic.boxes import to_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.export.reference_series import ReferenceSeries, person_name
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy, Verdict
from hepatic.harvest.propose import key_slice

SCHEME = "99HEPATIC"
VERDICT = sr.CodedConcept("verdict", SCHEME, "Verdict on the candidate")
PRIMARY = sr.CodedConcept("primary", SCHEME, "Primary lesion of the patient")
STATE = sr.CodedConcept("state", SCHEME, "State of the review")
CERTAINTY = sr.CodedConcept("111012", "DCM", "Certainty of finding")
VERDICTS: dict[Verdict, sr.CodedConcept] = {
    "true": sr.CodedConcept("31874001", "SCT", "True"),
    "false": sr.CodedConcept("64100000", "SCT", "False"),
    "unsure": sr.CodedConcept("373068000", "SCT", "Undetermined"),
}
RECTANGLE = "Cornerstone3DTools@^0.1.0:RectangleROI"
"""Tracking identifier from which OHIF knows that it may make an annotation of a group."""

_YES, _NO = sr.CodedConcept("373066001", "SCT", "Yes"), sr.CodedConcept("373067005", "SCT", "No")
_LESION = sr.CodedConcept("52988006", "SCT", "Lesion")
_LIVER = sr.CodedConcept("10200004", "SCT", "Liver")
_CT_ABDOMEN = sr.CodedConcept("169070004", "SCT", "CT of abdomen")
_MAKER = "hepatic"
_DEVICE = "2.25.147325871202937164201859371824610283745"
_SERIES_NUMBER = 310
_LONG_STRING = 64
_SAME_PLANE_MM = 1e-3


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


def structured_reports(study: ReviewedStudy, reference: Sequence[Path]) -> list[Report]:
    """Return the reports of a study: what counts in the end, in space and on key slices, and what each reader said.

    Where one reader decided alone, that is what counts, and there is no other.

    Args:
        study: with one candidate or more.
        reference: the DICOM files of the study's reference series.

    Raises:
        BadInputError: the series is not DICOM, has no frame of reference or is not the study's, or there is nothing to
            report.
    """
    if not study.candidates:
        raise BadInputError(
            "structured report", expected="a study with candidates", came="none", fix="Leave the study out."
        )
    source = ReferenceSeries.of(study, reference, what="structured report")
    readers = list(dict.fromkeys(d.reader for c in study.candidates for d in c.decisions))
    drawers = [c.drawn_by for c in study.candidates if c.drawn_by]
    judges = [c.adjudicated_by for c in study.candidates if c.adjudicated_by]
    everybody = list(dict.fromkeys([*judges, *readers, *drawers]))
    boxes = [_volumetric(c, study.grid, source, None) for c in study.candidates]
    rectangles = [_planar(c, source) for c in study.candidates]
    reports = [
        Report("", "", _document(sr.Comprehensive3DSR, boxes, study, source, everybody)),
        Report("slices", "", _document(sr.ComprehensiveSR, rectangles, study, source, everybody)),
    ]
    if len(readers) > 1:
        for number, reader in enumerate(readers, 1):
            said = replace(study, candidates=tuple(_said(study, reader)))
            own = [_volumetric(c, study.grid, source, reader) for c in said.candidates]
            document = _document(sr.Comprehensive3DSR, own, said, source, [reader], reader=reader)
            reports.append(Report(f"reader-{number}", reader, document))
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


def _document(
    kind: type[sr.Comprehensive3DSR] | type[sr.ComprehensiveSR],
    groups: Sequence[Sequence[Dataset]],
    study: ReviewedStudy,
    source: ReferenceSeries,
    observers: Sequence[str],
    *,
    reader: str = "",
) -> Dataset:
    report = sr.MeasurementReport(
        observation_context=_context(observers),
        procedure_reported=_CT_ABDOMEN,
        imaging_measurements=list(groups),
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=source.key_slices(study),
    )
    document: Dataset = kind(
        evidence=list(source.datasets),
        content=report,
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=__version__,
        device_serial_number="0",
        is_complete=study.complete,
        is_final=study.complete and not reader,
        series_description=f"Lesions reviewed by {reader}"[:_LONG_STRING] if reader else "Reviewed lesions",
    )
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = SCHEME, _MAKER
    document.CodingSchemeIdentificationSequence = [scheme]
    return document


def _context(observers: Sequence[str]) -> sr.ObservationContext:
    """Return who decided, persons first, and what with."""
    persons = [
        sr.ObserverContext(codes.DCM.Person, sr.PersonObserverIdentifyingAttributes(name=person_name(name)))
        for name in observers
    ]
    device = sr.ObserverContext(
        codes.DCM.Device,
        sr.DeviceObserverIdentifyingAttributes(uid=_DEVICE, name=_MAKER, manufacturer_name=_MAKER, model_name=_MAKER),
    )
    context = sr.ObservationContext(
        observer_person_context=persons[0] if persons else None, observer_device_context=device
    )
    for person in persons[1:]:
        context.extend(person)
    return context


def _volumetric(
    candidate: ReviewedCandidate, grid: Grid, source: ReferenceSeries, reader: str | None
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=candidate.uid, identifier=f"Lesion {candidate.uid}"),
        referenced_volume_surface=sr.VolumeSurface(
            graphic_type=sr.GraphicTypeValues3D.POLYGON,
            graphic_data=_polygons(candidate, grid),
            frame_of_reference_uid=source.frame_of_reference_uid,
            source_series=sr.SourceSeriesForSegmentation(source.datasets[0].SeriesInstanceUID),
        ),
        finding_type=_LESION,
        finding_sites=[sr.FindingSite(_LIVER)],
        algorithm_id=_algorithm(candidate),
        measurements=_certainty(candidate),
        qualitative_evaluations=list(_evaluations(candidate, reader)),
    )


def _planar(candidate: ReviewedCandidate, source: ReferenceSeries) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    grid = source.grid
    voxels = to_voxels(np.array([candidate.box]), grid)[0]
    columns, rows, _ = grid.size
    left, right = np.clip(voxels[[2, 5]], 0, columns)
    top, bottom = np.clip(voxels[[1, 4]], 0, rows)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    on = source.key_slice(candidate)
    image = sr.SourceImageForRegion(on.SOPClassUID, on.SOPInstanceUID)
    i_mm, j_mm, _ = grid.spacing
    area = sr.Measurement(
        name=codes.SCT.Area,
        value=round(float((right - left) * i_mm * (bottom - top) * j_mm), 3),
        unit=codes.UCUM.SquareMillimeter,
    )
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=candidate.uid, identifier=RECTANGLE),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, corners, image),
        finding_type=_LESION,
        finding_sites=[sr.FindingSite(_LIVER)],
        algorithm_id=_algorithm(candidate),
        measurements=[area, *_certainty(candidate)],
        qualitative_evaluations=list(_evaluations(candidate, None)),
    )
    # OHIF takes the corners from below the measurement, where TID 1410 leaves them out and TID 300 has them
    measured = next(item for item in group[0].ContentSequence if item.ValueType == "NUM")
    coordinates = sr.CoordinatesForMeasurement(sr.GraphicTypeValues.POLYLINE, corners, image)
    if "ContentSequence" in measured:
        measured.ContentSequence.append(coordinates)
    else:
        measured.ContentSequence = sr.ContentSequence([coordinates])
    return group


def _polygons(candidate: ReviewedCandidate, grid: Grid) -> list[NDArray[np.float64]]:
    """Return a closed rectangle (5, 3), LPS, at both ends of the box and in each slice between them."""
    x0, y0, z0, x1, y1, z1 = candidate.box
    slices = grid.affine[2, 3] + grid.affine[2, 2] * np.arange(grid.size[2])
    between = [z for z in np.sort(slices) if z0 + _SAME_PLANE_MM < z < z1 - _SAME_PLANE_MM]
    planes = [z0, *between, z1]
    return [np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z], [x0, y0, z]], np.float64) for z in planes]


def _algorithm(candidate: ReviewedCandidate) -> sr.AlgorithmIdentification | None:
    if not candidate.model:
        return None
    return sr.AlgorithmIdentification(
        name=candidate.model[:_LONG_STRING],
        version=candidate.model_hash[:_LONG_STRING] or "unknown",
        family=codes.DCM.ArtificialIntelligence,
    )


def _certainty(candidate: ReviewedCandidate) -> list[sr.Measurement]:
    if candidate.score is None:
        return []
    return [sr.Measurement(name=CERTAINTY, value=round(100 * candidate.score, 3), unit=codes.UCUM.Percent)]


def _evaluations(candidate: ReviewedCandidate, reader: str | None) -> Iterator[sr.QualitativeEvaluation]:
    if reader is None:
        verdict = candidate.verdict
        yield sr.QualitativeEvaluation(STATE, sr.CodedConcept(candidate.state, SCHEME, candidate.state.capitalize()))
        yield sr.QualitativeEvaluation(PRIMARY, _YES if candidate.primary else _NO)
    else:
        verdict = next((d.verdict for d in reversed(candidate.decisions) if d.reader == reader), None)
    if verdict is not None:
        yield sr.QualitativeEvaluation(VERDICT, VERDICTS[verdict])
