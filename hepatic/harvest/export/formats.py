"""The formats in which reviewed studies leave, behind one function."""

from __future__ import annotations

import io
import itertools
import json
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.export.box_labels import box_labels
from hepatic.harvest.export.class_reports import class_reports
from hepatic.harvest.export.classified import ClassifiedStudy
from hepatic.harvest.export.coco import write_coco
from hepatic.harvest.export.json_file import write_json
from hepatic.harvest.export.nnunet import nnunet_case, nnunet_description
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy
from hepatic.harvest.export.segmentation import segmentation
from hepatic.harvest.export.structured_report import structured_reports
from hepatic.harvest.export.table import write_table
from hepatic.io.labelmap import encode_labelmap, write_atomically
from hepatic.io.markups import ROI, encode_rois
from hepatic.store.disk import TEMPORARY, storage
from hepatic.store.names import safe_id

NO_BOXES = "Its images were classified, and this format holds lesions on CT alone: export csv, json or sr."

FilesOf = Callable[[str], Sequence[Path]]
"""Gives the files of an image by its id (``Store.files``); NotFoundError where they have gone."""

_FormatOfStudy = Callable[[ReviewedStudy, FilesOf], Iterator[tuple[str, bytes]]]
"""Gives the files of a study, name and content."""
_Closing = Callable[[Sequence[ReviewedStudy]], Iterator[tuple[str, bytes]]]
"""Gives what comes after all studies: files about those that were written."""


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        suffix: of the file.
        media_type: of the file.
        about: what it is, in words.
    """

    suffix: str
    media_type: str
    about: str


FORMATS: Mapping[str, Format] = {
    "csv": Format(".csv", "text/csv", "a table, a row per candidate, or image, and decision"),
    "json": Format(".json", "application/json", "all there is, lesions and classes of images"),
    "coco": Format(".json", "application/json", "COCO, accepted boxes with the boxes in space beside them"),
    "markups": Format(".zip", "application/zip", "3D Slicer markups, a file per study"),
    "nifti": Format(".zip", "application/zip", "NIfTI labelmaps of accepted boxes, a file per study"),
    "sr": Format(".zip", "application/zip", "DICOM structured reports (TID 1500), one or more per study"),
    "seg": Format(".zip", "application/zip", "DICOM segmentations of accepted boxes, a file per study"),
    "nnunet": Format(
        ".zip", "application/zip", "a data set for nnU-Net: reference series and boxes of complete studies"
    ),
}


def write_export(
    kind: str,
    studies: Iterable[ReviewedStudy],
    target: Path,
    *,
    files_of: FilesOf,
    classified: Iterable[ClassifiedStudy] = (),
) -> dict[str, str]:
    """Write reviewed studies into a file, which appears as a whole or not at all.

    In a zip, each study is a file (or several) called by its UID, and ``left_out.json`` says what is missing and why;
    in COCO, ``left_out`` does.

    Args:
        kind: one of ``FORMATS``.
        studies: to be written, in this order.
        target: the file.
        files_of: gives the files of a reference series, for the formats that refer to it.
        classified: studies whose images were classified, which only ``csv``, ``json`` and ``sr`` hold.

    Returns:
        Reason by StudyInstanceUID of those that could not be written; of classified ones with their note.

    Raises:
        BadInputError: there is no such format.
        StorageError: the disk is full or cannot be written.
    """
    if kind not in FORMATS:
        raise BadInputError("format", expected=f"one of {', '.join(FORMATS)}", came=ascii(kind), fix="Choose one.")
    with storage("write the export"):
        if kind == "csv":
            write_atomically(target, write_table(studies, classified))
            return {}
        if kind == "json":
            write_atomically(target, write_json(studies, classified))
            return {}
        left_out = {} if kind == "sr" else {one.name: NO_BOXES for one in classified}
        if kind == "coco":
            write_atomically(target, write_coco(studies, left_out))
            return left_out
        more = _class_reports(classified, files_of, left_out) if kind == "sr" else iter(())
        return _write_zip(target, studies, files_of, *_PER_STUDY[kind], left_out=left_out, more=more)


def _write_zip(
    target: Path,
    studies: Iterable[ReviewedStudy],
    files_of: FilesOf,
    write: _FormatOfStudy,
    close: _Closing,
    *,
    left_out: dict[str, str],
    more: Iterator[tuple[str, bytes]],
) -> dict[str, str]:
    written: list[ReviewedStudy] = []
    temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for study in studies:
                try:
                    made = list(write(study, files_of))
                except BadInputError as reason:
                    left_out[study.study_uid] = str(reason)
                    continue
                for name, data in made:
                    archive.writestr(name, data)
                written.append(study)
            for name, data in itertools.chain(close(written), more):
                archive.writestr(name, data)
            if left_out:
                archive.writestr("left_out.json", json.dumps(left_out, indent=1))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return left_out


def _markups(study: ReviewedStudy, _: FilesOf) -> Iterator[tuple[str, bytes]]:
    yield f"{_key(study)}.mrk.json", encode_rois([_roi(number, one) for number, one in enumerate(study.accepted(), 1)])


def _roi(number: int, candidate: ReviewedCandidate) -> ROI:
    about = {
        "candidate": candidate.uid,
        "score": candidate.score,
        "class": "lesion",
        "verdict": candidate.verdict,
        "primary": candidate.primary,
        "origin": candidate.origin,
    }
    label = f"lesion {number}{' (primary)' if candidate.primary else ''}"
    return ROI(candidate.box, label, about)


def _nifti(study: ReviewedStudy, _: FilesOf) -> Iterator[tuple[str, bytes]]:
    labels = box_labels(study)
    yield f"{_key(study)}.nii.gz", encode_labelmap("boxes.nii.gz", labels)
    listed = {str(value): uid for uid, value in labels.names.items()}
    yield (
        f"{_key(study)}.json",
        json.dumps({"reference_image": study.reference_image, "candidates": listed}, indent=1).encode(),
    )


def _sr(study: ReviewedStudy, files_of: FilesOf) -> Iterator[tuple[str, bytes]]:
    for report in structured_reports(study, files_of(study.reference_image)):
        yield f"{_key(study)}{'-' if report.name else ''}{report.name}.dcm", _dicom(report.dataset)


def _class_reports(
    classified: Iterable[ClassifiedStudy], files_of: FilesOf, left_out: dict[str, str]
) -> Iterator[tuple[str, bytes]]:
    """Yield the reports of images that were classified; those that cannot be written go into ``left_out``."""
    for study in classified:
        for number, image in enumerate(study.images, 1):
            try:
                for name, made in class_reports(image, study.note, files_of(image.image_id)):
                    key = f"{safe_id(study.study_uid)}-{safe_id(study.note)}-{number}"
                    yield f"{key}{'-' if name else ''}{name}.dcm", _dicom(made)
            except (BadInputError, NotFoundError) as reason:
                left_out[f"{study.name} {image.image_id}"] = str(reason)


def _seg(study: ReviewedStudy, files_of: FilesOf) -> Iterator[tuple[str, bytes]]:
    yield f"{_key(study)}.dcm", _dicom(segmentation(study, files_of(study.reference_image)))


def _dicom(dataset: Dataset) -> bytes:
    data = io.BytesIO()
    dataset.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _key(study: ReviewedStudy) -> str:
    """Return what a study's files are called."""
    return safe_id(study.study_uid)


def _nothing(_: Sequence[ReviewedStudy]) -> Iterator[tuple[str, bytes]]:
    yield from ()


_PER_STUDY: Mapping[str, tuple[_FormatOfStudy, _Closing]] = {
    "markups": (_markups, _nothing),
    "nifti": (_nifti, _nothing),
    "sr": (_sr, _nothing),
    "seg": (_seg, _nothing),
    "nnunet": (nnunet_case, nnunet_description),
}
