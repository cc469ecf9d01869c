"""Where an image lies, read without its pixels."""

from __future__ import annotations

from pathlib import Path

from hepatic.geometry import Grid
from hepatic.io.dicom import EXPECTED, read_header
from hepatic.io.dicom_grid import itk_grid
from hepatic.io.dicom_series import sorted_series
from hepatic.io.format import format_of
from hepatic.io.header import dicom_headers
from hepatic.io.nifti import read_nifti_header
from hepatic.io.nrrd import read_nrrd_header
from hepatic.io.refusal import Source, refusing


def grid_of(source: Source) -> Grid:
    """Return the grid that ``read`` would give an image.

    Args:
        source: a file; or a folder or several files: the slices of one DICOM series.

    Raises:
        BadInputError: not one image, broken, or slices that do not form a regular grid.
        NotFoundError: it is not there.
    """
    if isinstance(source, Path) and not source.is_dir():
        return _of_file(source)
    headers = dicom_headers(source)
    if isinstance(headers, Path):
        return _of_file(headers)
    if len(headers) > 1:
        return sorted_series(headers)[1]
    return _of_file(headers[0].path)


def _of_file(path: Path) -> Grid:
    match format_of(path):
        case "dicom":
            header = read_header(path)
            with refusing(path, expected=EXPECTED):
                return itk_grid(header.dataset, header.size)
        case "nifti":
            return read_nifti_header(path).grid
        case "nrrd":
            return read_nrrd_header(path).grid
