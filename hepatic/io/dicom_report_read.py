"""Read boxes and classes from DICOM structured reports, TID 1500 "Measurement Report" (PS3.16)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.dicom_element import items, text
from hepatic.io.dicom_instance import MAKER
from hepatic.io.dicom_report import SCHEME
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.markups import ROI
from hepatic.io.refusal import refusing
from hepatic.labels import structure, structure_of_type

EXPECTED = "a DICOM measurement report (TID 1500)"
REPORTS = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
_HEADER = ("SOPClassUID", "SOPInstanceUID", *_EVIDENCE)
_SINGLES = ("Ultrasound", "X-Ray Angiographic", "X-Ray Radiofluoroscopic", "Enhanced X", "Multi-frame")
"""Of names of SOP classes."""
_VERDICT, _TRUE = "verdict", "31874001"
_STATE = "state"
_OF_REVIEWS = {_VERDICT, "primary", _STATE}


@dataclass(frozen=True)
class ReportHeader:
    """What a report refers to.

    Attributes:
        sop_uid: its own.
        sop_class_uid: of what kind it is: what lies in space is in a Comprehensive 3D SR.
        images: SOPInstanceUIDs by SeriesInstanceUID, of the images among its evidence.
        singles: those of them that are an image by themselves, not a slice: ultrasound, runs, files of many frames.
    """

    sop_uid: str
    sop_class_uid: str
    images: Mapping[str, frozenset[str]]
    singles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ReadReport:
    """What a report says of one image.

    Attributes:
        boxes: with the ``candidate`` (tracking UID), ``score`` and ``class`` where they are told; what readers found to
            be none, or have not decided, is left out.
        classes: by what they say, where the report has hepatic's own codes.
        by: the person who observed it; empty where it names none.
        algorithm: what found it; None where it names none.
        complete: whether all lesions of the image are in ``boxes``: hepatic wrote it and calls it complete, and all its
            regions were read. Other programs call a report complete that is about one finding.
    """

    boxes: tuple[ROI, ...]
    classes: Mapping[str, str]
    by: str
    algorithm: Algorithm | None
    complete: bool


def read_report_header(path: Path) -> ReportHeader | None:
    """Return what a report refers to; None for a file that is none."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
    except (pydicom.errors.InvalidDicomError, OSError):
        return None
    if dataset.get("SOPClassUID") not in REPORTS:
        return None
    return ReportHeader(
        text(dataset, "SOPInstanceUID") or "",
        str(dataset.SOPClassUID),
        _evidence(dataset),
        frozenset(text(one, "ReferencedSOPInstanceUID") or "" for _, one in _images(dataset) if _is_single(one)),
    )


def read_report(path: Path, source: DicomSource) -> ReadReport:
    """Read what a report says of an image; what it says of others, or of anatomy, is passed over.

    Args:
        path: the file.
        source: the image.

    Raises:
        BadInputError: it cannot be read, or is no such report.
    """
    with refusing(path, expected=EXPECTED):
        document = hd.sr.srread(path)
        content = document.content
        if not isinstance(content, hd.sr.MeasurementReport):
            raise BadInputError(path.name, expected=EXPECTED, came="another document", fix="Leave it where it is.")
        groups = [
            *content.get_volumetric_roi_measurement_groups(),
            *content.get_planar_roi_measurement_groups(),
            *content.get_image_measurement_groups(),
        ]
        is_of_one = _is_only(_evidence(document), source)
        own = {str(uid) for one in source.datasets for uid in (one.SeriesInstanceUID, one.SOPInstanceUID)}
        boxes: list[ROI] = []
        classes: dict[str, str] = {}
        algorithm: Algorithm | None = None
        has_regions, is_all_read = False, True
        for group in groups:
            said = dict(_own_evaluations(group))
            region = None if isinstance(group, hd.sr.MeasurementsAndQualitativeEvaluations) else group.roi
            named = _named(group, region)
            if (named and not named & own) or (region is not None and _is_anatomy(group)):
                continue
            has_regions |= region is not None
            if said.get(_VERDICT, "" if _STATE in said else _TRUE) != _TRUE:
                continue
            box = None
            if is_of_one or named:  # of several images it must be said which one is meant
                box = None if region is None else _box(region, source)
                classes |= {note: name for note, name in said.items() if note not in _OF_REVIEWS}
            algorithm = algorithm or _algorithm(group)
            if box is not None:
                boxes.append(_roi(group, box))
            is_all_read &= region is None or box is not None
        people = content.get_observer_contexts(observer_type=codes.DCM.Person)
        names = [str(one.observer_identifying_attributes.name).replace("^", " ").strip() for one in people]
        is_called = text(document, "CompletionFlag") == "COMPLETE" and text(document, "Manufacturer") == MAKER
        is_complete = has_regions and is_all_read and is_called
        return ReadReport(tuple(boxes), classes, next(iter(names), ""), algorithm, is_complete)


def _evidence(dataset: Dataset) -> dict[str, frozenset[str]]:
    """Return the SOPInstanceUIDs of images by SeriesInstanceUID that a report has as evidence."""
    found: dict[str, frozenset[str]] = {}
    for uid, one in _images(dataset):
        found[uid] = found.get(uid, frozenset()) | {text(one, "ReferencedSOPInstanceUID") or ""}
    return found


