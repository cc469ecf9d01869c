"""Image files that clients send."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from fastapi import UploadFile

from hepatic.errors import BadInputError
from hepatic.io.format import format_of
from hepatic.store.names import IMAGE_SUFFIXES, split_suffix
from server.intake.scratch import Scratch
from server.names import suffix_of

_WHAT = "the image file"


def receive_image(scratch: Scratch, upload: UploadFile) -> Path:
    """Write an uploaded image into the scratch folder and return its path; whoever asked discards it.

    A name without a suffix (``IM0001``, ``1.2.840.113``) is accepted for a DICOM file, which is then called ``.dcm``.

    Raises:
        BadInputError: another kind of file.
    """
    name = PureWindowsPath(upload.filename or "").name
    if split_suffix(name)[1]:
        return scratch.receive(upload.file, suffix_of(name, IMAGE_SUFFIXES, _WHAT))
    path = scratch.receive(upload.file, ".dcm")
    if _is_dicom(path):
        return path
    scratch.discard(path)
    raise BadInputError(
        _WHAT,
        expected="a DICOM file, or a name ending in one of " + " ".join(IMAGE_SUFFIXES),
        came="a name without suffix and other contents",
        fix="Give the file the suffix of its format.",
    )


def _is_dicom(path: Path) -> bool:
    try:
        return format_of(path) == "dicom"
    except BadInputError:
        return False
