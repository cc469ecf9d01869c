"""What an index needs to know of an image, read without its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hepatic.errors import BadInputError
from hepatic.io.content import source_files
from hepatic.io.dicom import DicomHeader, read_header
from hepatic.io.dicom_age import age_years
from hepatic.io.dicom_element import text
from hepatic.io.format import EXPECTED, format_of
from hepatic.io.image import Modality
from hepatic.io.nifti import read_nifti_header
from hepatic.io.nrrd import read_nrrd_header
from hepatic.io.refusal import NotAnImageError, Source, name_of
from hepatic.io.sidecar import read_sidecar


@dataclass(frozen=True)
class ImageHeader:
    """An image without its pixels.

    Attributes:
        kind: whether it reads as a ``Volume`` or as a ``Cine``.
        modality: as the image's own.
        size: columns, rows, slices or frames.
        sop_instance_uids: one per file, in the order of the files given; empty where it is not DICOM.
        patient_id: and what follows: None where neither the file says it nor, where it is not DICOM, its sidecar.
        study_date: DICOM DA, YYYYMMDD.
        age_years: of the patient, when the study was made.
    """

    kind: Literal["volume", "cine"]
    modality: Modality
    size: tuple[int, int, int]
    sop_instance_uids: tuple[str, ...] = ()
    patient_id: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    series_description: str | None = None
    study_date: str | None = None
    age_years: float | None = None

    @property
    def frames(self) -> int:
        """Number of frames of a cine, of slices of a volume."""
        return self.size[2]


def header(source: Source) -> ImageHeader:
    """Read what an image is without reading its pixels.

    Args:
        source: a file; or a folder or several files: the slices of one DICOM series, which are counted but not checked
            for gaps (``read`` does).

    Raises:
        NotAnImageError: not an image at all; an index skips it.
        BadInputError: a broken image, or files of several series.
        NotFoundError: it is not there.
    """
    if isinstance(source, Path) and not source.is_dir():
        return _file_header(source)
    headers = dicom_headers(source)
    if isinstance(headers, Path):
        return _file_header(headers)
    first = _dicom(headers[0])
    if len(headers) == 1:
        return first
    uids = tuple(text(h.dataset, "SOPInstanceUID") or "" for h in headers)
    return ImageHeader(
        first.kind,
        first.modality,
        (first.size[0], first.size[1], sum(h.size[2] for h in headers)),
        uids,
        first.patient_id,
        first.study_uid,
        first.series_uid,
        first.series_description,
        first.study_date,
        first.age_years,
    )


def dicom_headers(source: Source) -> list[DicomHeader] | Path:
    """Return the DICOM headers of a folder or list of one series, or the one file that is not DICOM.

    Of a folder, files that are no images are left out; in a list they are refused.

    Raises:
        BadInputError: no image, several series, or several files that are not all DICOM.
    """
    files, folder = source_files(source), isinstance(source, Path)
    headers, others = [], []
    for path in files:
        try:
            if format_of(path) == "dicom":
                headers.append(read_header(path))
            else:
                others.append(path)
        except NotAnImageError:
            if not folder:
                raise
    name = name_of(source) if files else "source"
    if others and (headers or len(others) > 1):
        came = f"{len(headers)} DICOM files and {len(others)} others"
        raise BadInputError(name, expected="one image", came=came, fix="Give each image its own folder or call.")
    if others:
        return others[0]
    if not headers:
        raise NotAnImageError(name, expected=EXPECTED, came="no image", fix="Check the folder.")
    if len({text(h.dataset, "SeriesInstanceUID") for h in headers}) > 1:
        came = "several SeriesInstanceUIDs"
        raise BadInputError(name, expected="files of one series", came=came, fix="Give each series its own folder.")
    return headers


def _file_header(path: Path) -> ImageHeader:
    match format_of(path):
        case "dicom":
            return _dicom(read_header(path))
        case "nifti":
            return _beside(path, "volume", read_nifti_header(path).grid.size)
        case "nrrd":
            found = read_nrrd_header(path)
            return _beside(path, "cine" if found.colour else "volume", found.grid.size)


def _beside(path: Path, kind: Literal["volume", "cine"], size: tuple[int, int, int]) -> ImageHeader:
    said = read_sidecar(path)
    return ImageHeader(
        kind,
        said.modality or "OT",
        size,
        patient_id=said.patient_id,
        study_uid=said.study_uid,
        series_description=said.series_description,
    )


def _dicom(found: DicomHeader) -> ImageHeader:
    dataset = found.dataset
    return ImageHeader(
        found.kind,
        found.modality,
        found.size,
        (text(dataset, "SOPInstanceUID") or "",),
        text(dataset, "PatientID"),
        text(dataset, "StudyInstanceUID"),
        text(dataset, "SeriesInstanceUID"),
        text(dataset, "SeriesDescription"),
        text(dataset, "StudyDate"),
        age_years(dataset),
    )
