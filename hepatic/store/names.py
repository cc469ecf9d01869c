"""Names that may become part of a path: image ids, label tags, folder keys, uploaded file names.

Nothing a client or a file says is joined to a path before it went through here.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PureWindowsPath

from hepatic.errors import BadInputError

MAX_TAG = 64
MAX_ID = 128

#: Suffixes an image may have, longest first where one ends in another; a DICOM file may have none.
IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".dicom", ".dcm", ".ima")
#: Suffixes a label may have, in such an order too.
LABEL_SUFFIXES = (".seg.nrrd", ".nii.gz", ".mrk.json", ".nrrd", ".nii", ".json")

_TAG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_IMAGE_SUFFIX = re.compile(r"(\.nii\.gz|\.[A-Za-z0-9]{1,10})$", re.IGNORECASE)


def check_tag(tag: str) -> str:
    """Return the tag of a label if it is one.

    Raises:
        BadInputError: anything but up to 64 letters, digits, ``_``, ``-`` and ``.``, not starting with a dot.
    """
    if not _TAG.fullmatch(tag):
        raise BadInputError(
            "label tag",
            expected=f"1 to {MAX_TAG} letters, digits, '_', '-' or '.', not starting with '.'",
            came=ascii(tag[: 2 * MAX_TAG]),
            fix="Use a tag such as 'final' or 'original'.",
        )
    return tag


def label_suffix(name: str) -> str:
    """Return the suffix of a label file, in lower case.

    Raises:
        BadInputError: a kind of file that is not kept as a label.
    """
    lower = name.lower()
    for suffix in LABEL_SUFFIXES:
        if lower.endswith(suffix):
            return suffix
    raise BadInputError(
        "label file",
        expected=f"a name ending in {', '.join(LABEL_SUFFIXES)}",
        came=ascii(name[-40:]),
        fix="Save the label as NRRD, NIfTI or Slicer markups.",
    )


def safe_id(text: str, *, unique: str = "") -> str:
    """Turn any text into an image id: characters outside letters, digits, ``_ - .`` become ``_``; an id stays itself.

    Args:
        text: a SeriesInstanceUID, or a relative path without its suffix.
        unique: if given, a short hash of it is appended, so that two texts with one id can both have one.
    """
    name = _UNSAFE.sub("_", text).lstrip(".-") or "image"
    if not unique and len(name) <= MAX_ID:
        return name
    return f"{name[: MAX_ID - 9]}-{_digest(unique or text)}"


def as_text(name: str) -> str:
    """Return a client's text in a form a database can look for; what cannot be encoded becomes ``?``, in no id."""
    return str(name).encode("utf-8", "replace").decode()


def folder_key(name: str) -> str:
    """Return the folder name for an id or tag; two that differ in case only get two folders on every file system.

    A ``+``, which is in no id and no tag, sets off the hash that makes the difference.
    """
    if name == name.lower() and not name.endswith("."):
        return name
    return f"{name}+{_digest(name)}"


def name_of_key(key: str) -> str | None:
    """Return the id or tag behind a folder name, None if the folder is not one of ours."""
    name = key.partition("+")[0]
    return name if name and folder_key(name) == key else None


def base_name(client_name: str) -> str:
    r"""Return a safe file name for an upload whose name may be a path on the client, ``C:\x\y.nii.gz`` included.

    Raises:
        BadInputError: nothing is left of the name.
    """
    last = PureWindowsPath(client_name.replace("\0", "_")).name
    name = _UNSAFE.sub("_", last).lstrip(".-")
    stem, suffix = split_suffix(name)
    if not stem.strip("._-"):
        raise BadInputError(
            "name of the uploaded file",
            expected="a file name with at least one letter or digit",
            came=ascii(client_name[-40:]),
            fix="Rename the file and upload it again.",
        )
    return safe_id(stem) + suffix.lower()


def stem_of(name: str) -> str:
    """Return the name of an image or label file without its suffix."""
    lower = name.lower()
    known = (suffix for suffix in (*LABEL_SUFFIXES, *IMAGE_SUFFIXES) if lower.endswith(suffix))
    return name[: len(name) - len(max(known, key=len, default=""))]


def split_suffix(name: str) -> tuple[str, str]:
    """Split ``a.b.nii.gz`` into ``a.b`` and ``.nii.gz``; a number is part of the stem, as in ``1.2.840.1``."""
    match = _IMAGE_SUFFIX.search(name)
    if match is None or match.start() == 0 or match.group()[1:].isdigit():
        return name, ""
    return name[: match.start()], match.group()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
