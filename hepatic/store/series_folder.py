"""A folder that holds exactly the files of one series, for readers that take a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from hepatic.store.disk import TEMPORARY

_STALE_SECONDS = 3600.0


def content_name(signature: str) -> str:
    """Return the name of the folder for files with this signature: a changed series gets a new folder."""
    return hashlib.sha256(signature.encode()).hexdigest()[:16]


def make_series_folder(files: list[Path], folder: Path) -> Path:
    """Make a folder with hard links to the files, or copies where there are no links; it appears as a whole.

    Its older siblings are removed: who still reads from one keeps its open files, and is given the new folder at the
    next request.

    Raises:
        OSError: the files cannot be linked or copied.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    new.mkdir()
    try:
        for number, file in enumerate(files):
            name = new / f"{number:05d}-{file.name}"
            try:
                os.link(file, name)
            except OSError:
                shutil.copyfile(file, name)
        with suppress(OSError):  # another process was faster
            new.rename(folder)
        if not folder.is_dir():
            raise OSError(f"{folder.name} could not be put in place")
    finally:
        shutil.rmtree(new, ignore_errors=True)
    for other in folder.parent.iterdir():
        if other != folder and not (other.name.startswith(TEMPORARY) and _is_young(other)):
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _is_young(folder: Path) -> bool:
    """Whether somebody may be making it at this moment."""
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime < _STALE_SECONDS
    return True
