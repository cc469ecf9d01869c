"""The series a study was reviewed on, as a PACS has it: what DICOM exports refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy
from hepatic.io.dicom_seg import with_patient_and_study
from hepatic.io.dicom_series import sorted_series
from hepatic.io.header import dicom_headers
from hepatic.io.orient import upright_grid


@dataclass(frozen=True)
class ReferenceSeries:
    """The reference series as it was scanned, which need not be upright as the study's grid is.

    Attributes:
        datasets: headers in the order of the slices.
        grid: of these slices.
        shown: the study's grid.
        frame_of_reference_uid: in which both lie.
    """

    datasets: tuple[Dataset, ...]
    grid: Grid
    shown: Grid
    frame_of_reference_uid: str

    @classmethod
    def of(cls, study: ReviewedStudy, files: Sequence[Path], *, what: str) -> ReferenceSeries:
        """Read the headers of a study's series.

        Args:
            study: the study.
            files: of its reference series.
            what: is written, for errors.

        Raises:
            BadInputError: it is not DICOM, has no frame of reference, or is not the one the study was reviewed on.
        """

        def refused(expected: str, came: str) -> BadInputError:
            return BadInputError(what, expected=expected, came=came, fix="Export this study in another format.")

        headers = dicom_headers(list(files))
        if isinstance(headers, Path):
            raise refused(f"a DICOM series, which a {what} refers to", "another format")
        slices, grid = sorted_series(headers)
        if not upright_grid(grid).matches(study.grid, tolerance_mm=0.01):
            raise refused("the series the boxes were reviewed on", "a series with another grid")
        datasets = tuple(with_patient_and_study(header.dataset) for header in slices)
        frame = str(datasets[0].get("FrameOfReferenceUID") or "")
        if not frame:
            raise refused("a FrameOfReferenceUID, in which the boxes lie", "none")
        return cls(datasets, grid, study.grid, frame)

    def key_slice(self, candidate: ReviewedCandidate) -> Dataset:
        """Return the header of the slice that a candidate's key slice is, or comes closest to."""
        i, j, _ = (np.array(self.shown.size) - 1) / 2
        place = self.shown.affine @ (i, j, candidate.key_slice, 1.0)
        k = (np.linalg.inv(self.grid.affine) @ place)[2]
        return self.datasets[int(np.clip(np.rint(k), 0, len(self.datasets) - 1))]

    def key_slices(self, study: ReviewedStudy) -> list[Dataset]:
        """Return the headers of all key slices; a report describes each image it lists, so it lists no others."""
        found = {str(one.SOPInstanceUID): one for one in map(self.key_slice, study.candidates)}
        return list(found.values())


def person_name(user: str) -> str:
    r"""Return a user's name as a DICOM person name, which has neither ``\`` nor ``=`` nor more than 64 characters."""
    plain = "".join(" " if c in "\\=^" or not c.isprintable() else c for c in user).strip()[:63]
    return f"{plain or 'unknown'}^"
