"""Names that clients send, made safe or refused: image ids, tags, upload names, result suffixes."""

from __future__ import annotations

import hashlib
import re

from hepatic.errors import BadInputError
from hepatic.store.names import LABEL_SUFFIXES as STORED_LABEL_SUFFIXES
from hepatic.store.names import safe_id as stored_id

IMAGE_SUFFIXES = (
    ".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".dcm", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff",
)  # fmt: skip
"""Files accepted as an image; formats that name other files in their header (.mhd, .nhdr) are not."""

LABEL_SUFFIXES = (*STORED_LABEL_SUFFIXES, ".mha", ".dcm", ".png", ".tif", ".tiff")
"""Files accepted as a label."""

_LONGEST_ID = 100
_PATH = re.compile(r"(?<![\w:/.])(?:[A-Za-z]:)?(?:[\\/][^\\/\s:'\"<>|,;()]+)+")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,127}")


def base_name(client_path: str) -> str:
    """Return the last part of a path from any operating system: ``C:\\a\\b.nii.gz`` is ``b.nii.gz``."""
    return re.split(r"[\\/]", client_path)[-1]


def is_path_like(name: str) -> bool:
    """Whether joining this to a folder could lead anywhere but into that folder."""
    return name in ("", ".", "..") or any(character in name for character in "/\\\0")


def safe_id(name: str) -> str:
    """Return an image id that is also a file name: the same for the same name, always, and itself for itself."""
    if len(name) > _LONGEST_ID:
        name = f"{name[: _LONGEST_ID - 9]}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return stored_id(name)


def suffix_of(client_path: str, accepted: tuple[str, ...], what: str) -> str:
    """Return the suffix of an uploaded file's name, one of those accepted.

    Raises:
        BadInputError: it is none of them.
    """
    name = base_name(client_path).lower()
    for suffix in sorted(accepted, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    ending = "." + name.rpartition(".")[2] if "." in name else "no suffix"
    raise BadInputError(
        what,
        expected="one of " + " ".join(accepted),
        came=ending[:20],
        fix="Save it in one of these formats.",
    )


def stem_of(client_path: str, suffix: str) -> str:
    """Return an uploaded file's name without its path and its suffix."""
    name = base_name(client_path)
    return name[: -len(suffix)] if name.lower().endswith(suffix) else name


def is_plain(name: str) -> bool:
    """Whether a name is harmless wherever it is used: no separators, no leading dot."""
    return bool(_PLAIN.fullmatch(name)) and ".." not in name


def without_paths(text: str) -> str:
    """Return a text with every absolute path cut down to its last part."""
    return _PATH.sub(lambda found: re.split(r"[\\/]", found.group())[-1], text)
