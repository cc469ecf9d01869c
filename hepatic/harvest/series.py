"""A series of a CT study, and what its tags tell about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hepatic.errors import BadInputError
from hepatic.io.content import source_files
from hepatic.io.dicom import DicomHeader, read_header
from hepatic.io.dicom_element import numbers, text
from hepatic.io.format import format_of
from hepatic.io.refusal import NotAnImageError

_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Series:
    """A series as the datastore has it.

    Attributes:
        image_id: in the datastore.
        source: folder of its files, or one file.
        description: SeriesDescription, may be empty.
        study_uid: StudyInstanceUID.
        patient_id: PatientID.
    """

    image_id: str
    source: Path
    description: str
    study_uid: str
    patient_id: str

    @property
    def called(self) -> str:
        """What a warning calls it: its description, else the end of its id."""
        return f"Series '{self.description[:40]}'" if self.description else f"Series …{self.image_id[-12:]}"


@dataclass(frozen=True)
class SeriesTags:
    """What the first file of a series says. None where it says nothing, as NIfTI and NRRD never do.

    Attributes:
        modality: DICOM Modality; OT where the file does not say.
        localiser: ImageType names it one.
        frame_of_reference: FrameOfReferenceUID.
        description: SeriesDescription, or what the datastore knows.
        number: SeriesNumber.
        acquired_s: AcquisitionTime, seconds since midnight.
        injected_s: ContrastBolusStartTime, seconds since midnight.
    """

    modality: str
    localiser: bool = False
    frame_of_reference: str | None = None
    description: str = ""
    number: int | None = None
    acquired_s: float | None = None
    injected_s: float | None = None


def read_tags(series: Series) -> SeriesTags:
    """Read the tags of the first image of a series.

    Raises:
        BadInputError: none of its files is an image, or the first one is broken.
    """
    files = source_files(series.source)
    for path in files:
        if format_of(path) != "dicom":
            return SeriesTags(modality="OT", description=series.description)
        try:
            return _tags(read_header(path), series)
        except NotAnImageError:
            continue
    raise BadInputError(
        series.called, expected="images", came=f"{len(files)} files without pictures", fix="Leave this series out."
    )


def seconds_of_day(value: str | None) -> float | None:
    """Read DICOM TM (HHMMSS.FFFFFF, the end may be missing), or the time in a DT; None where it is no time."""
    digits, _, fraction = (value or "").strip().partition(".")
    if len(digits) > 8:  # DT: the date comes first
        digits = digits[8:]
    fraction = fraction.partition("+")[0].partition("-")[0]
    if not digits.isdecimal() or len(digits) not in (2, 4, 6) or (fraction and not fraction.isdecimal()):
        return None
    hours, minutes, seconds = (int(digits.ljust(6, "0")[i : i + 2]) for i in (0, 2, 4))
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}")


def seconds_between(start_s: float, end_s: float) -> float:
    """Return the seconds from one time of day to another less than half a day away, over midnight too."""
    return (end_s - start_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2


def _tags(header: DicomHeader, series: Series) -> SeriesTags:
    dataset = header.dataset
    number = numbers(dataset, "SeriesNumber", 1)
    acquired = text(dataset, "AcquisitionTime") or text(dataset, "AcquisitionDateTime")
    return SeriesTags(
        modality=header.modality,
        localiser="LOCALIZER" in (text(dataset, "ImageType") or "").upper(),
        frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        description=text(dataset, "SeriesDescription") or series.description,
        number=None if number is None else int(number[0]),
        acquired_s=seconds_of_day(acquired),
        injected_s=seconds_of_day(text(dataset, "ContrastBolusStartTime")),
    )
