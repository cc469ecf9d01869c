"""Which files below the studies folder might be images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hepatic.store.breath import Breath
from hepatic.store.disk import StorageError

#: Folders in which other tools (MONAI Label, the Medical Segmentation Decathlon) keep labels.
LABEL_FOLDERS = frozenset({"labels", "labelsTr", "labelsTs"})
_LABEL_FILES = (".seg.nrrd", ".mrk.json")
_OTHER_FILES = frozenset({"datastore_v2.json", "Thumbs.db"})


@dataclass(frozen=True)
class Found:
    """A file: path below the studies folder with ``/``, size in bytes, time of last change in ns."""

    path: str
    bytes: int
    mtime_ns: int
    reason: str = ""


@dataclass
class Walk:
    """What a walk over the studies folder saw.

    Attributes:
        files: by path; ``reason`` is set on those that are not looked into.
        unread: folders that could not be listed, with the reason; nothing is known of the files below them.
    """

    files: dict[str, Found] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def walk(root: Path, *, skip: Path, breath: Breath) -> Walk:
    """Look through a folder, without opening a file.

    Hidden files, the folder ``skip``, folders and files of labels are passed over. Symbolic links are not followed:
    one that leads outside would serve files nobody meant to serve, one that leads inside would list an image twice.

    Raises:
        StorageError: the folder itself cannot be listed.
    """
    seen = Walk()
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(root / folder) as entries:
                for found in _entries(entries, folder, skip, todo):
                    seen.files[found.path] = found
                    breath()
        except OSError as error:
            reason = error.strerror or str(error)
            if not folder:
                raise StorageError(f"The studies folder cannot be read: {reason}. Check that it is mounted.") from error
            seen.unread[folder] = reason
    return seen


def _entries(entries: Iterator[os.DirEntry[str]], folder: str, skip: Path, todo: list[str]) -> Iterator[Found]:
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name in _OTHER_FILES or name.endswith(_LABEL_FILES):
            continue
        path = f"{folder}/{name}" if folder else name
        try:
            if entry.is_dir(follow_symlinks=False):
                if name not in LABEL_FOLDERS and Path(entry.path) != skip:
                    todo.append(path)
                continue
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        reason = ""
        if entry.is_symlink():
            reason = "symbolic links are not followed: copy the file, or serve the folder it points to"
        elif not entry.is_file(follow_symlinks=False):
            continue
        if not _is_unicode(path):
            path, reason = ascii(path), "the file name is not UTF-8: rename the file"
        yield Found(path, status.st_size, status.st_mtime_ns, reason)


def _is_unicode(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
