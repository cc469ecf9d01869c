"""Tell the file formats apart by their first bytes; names lie."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal

from hepatic.io.refusal import NotAnImageError, refusing

Format = Literal["dicom", "nifti", "nrrd"]

EXPECTED = "a DICOM, NIfTI (.nii, .nii.gz) or NRRD image"


def format_of(path: Path) -> Format:
    """Return a file's format.

    DICOM without its preamble is recognised by a first element of group 0002 or 0008.

    Raises:
        NotAnImageError: none of the formats.
        BadInputError: the file cannot be read.
    """
    with refusing(path, expected=EXPECTED):
        with path.open("rb") as stream:
            start = stream.read(1024)
        if start[:2] == b"\x1f\x8b":
            start = zlib.decompressobj(wbits=31).decompress(start, 1024)
            found = _format(start)
            if found != "dicom" and found != "nrrd" and found is not None:
                return found
            raise NotAnImageError(
                path.name, expected=EXPECTED, came="a gzip archive of something else", fix="Unpack it first."
            )
        found = _format(start)
        if found is None:
            raise NotAnImageError(
                path.name, expected=EXPECTED, came=_words(start), fix="Leave it out, or convert it to one of those."
            )
        return found


def _format(start: bytes) -> Format | None:
    if start[128:132] == b"DICM":
        return "dicom"
    if start[:4] == b"NRRD":
        return "nrrd"
    if start[344:347] == b"n+1" or start[4:7] == b"n+2":
        return "nifti"
    if start[:4] in _FIRST_ELEMENTS or (start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00"):
        return "dicom"
    return None


_FIRST_ELEMENTS = {bytes((0, group, 0, element)) for group in (2, 8) for element in range(0x20)}  # big endian


def _words(start: bytes) -> str:
    if not start:
        return "an empty file"
    if start[344:347] == b"ni1":
        return "a NIfTI header without its pixels (.hdr/.img)"
    return "another kind of file"
