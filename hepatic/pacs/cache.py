"""Images fetched from a PACS, on this machine's disk for a while: as many as fit, the longest unused leave first.

One folder for each image; in it a folder for its files whose name is the hash of their content and their size, and
while they are being fetched one with those that are there. An image that changes in the PACS gets a further folder;
the older one stays as long as somebody may be reading it. When a folder was lent last is its own time of modification;
what a process holds is noted in a file of its own, locked as long as it lives, so that nothing is taken from under it.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Set
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from hepatic.store.disk import TEMPORARY, StorageError, make_folder, put_in_place, storage, sync_folder
from hepatic.store.names import folder_key, name_of_key

logger = logging.getLogger(__name__)

PARTS = ".parts"
"""Folder of the files of an image that is not complete yet."""
_STAMP = ".stamp"
"""What the server said of the image when it was fetched, and the folder of its files."""
_HOLDERS = ".holders"
_LOCKS = ".locks"
_RECENTLY_S = 600.0
"""A path that was handed out is read by somebody within this time."""
_LOCK_WAIT_S = 3600.0
_MOMENT_S = 0.002


class CacheFullError(StorageError):
    """There is no room for another image, and none that could leave."""


@dataclass(frozen=True)
class _Version:
    """The files that an image consisted of when it was fetched, or those of them that have come."""

    folder: Path
    bytes: int
    is_current: bool
    lent: float

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"


class ImageCache:
    """The images fetched so far. Any number of processes and threads may use one folder.

    Args:
        folder: where they lie; made if it is not there.
        limit_bytes: how much they may take together.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._holding: _Holding | None = None
        self._guard = threading.Lock()
        with storage("create the folder for images of the PACS"):
            for name in (_HOLDERS, _LOCKS):
                make_folder(folder / name)

    @property
    def limit_bytes(self) -> int:
        """How much the images may take together."""
        return self._limit_bytes

    def get(self, image_id: str, stamp: int | None = None) -> Path | None:
        """Return the folder with the files of an image, which then stays for a while; None if it is not there.

        Args:
            stamp: what it must have been fetched with; None for any.
        """
        entry = self._entry(image_id)
        with self._lending():
            fetched_with, folder = _current(entry)
            if folder is None or (stamp is not None and fetched_with != str(stamp)):
                return None
            try:
                os.utime(folder)
            except FileNotFoundError:
                return None
        return folder

    def has(self, image_id: str, stamp: int | None) -> bool:
        """Return whether an image is there that was fetched with a stamp; it is not lent by this."""
        return _current(self._entry(image_id))[0] == str(stamp)

    @contextmanager
    def filling(self, image_id: str) -> Iterator[Path]:
        """Lend the folder for the parts of an image to one process and thread at a time; others wait.

        Raises:
            StorageError: somebody else fills it for more than an hour.
        """
        entry = self._entry(image_id)
        lock = self._filling(entry.name)
        with storage("keep an image of the PACS"):
            try:
                lock.acquire()
            except Timeout:
                raise StorageError("Another process has been fetching this image for an hour. Restart it.") from None
            try:
                _, folder = _current(entry)
                if folder is not None and folder.is_dir() and not (entry / PARTS).exists():
                    shutil.copytree(folder, entry / PARTS, copy_function=_link)  # not all of it will have changed
                make_folder(entry / PARTS)
                yield entry / PARTS
            finally:
                lock.release()

    def complete(self, image_id: str, content: str, stamp: int) -> Path:
        """Make the parts of an image the image; called while it is being filled.

        Args:
            content: names the content of all of them.
            stamp: what the server said of the image when it was fetched.
        """
        entry = self._entry(image_id)
        parts = entry / PARTS
        size = 0
        for file in parts.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
                size += file.stat().st_size
        sync_folder(parts)
        folder = entry / f"{content[:16]}-{size}"
        if folder.is_dir():  # what came is what was there
            shutil.rmtree(parts)
        else:
            parts.rename(folder)
        os.utime(folder)
        temporary = entry / f"{TEMPORARY}{_STAMP}"
        temporary.write_text(f"{stamp} {folder.name}")
        put_in_place(temporary, entry / _STAMP)
        return folder

    def make_room(self, needed_bytes: int, *, parts: Path | None = None) -> None:
        """Let images leave until there is room.

        Args:
            parts: the folder that the caller is filling; that image as it was before may leave, too.

        Raises:
            CacheFullError: there is none: all that is there is in use.
        """
        with FileLock(self._folder / _LOCKS / "room", timeout=_LOCK_WAIT_S):
            versions = sorted(self._versions(), key=lambda one: (one.is_current, one.lent))
            room_bytes = self._limit_bytes - needed_bytes
            excess = sum(one.bytes for one in versions) - room_bytes
            if excess <= 0:
                return
            held = self._held()
            for one in versions:
                if excess <= 0:
                    return
                if self._remove(one, held, parts):
                    excess = sum(left.bytes for left in self._versions()) - room_bytes
        if excess > 0:
            raise CacheFullError(
                f"The images of the PACS that are in use take {self._limit_bytes >> 20} MiB already. "
                "Give them more space on the disk (HEPATIC_DICOMWEB_CACHE_MIB), or try again later."
            )

    def hold(self, folder: Path) -> None:
        """Keep a folder that was lent as long as this process lives."""
        with self._guard:
            if self._holding is None or self._holding.pid != os.getpid():
                self._holding = _Holding(self._folder / _HOLDERS)
            self._holding.add(f"{folder.parent.name}/{folder.name}")

    def drop(self, image_id: str) -> None:
        """Lend an image no more until it is fetched again; its files leave with ``tidy``."""
        entry = self._entry(image_id)
        with suppress(FileNotFoundError):
            (entry / _STAMP).unlink()
        with suppress(Timeout, FileNotFoundError), self._filling(entry.name, timeout_s=0):
            shutil.rmtree(entry / PARTS)

    def images(self) -> Iterator[tuple[str, Path]]:
        """Yield the id of each image that is there, and the folder of its files; none is lent by this."""
        for one in self._versions():
            image_id = name_of_key(one.folder.parent.name)
            if one.is_current and one.folder.name != PARTS and image_id is not None:
                yield image_id, one.folder

    def tidy(self) -> None:
        """Let files leave that are those of no image any more, as it is in the PACS now, and are in use no longer."""
        outdated = [one for one in self._versions() if not one.is_current]
        held = self._held() if outdated else set()
        for one in outdated:
            self._remove(one, held)

    def _entry(self, image_id: str) -> Path:
        return self._folder / folder_key(image_id)

    def _filling(self, name: str, *, timeout_s: float = _LOCK_WAIT_S) -> FileLock:
        return FileLock(self._folder / _LOCKS / f"{name}.lock", timeout=timeout_s)

    def _lending(self) -> FileLock:
        """Lock that keeps a folder from leaving while it is being lent."""
        return FileLock(self._folder / _LOCKS / "lending", timeout=_LOCK_WAIT_S, poll_interval=_MOMENT_S)

    def _versions(self) -> Iterator[_Version]:
        for entry in os.scandir(self._folder):
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                continue
            current = _current(Path(entry.path))[1]
            with suppress(FileNotFoundError):  # it is leaving
                folders = [Path(found.path) for found in os.scandir(entry) if found.is_dir(follow_symlinks=False)]
                counted: set[int] = set()
                for folder in folders:
                    is_alone = len(folders) == 1 and folder.name != PARTS
                    size = int(folder.name.rpartition("-")[2]) if is_alone else _size(folder, counted)
                    yield _Version(folder, size, folder in (current, folder.parent / PARTS), _lent(folder))

    def _remove(self, one: _Version, held: Set[str], filled: Path | None = None) -> bool:
        """Remove a folder, unless somebody else is filling that image, holds it, or was lent it a while ago."""
        if one.name in held or one.folder == filled:
            return False
        entry = one.folder.parent
        leaving = self._folder / f".leaving-{uuid.uuid4().hex}"
        is_ours = filled is not None and entry == filled.parent
        try:
            with nullcontext() if is_ours else self._filling(entry.name, timeout_s=0):
                with self._lending():
                    if time.time() - _lent(one.folder) < _RECENTLY_S:
                        return False
                    one.folder.rename(leaving)
                    if not any(found.is_dir() for found in os.scandir(entry)):
                        shutil.rmtree(entry, ignore_errors=True)
                shutil.rmtree(leaving, ignore_errors=True)
                return True
        except (Timeout, OSError):
            return False

    def _held(self) -> set[str]:
        """Return the names of what living processes hold; what dead ones held is forgotten."""
        held: set[str] = set()
        for lock_file in (self._folder / _HOLDERS).glob("*.lock"):
            names = lock_file.with_suffix(".txt")
            lock = FileLock(lock_file, timeout=0)
            try:
                with lock:
                    names.unlink(missing_ok=True)
                    lock_file.unlink(missing_ok=True)
            except Timeout:
                held |= set(_text(names).split("\n"))
        return held


class _Holding:
    """What this process holds."""

    def __init__(self, folder: Path) -> None:
        self.pid = os.getpid()
        name = uuid.uuid4().hex
        self._lock = FileLock(folder / f"{name}.lock", timeout=10, thread_local=False)
        self._lock.acquire()
        self._names = folder / f"{name}.txt"
        self._held: set[str] = set()

    def add(self, name: str) -> None:
        if name not in self._held:
            self._held.add(name)
            with self._names.open("a") as file:
                file.write(f"{name}\n")


def _link(file: str, other: str) -> None:
    try:
        os.link(file, other)
    except OSError:  # a file system without links
        shutil.copyfile(file, other)


def _current(entry: Path) -> tuple[str, Path | None]:
    """Return with which stamp an image was fetched, and the folder of its files."""
    stamp, _, name = _text(entry / _STAMP).partition(" ")
    return stamp, entry / name if name else None


def _size(folder: Path, counted: set[int]) -> int:
    """Return what the files of a folder take, but for those counted before: versions of an image share files."""
    size = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # it has got its name
            found = file.stat()
            if found.st_ino not in counted:
                counted.add(found.st_ino)
                size += found.st_size
    return size


def _lent(folder: Path) -> float:
    return folder.stat().st_mtime


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""
