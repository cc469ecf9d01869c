"""Look through the folder of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from hepatic.errors import BadInputError


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, sorted; hidden ones (such as macOS's ``._x``) and links out of it are not."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file() and path.resolve().is_relative_to(root.resolve()):
                yield path


def below(folder: Path, name: str) -> Path | None:
    """Return a file or folder below a folder; nothing outside it, whatever the name says."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.exists()
    except (OSError, ValueError):
        return None
    return path if inside and path != folder.resolve() else None


def patient_of(root: Path, path: Path) -> str:
    """Return whose a file is: the first folder below the root, else the file's own name."""
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else path.stem


def nothing_found(root: Path, shape: str) -> NoReturn:
    """Refuse a folder without anything that the data set consists of.

    Raises:
        BadInputError: always.
    """
    raise BadInputError(
        root.name or str(root),
        expected=f"the folder of the data set: {shape}",
        came="nothing of that kind",
        fix="Unpack the data set, and give the folder it lies in.",
    )
