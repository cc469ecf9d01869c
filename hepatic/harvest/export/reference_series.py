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
from hepatic.io.dicom_source import DicomSource
from hepatic.io.orient import upright_grid

_FIX = "Export this study in another format."


@dataclass(frozen=True)
class ReferenceSeries:
    """The reference series as it was scanned, which need not be upright as the study's grid is.

    Attributes:
        source: its headers.
        shown: the study's grid.
    """

    source: DicomSource
    shown: Grid

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
        source = DicomSource.read(list(files), fix=_FIX)
        if not upright_grid(source.grid).matches(study.grid, tolerance_mm=0.01):
            raise _refused(what, "the series the boxes were reviewed on", "a series with another grid")
        if not source.frame_of_reference_uid:
            raise _refused(what, "a FrameOfReferenceUID, in which the boxes lie", "none")
        return cls(source, study.grid)

    def key_slice(self, candidate: ReviewedCandidate) -> int:
        """Return the slice, as it was scanned, that a candidate's key slice is, or comes closest to."""
        i, j, _ = (np.array(self.shown.size) - 1) / 2
        place = self.shown.affine @ (i, j, candidate.key_slice, 1.0)
        k = (np.linalg.inv(self.source.grid.affine) @ place)[2]
        return int(np.clip(np.rint(k), 0, self.source.grid.size[2] - 1))

    def key_slices(self, study: ReviewedStudy) -> list[Dataset]:
        """Return the headers of all key slices; a report describes each image it lists, so it lists no others."""
        shown = (self.source.picture(self.key_slice(one))[0] for one in study.candidates)
        return list({str(one.SOPInstanceUID): one for one in shown}.values())


def _refused(what: str, expected: str, came: str) -> BadInputError:
    return BadInputError(what, expected=expected, came=came, fix=_FIX)
