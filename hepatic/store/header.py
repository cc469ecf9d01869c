"""What the store must know about a file, and who tells it.

The store reads no pixels and knows no format: it is given a reader (``hepatic.io.header`` in the app).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class ImageHeader(Protocol):
    """What is known of one file without decoding it. Texts that the file does not have are empty or None."""

    @property
    def modality(self) -> str:
        """DICOM Modality."""

    @property
    def patient_id(self) -> str | None:
        """DICOM PatientID."""

    @property
    def study_uid(self) -> str | None:
        """StudyInstanceUID."""

    @property
    def series_uid(self) -> str | None:
        """SeriesInstanceUID; nothing for NIfTI and NRRD."""

    @property
    def kind(self) -> str:
        """``volume`` or ``cine``; files of one series make one volume, but each cine is an image of its own."""

    @property
    def size(self) -> tuple[int, ...]:
        """Columns, rows, slices or frames in this file."""

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """SOPInstanceUID of the file, as the only item; nothing for NIfTI and NRRD."""

    @property
    def series_description(self) -> str | None:
        """DICOM SeriesDescription."""


#: Reads the header of one file. Raises a HepaticError (or anything else) for a file that is not an image.
HeaderReader = Callable[[Path], ImageHeader]
