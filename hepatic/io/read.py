"""Read any image the viewers read."""

from __future__ import annotations

from pathlib import Path

from hepatic.io.dicom import read_header, read_image
from hepatic.io.dicom_series import read_series
from hepatic.io.format import format_of
from hepatic.io.header import dicom_headers
from hepatic.io.image import Cine, Volume
from hepatic.io.nifti import read_nifti
from hepatic.io.nrrd import read_nrrd
from hepatic.io.refusal import Source


def read(source: Source, *, max_pixels: int | None = None) -> Volume | Cine:
    """Read an image.

    DICOM: one file, or a folder or list with the slices of one series in any order. XA, RF, US, colour and timed
    multi-frame files give a ``Cine`` (one frame too), everything else a ``Volume``. Compressed pixels: RLE, JPEG,
    JPEG-LS, JPEG 2000, HTJ2K and deflated; not MPEG, HEVC and JPEG 2000 part 2. NIfTI-1 and -2 in one file (.nii,
    .nii.gz) and NRRD (.nrrd, .nhdr with its data beside it) give a ``Volume``; an NRRD in colour a ``Cine``.

    The grid is the one ITK's reader gives: index (i, j, k) to LPS millimetres, slices or frames on k.

    Args:
        source: a file, a folder, or several files.
        max_pixels: largest image to decode, in pixels over all frames; None takes ``settings().max_pixels``. Sizes are
            checked against it and against the file's length before anything is allocated.

    Raises:
        NotAnImageError: not an image at all.
        NotFoundError: it is not there.
        BadInputError: too large, truncated, damaged, compressed in a way that cannot be decoded, or slices that do not
            form a regular grid.
    """
    if isinstance(source, Path) and not source.is_dir():
        return _read_file(source, max_pixels=max_pixels)
    headers = dicom_headers(source)
    if isinstance(headers, Path):
        return _read_file(headers, max_pixels=max_pixels)
    if len(headers) == 1:
        return read_image(headers[0], max_pixels=max_pixels)
    return read_series(headers, max_pixels=max_pixels)


def _read_file(path: Path, *, max_pixels: int | None) -> Volume | Cine:
    match format_of(path):
        case "dicom":
            return read_image(read_header(path), max_pixels=max_pixels)
        case "nifti":
            return read_nifti(path, max_pixels=max_pixels)
        case "nrrd":
            return read_nrrd(path, max_pixels=max_pixels)
