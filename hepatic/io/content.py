"""Name an image by its content."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from hepatic.io.refusal import Source, refusing


def content_hash(source: Source) -> str:
    """Return the SHA-256 of an image's bytes, in hexadecimal.

    One file: of its bytes. Several files, or a folder (its files, hidden ones excluded, not its subfolders): of the
    files' sorted hashes, so neither names nor order count. Hashes are kept in the process by path, size, modification
    time and inode, so an unchanged file is read once.

    Raises:
        BadInputError: a file cannot be read, or there is none.
    """
    files = source_files(source)
    if isinstance(source, Path) and not source.is_dir():
        return _file_hash(source)
    return hashlib.sha256("".join(sorted(_file_hash(path) for path in files)).encode()).hexdigest()


def source_files(source: Source) -> list[Path]:
    """Return the files of a source: itself, or a folder's visible files sorted by name, or the list as given."""
    if not isinstance(source, Path):
        return list(source)
    if not source.is_dir():
        return [source]
    with refusing(source, expected="a folder that can be read"):
        return sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith("."))


def _file_hash(path: Path) -> str:
    with refusing(path, expected="a file that can be read"):
        state = path.stat()
        return _hash_of_state(str(path.absolute()), state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=65536)
def _hash_of_state(path: str, size: int, mtime_ns: int, inode: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
