"""Archives that clients send: unpacked into one folder, under names of ours, within limits, or not at all."""

from __future__ import annotations

import errno
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from hepatic.errors import BadInputError
from hepatic.store.disk import storage

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_WHAT = "the archive"
_CHUNK_BYTES = 1 << 20
_RATIO = 200
"""Bytes that one byte of an archive may become. Images in files of their own format are packed 2 to 20 times."""
_SMALL_BYTES = 64 << 20
"""So much may come out of any archive, however small: empty labelmaps and black frames shrink to nearly nothing."""
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile does not bound what the others inflate to
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, ValueError, OverflowError,
    NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What may come out of an archive: number of members, bytes in all."""

    files: int
    bytes: int


def unpack(archive: Path, folder: Path, limits: Limits) -> list[Path]:
    """Write the regular files of a zip, tar or gzipped tar into a folder, as ``00000``, ``00001`` ...

    The members' own names are looked at only to refuse an archive that was made to lead out of its folder. Archives in
    the archive are files like others.

    Args:
        archive: its suffix says what it should be.
        folder: an empty one; after an error it may hold some of the files.
        limits: of what comes out.

    Returns:
        The files, in the archive's order.

    Raises:
        BadInputError: another kind of file, damaged, encrypted, with links or devices or names that lead elsewhere, or
            beyond the limits.
        StorageError: it cannot be written.
    """
    most_bytes = min(limits.bytes, max(_SMALL_BYTES, _RATIO * archive.stat().st_size))
    written: list[Path] = []
    total = count = 0
    with _refusing(), closing(_members(archive)) as members:
        for name, stream in members:
            count += 1
            if count > limits.files:
                raise _refused(f"up to {limits.files} entries", "more", "Send the images in several archives.")
            _check_name(name)
            if stream is None:
                continue
            path = folder / f"{len(written):05d}"
            with path.open("xb") as file:
                while chunk := stream.read(_CHUNK_BYTES):
                    total += len(chunk)
                    if total > most_bytes:
                        raise _refused(
                            f"at most {most_bytes >> 20} MiB when unpacked",
                            "more",
                            f"Images are not packed over {_RATIO} times; send them in smaller archives.",
                        )
                    file.write(chunk)
            written.append(path)
    return written


def _members(archive: Path) -> Generator[tuple[str, IO[bytes] | None]]:
    """Give the name of each entry, and its contents unless it is a folder."""
    with archive.open("rb") as stream:
        start = stream.read(4)
    if archive.name.endswith(".zip"):
        if start not in (b"PK\x03\x04", b"PK\x05\x06"):
            raise _refused("a zip archive, as its name says", "something else", "Pack the files again.")
        return _of_zip(archive)
    if archive.name.endswith(".tar"):
        return _of_tar(archive, gzipped=False)
    if start[:2] != b"\x1f\x8b":
        raise _refused("a gzipped tar archive, as its name says", "something else", "Pack the files again.")
    return _of_tar(archive, gzipped=True)


def _of_zip(archive: Path) -> Generator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            if member.flag_bits & 1:
                raise _refused("an archive without a password", "an encrypted one", "Pack the files without one.")
            if not member.filename:
                raise _refused("entries with names", "one without", "Pack the files again.")
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _special()
            if member.is_dir():
                yield member.filename, None
                continue
            if member.compress_type not in _PACKINGS:
                raise _refused("files stored or deflated", "another packing", "Pack the files again.")
            with file.open(member) as stream:
                yield member.filename, stream


def _of_tar(archive: Path, *, gzipped: bool) -> Generator[tuple[str, IO[bytes] | None]]:
    with tarfile.open(archive, "r:gz" if gzipped else "r:") as file:
        for member in file:
            if not (member.isreg() or member.isdir()):
                raise _special()
            yield member.name, file.extractfile(member)


def _check_name(name: str) -> None:
    path = PureWindowsPath(name)  # knows both separators, and drives
    if path.anchor or ".." in path.parts or "\0" in name:
        raise _refused("names that stay in the archive's folder", "one that leads elsewhere", "Pack the folder again.")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise _damaged() from error
    except RuntimeError as error:  # zipfile's word for a password
        raise _refused("an archive without a password", "an encrypted one", "Pack the files without one.") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a bad gzip, or a place before the start of the file: not the disk
            raise _damaged() from error
        with storage("unpack the archive"):
            raise


def _damaged() -> BadInputError:
    return _refused("a zip, tar or tar.gz archive", "one that is damaged", "Pack the files again.")


def _special() -> BadInputError:
    return _refused("files and folders", "a link or a device", "Pack the files themselves.")


def _refused(expected: str, came: str, fix: str) -> BadInputError:
    return BadInputError(_WHAT, expected=expected, came=came, fix=fix)
