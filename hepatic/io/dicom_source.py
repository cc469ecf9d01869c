"""The DICOM images that a result is about, as objects made from it refer to them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hepatic.boxes import to_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.dicom import DicomHeader
from hepatic.io.dicom_element import UNREADABLE, items, numbers, text
from hepatic.io.dicom_series import sorted_series
from hepatic.io.grid import grid_of
from hepatic.io.header import dicom_headers
from hepatic.io.refusal import Source

_PATIENT_POSITION = "ImagePositionPatient"
_OTHERWISE = "Ask with output=image for the result in another format."
_UTF_8 = "ISO_IR 192"
_REFERRED_TO = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")


@dataclass(frozen=True)
class Place:
    """A rectangle on one picture.

    Attributes:
        image: its header.
        frame: of the file, from 1; None in a file of one.
        corners: (left, top, right, bottom) in pixels, from the outer edge of the first pixel, as DICOM counts them.
    """

    image: Dataset
    frame: int | None
    corners: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class DicomSource:
    """A series, or a file with several frames.

    Attributes:
        datasets: headers in the order of the grid's slices, or that of the one file, with all that highdicom asks for.
        grid: index (i, j, k) to LPS millimetres; of a cine, the one viewers give it, frames on k.
    """

    datasets: tuple[Dataset, ...]
    grid: Grid

    @classmethod
    def read(cls, source: Source, *, fix: str = _OTHERWISE) -> DicomSource:
        """Read the headers of an image.

        Args:
            source: a file, or a folder or several files: the slices of one series.
            fix: what somebody can do who has none.

        Raises:
            BadInputError: the image is not DICOM or has no UIDs, or its slices form no regular grid.
        """
        headers = dicom_headers(source)
        if isinstance(headers, Path):
            raise refused("a DICOM image, which DICOM results refer to", "another format", fix)
        lacking = sorted({keyword for keyword in _REFERRED_TO for h in headers if not text(h.dataset, keyword)})
        if lacking:
            raise refused("a DICOM image with the UIDs that results refer to", "none of " + ", ".join(lacking), fix)
        slices, grid = _on_grid(headers)
        return cls(tuple(with_patient_and_study(one.dataset) for one in slices), grid)

    @property
    def is_placed(self) -> bool:
        """Whether the images say where in the patient they lie."""
        return is_placed(self.datasets[0])

    @property
    def frame_of_reference_uid(self) -> str:
        """In which they lie; empty where they do not say."""
        return str(self.datasets[0].get("FrameOfReferenceUID") or "")

    def rectangle(self, box: Sequence[float] | NDArray[np.float64], k: int | None = None) -> Place:
        """Return where a box (LPS millimetres) lies on a slice or frame; on the one nearest its middle by default."""
        voxels = to_voxels(np.asarray([box], np.float64), self.grid)[0]
        columns, rows, depth = self.grid.size
        middle = int(np.clip(np.floor((voxels[0] + voxels[3]) / 2), 0, depth - 1)) if k is None else k
        left, right = np.clip(voxels[[2, 5]], 0, columns).tolist()
        top, bottom = np.clip(voxels[[1, 4]], 0, rows).tolist()
        image, frame = self.picture(middle)
        return Place(image, frame, (left, top, right, bottom))

    def picture(self, k: int) -> tuple[Dataset, int | None]:
        """Return the header of a slice, and the number of the frame in a file of several."""
        if len(self.datasets) > 1 or self.grid.size[2] == 1:
            return self.datasets[min(k, len(self.datasets) - 1)], None
        return self.datasets[0], k + 1


def is_placed(dataset: Dataset) -> bool:
    """Whether an image says where in the patient it lies."""
    if "FrameOfReferenceUID" not in dataset:
        return False
    groups = (*items(dataset, "SharedFunctionalGroupsSequence"), *items(dataset, "PerFrameFunctionalGroupsSequence"))
    return numbers(dataset, _PATIENT_POSITION, 3) is not None or any(
        items(group, "PlanePositionSequence") for group in groups
    )


def with_patient_and_study(dataset: Dataset) -> Dataset:
    """Return a copy with what highdicom asks for even where DICOM leaves it open, in UTF-8 whatever the file is in.

    What is made from it takes over names of patients and has labels and names of readers, of any script, beside them.
    """
    copy = Dataset()
    copy.update(dataset)
    copy.file_meta = dataset.file_meta
    if copy.get("SpecificCharacterSet") != _UTF_8:
        _decode(copy)
        copy.add_new("SpecificCharacterSet", "CS", _UTF_8)  # a new element: the old one is that of the file, too
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        if keyword not in copy:
            setattr(copy, keyword, "")
    for keyword in ("StudyDate", "StudyTime", "ReferringPhysicianName"):
        if keyword not in copy:
            setattr(copy, keyword, "")
    return copy


def _decode(dataset: Dataset) -> None:
    """Decode all text that can be read: pydicom does it when an element is first asked for."""
    for tag in list(dataset.keys()):
        with suppress(*UNREADABLE):
            element = dataset[tag]
            for item in element.value or () if element.VR == "SQ" else ():
                _decode(item)


def person_name(user: str) -> str:
    r"""Return a user's name as a DICOM person name, which has neither ``\`` nor ``=`` nor more than 64 characters."""
    plain = "".join(" " if c in "\\=^" or not c.isprintable() else c for c in user).strip()[:63]
    return f"{plain or 'unknown'}^"


def refused(expected: str, came: str, fix: str = _OTHERWISE) -> BadInputError:
    """Return the error for an image of which no DICOM object can be made."""
    return BadInputError("the image", expected=expected, came=came, fix=fix)


def _on_grid(headers: list[DicomHeader]) -> tuple[list[DicomHeader], Grid]:
    if len(headers) > 1:
        return sorted_series(headers)
    return headers, grid_of(headers[0].path)
