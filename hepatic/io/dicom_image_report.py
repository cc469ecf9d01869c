"""What a model or a reader says of one image, as DICOM structured reports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from hepatic.errors import BadInputError
from hepatic.io.dicom_instance import Instance, uid_of
from hepatic.io.dicom_report import LESION, Finding, Group, own_code, percent, report
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource, Place
from hepatic.io.markups import ROI

SLICES = "slices"
_CODE_VALUE = 16
_NO_ONSET = sr.QualitativeEvaluation(codes.DCM.BolusArrivalTime, sr.CodedConcept("260415000", "SCT", "Not detected"))
_ABSENT = sr.CodedConcept("2667000", "SCT", "Absent")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is said of an image.

    Attributes:
        boxes: of lesions; ``about`` may have ``candidate``, the tracking UID, and ``score``.
        classes: of the image (of its lesions, where there are boxes), by what they say: ``{"diagnosis": "hcc"}``.
        probabilities: of each class or finding, by name, where a model says it.
        frame: on which the classes were told, from 0; None where on all of the image.
        region: (left, top, right, bottom) in pixels of that frame; None for the whole of it.
        has_onset: whether the onset of contrast was seen; None where nobody looked for it. That it was not is said.
        algorithm: what said it; None for a reader.
        by: the reader; with an algorithm, who judged what it said. Empty where nobody did.
        complete: whether the boxes are all lesions of the image.
    """

    boxes: Sequence[ROI] = ()
    classes: Mapping[str, str] = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    frame: int | None = None
    region: tuple[float, float, float, float] | None = None
    has_onset: bool | None = None
    algorithm: Algorithm | None = None
    by: str = ""
    complete: bool = True


def image_reports(
    said: Statement, source: DicomSource, *, instance: Callable[[str], Instance] | None = None
) -> dict[str, Dataset]:
    """Return the documents that say it.

    Args:
        said: what.
        source: the image.
        instance: which one of which series the document of a name is; new ones by default.

    Returns:
        By name: ``""`` is a Comprehensive 3D SR, with boxes as stacks of polygons where the image has a place in the
        patient, as rectangles on their frames where it has none. ``slices``, if anything has a box, is a Comprehensive
        SR with rectangles, on key slices: OHIF makes annotations of that one.

    Raises:
        BadInputError: nothing is said.
    """
    if not (said.boxes or said.classes or said.algorithm):
        raise BadInputError("structured report", expected="boxes or classes", came="none", fix="Leave the image out.")
    pixel_mm = source.grid.spacing[:2] if source.is_placed else None
    flat = [found.on_picture(place, pixel_mm=pixel_mm) for found, _, place in _located(said, source)]
    in_space = source.is_placed and said.region is None
    if in_space:
        full = [found.in_space(box.box, source.grid, source) for found, box, _ in _located(said, source) if box]
    else:
        full = flat
    shown: list[Dataset] = [place.image for _, _, place in _located(said, source)]
    if not flat:
        full = [_of_image(said, source)]
    about = _title(said)

    def document(kind: type[Dataset], groups: Sequence[Group], name: str) -> Dataset:
        return report(
            kind,
            groups,
            source,
            observers=[said.by] if said.by else [],
            description=about,
            described=list({str(one.SOPInstanceUID): one for one in shown}.values()),
            instance=None if instance is None else instance(name),
            is_complete=said.complete,
        )

    made = {"": document(sr.Comprehensive3DSR, full, "")}
    if flat:
        made[SLICES] = document(sr.ComprehensiveSR, flat, SLICES)
    return made


def class_code(name: str) -> sr.CodedConcept:
    """Return the code of a class; the same for the same name, within the 16 characters a code may have."""
    return own_code(_short(name), name.replace("_", " "))


def _short(text: str) -> str:
    return text if len(text) <= _CODE_VALUE else f"{text[:7]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _title(said: Statement) -> str:
    what = "Lesions" if said.boxes or not said.classes else "Classes"
    if said.algorithm is None:
        return f"{what} by {said.by}" if said.by else what
    return f"{what} by {said.algorithm.name}" + (", corrected" if said.by else "")


def _located(said: Statement, source: DicomSource) -> Iterator[tuple[Finding, ROI | None, Place]]:
    """Yield what lies somewhere: finding, box in space, place on a picture."""
    series = str(source.datasets[0].SeriesInstanceUID)
    if said.region is not None:
        image, frame = source.picture(said.frame or 0)
        place = Place(image, frame, said.region)
        yield _finding(said, uid_of(series, "region", str(place.corners)), "Lesion", None), None, place
        return
    for roi in said.boxes:
        given = UID(str(roi.about.get("candidate") or ""))
        where = ",".join(str(round(mm * 10)) for mm in roi.box)
        uid = str(given) if given.is_valid else uid_of(series, "box", where)
        found = _finding(said, uid, roi.label or f"Lesion {uid}", roi.about.get("score"))
        yield found, roi, source.rectangle(roi.box)


def _of_image(said: Statement, source: DicomSource) -> Group:
    series = str(source.datasets[0].SeriesInstanceUID)
    found = _finding(said, uid_of(series, "image"), "Image", None, is_lesion=False)
    if said.frame is None:
        return found.on_images(source.datasets)
    image, frame = source.picture(said.frame)
    return found.on_images([image], frame)


def _finding(said: Statement, uid: str, name: str, score: object, *, is_lesion: bool = True) -> Finding:
    none = not (said.boxes or said.classes or said.probabilities)
    return Finding(
        uid=uid,
        name=name,
        algorithm=said.algorithm,
        certainty=float(score) if isinstance(score, int | float) else None,
        measurements=tuple(
            percent(own_code(_short(f"p:{one}"), f"Probability of {one.replace('_', ' ')}"), share)
            for one, share in said.probabilities.items()
        ),
        evaluations=(
            *([sr.QualitativeEvaluation(LESION, _ABSENT)] if none else ()),
            *(
                sr.QualitativeEvaluation(own_code(_short(note), note.replace("_", " ").capitalize()), class_code(name))
                for note, name in said.classes.items()
                if name
            ),
            *([_NO_ONSET] if said.has_onset is False else ()),
        ),
        is_lesion=is_lesion,
    )
