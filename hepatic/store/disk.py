"""Writing so that a file is there as a whole or not at all, and stays there after a power cut."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hepatic.errors import HepaticError

logger = logging.getLogger(__name__)

#: Prefix of files that are being written; whoever finds an old one may remove it.
TEMPORARY = ".writing-"

_CHUNK = 1 << 20


_FULL = (errno.ENOSPC, errno.EDQUOT)


class StorageError(HepaticError):
    """The disk under the studies folder cannot be written or read: full, read-only, gone."""


class DiskFullError(StorageError):
    """There is no space left, or no quota; nothing half-written is left behind."""


@dataclass(frozen=True)
class Written:
    """A temporary file that is safely on disk under its temporary name."""

    path: Path
    sha256: str
    bytes: int


@contextmanager
def storage(doing: str) -> Iterator[None]:
    """Turn the operating system's errors into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        kind = DiskFullError if is_full(error) else StorageError
        raise kind(f"Could not {doing}: {error.strerror or error}. {_advice(error)}") from error


def is_full(error: BaseException) -> bool:
    """Whether the operating system says that there is no space left, or no quota."""
    return isinstance(error, OSError) and error.errno in _FULL


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each on disk before the call returns."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_folder(new.parent)


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter (0700), whatever the umask.

    From one that is there all rights are taken that everybody has; what a group was given stays.
    """
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & stat.S_IRWXO:
            try:
                folder.chmod(mode & ~stat.S_IRWXO)
            except PermissionError:
                logger.warning("Every user of this machine may read %s: close it to others (chmod o-rwx)", folder)
    sync_folder(folder.parent)


def write_temporary(source: Path, folder: Path, *, suffix: str = "") -> Written:
    """Copy a file into the folder under a temporary name and onto the disk; nothing is left behind on an error."""
    temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}{suffix}"
    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                size += writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return Written(temporary, digest.hexdigest(), size)


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename a file in its own folder, and make the new name durable."""
    temporary.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (POSIX; elsewhere the file system does as it likes)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def remove_stale(folder: Path, *, older_than_s: float) -> int:
    """Remove temporary files and folders nobody has written to for a while; return how many there were."""
    count = 0
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.name.startswith(TEMPORARY):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s:
                        if entry.is_dir(follow_symlinks=False):
                            shutil.rmtree(entry.path)
                        else:
                            Path(entry.path).unlink()
                        count += 1
    return count


def _advice(error: OSError) -> str:
    if is_full(error):
        return "The disk is full: free some space and try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Give the server's user the right to write there."
    return "Check that the disk is mounted and healthy."