def _images(dataset: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Yield the SeriesInstanceUID of each image that a report has as evidence, and the reference to it."""
    studies = [study for keyword in _EVIDENCE for study in items(dataset, keyword)]
    for series in [series for study in studies for series in items(study, "ReferencedSeriesSequence")]:
        uid = text(series, "SeriesInstanceUID") or ""
        yield from ((uid, one) for one in items(series, "ReferencedSOPSequence") if "Image Storage" in _class_of(one))


def _is_single(reference: Dataset) -> bool:
    return any(word in _class_of(reference) for word in _SINGLES)


def _class_of(reference: Dataset) -> str:
    return UID(text(reference, "ReferencedSOPClassUID") or "").name


def _is_only(evidence: Mapping[str, frozenset[str]], source: DicomSource) -> bool:
    """Whether an image is all that a report is about."""
    first = source.datasets[0]
    uids = evidence.get(str(first.SeriesInstanceUID), frozenset())
    return len(evidence) <= 1 and (len(source.datasets) > 1 or uids <= {str(first.SOPInstanceUID)})


def _named(group: Any, region: Any) -> set[str]:
    """Return the UIDs of images, or of their series, that a group says it is of; none where it does not say."""
    if isinstance(group, hd.sr.MeasurementsAndQualitativeEvaluations):
        shown = group.source_images
    elif isinstance(region, hd.sr.ImageRegion):
        shown = items(region, "ContentSequence")
    elif isinstance(region, hd.sr.VolumeSurface):
        series = region.source_series_for_segmentation
        if series is not None:
            return {str(series.value)}
        shown = region.source_images_for_segmentation
    else:
        shown = ()
    references = [items(one, "ReferencedSOPSequence") for one in shown]
    return {text(one, "ReferencedSOPInstanceUID") or "" for several in references for one in several}


def _is_anatomy(group: Any) -> bool:
    kind = group.finding_type
    known = None if kind is None else structure_of_type(kind.value) or structure(kind.meaning)
    return known is not None and known.is_anatomy


def _own_evaluations(group: Any) -> Iterator[tuple[str, str]]:
    for one in group.get_qualitative_evaluations():
        if one.name.scheme_designator != SCHEME:
            continue
        own = one.value.scheme_designator == SCHEME
        yield one.name.value, one.value.meaning.replace(" ", "_") if own else one.value.value


def _box(region: Any, source: DicomSource) -> NDArray[np.float64] | None:
    """Return the box (6,) around a region, LPS millimetres; None where it lies elsewhere or is none."""
    if isinstance(region, hd.sr.VolumeSurface | hd.sr.ImageRegion3D):
        if str(region.frame_of_reference_uid) != source.frame_of_reference_uid:
            return None
        given = region.graphic_data if isinstance(region, hd.sr.VolumeSurface) else [region.value]
        return _around(np.concatenate([np.asarray(one, np.float64).reshape(-1, 3) for one in given]), source.grid)
    if not isinstance(region, hd.sr.ImageRegion):
        return None
    on = items(next(iter(items(region, "ContentSequence")), Dataset()), "ReferencedSOPSequence")
    k = _slice(on[0], source) if on else None
    if k is None:
        return None
    flat = np.asarray(region.value, np.float64).reshape(-1, 2)
    if str(region.GraphicType) == "CIRCLE":  # centre and a point on it
        radius = float(np.linalg.norm(flat[1] - flat[0]))
        flat = np.array([flat[0] - radius, flat[0] + radius])
    (left, top), (right, bottom) = flat.min(axis=0), flat.max(axis=0)
    if right <= left or bottom <= top:
        return None
    return np.asarray(from_voxels([[k, top, left, k + 1, bottom, right]], source.grid)[0])


def _around(points: NDArray[np.float64], grid: Grid) -> NDArray[np.float64] | None:
    """Return the box around points; one drawn in a single plane is as thick as a slice."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = np.abs(grid.direction) @ np.asarray(grid.spacing) / 2
    flat = high - low < 1e-3
    if flat.sum() > 1:
        return None
    return np.concatenate([np.where(flat, low - half, low), np.where(flat, high + half, high)])


def _slice(image: Dataset, source: DicomSource) -> int | None:
    uid = text(image, "ReferencedSOPInstanceUID")
    found = [k for k, one in enumerate(source.datasets) if one.SOPInstanceUID == uid]
    if not found or len(source.datasets) > 1:
        return next(iter(found), None)
    frame = image.get("ReferencedFrameNumber", 1)
    frame = int(frame[0] if isinstance(frame, Sequence) else frame)
    return frame - 1 if 1 <= frame <= source.grid.size[2] else None


def _roi(group: Any, box: NDArray[np.float64]) -> ROI:
    found = {one.name.value: one.value for one in group.get_measurements()}
    about: dict[str, Any] = {"candidate": str(group.tracking_uid or "")}
    sure = found.get("111012")  # certainty of finding
    if sure is not None and 0 <= float(sure) <= 100:
        about["score"] = round(float(sure) / 100, 5)
    kind = group.finding_type
    label = kind.meaning.lower() if kind is not None else "lesion"
    x, y, z, u, v, w = box.tolist()
    return ROI((x, y, z, u, v, w), label, {**about, "class": label})


def _algorithm(group: Any) -> Algorithm | None:
    said = {
        str(item.ConceptNameCodeSequence[0].CodeValue): str(item.get("TextValue") or "")
        for item in group[0].get("ContentSequence") or []
        if item.ValueType == "TEXT" and item.get("ConceptNameCodeSequence")
    }
    name = said.get("111001", "")
    return Algorithm(name, said.get("111003", "")) if name else None
