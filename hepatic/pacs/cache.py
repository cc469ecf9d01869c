"""Images fetched from a PACS, on this machine's disk for a while: as many as fit, the longest unused leave first.

One folder for each image; in it a folder for its files whose name is the hash of their content and their size, and
while they are being fetched one with those that are there. What a process holds is noted in a file of its own, locked
as long as it lives, so that nothing is taken from under it.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from hepatic.store.disk import StorageError, make_folder, storage, sync_folder
from hepatic.store.names import folder_key

logger = logging.getLogger(__name__)

PARTS = ".parts"
"""Folder of the files of an image that is not complete yet."""
_STAMP = ".stamp"
_USED = ".used"
_HOLDERS = ".holders"
_LOCKS = ".locks"
_RECENTLY_S = 600.0
"""A path that was handed out is read by somebody within this time."""
_LOCK_WAIT_S = 3600.0


class CacheFullError(StorageError):
    """There is no room for another image, and none that could leave."""


@dataclass(frozen=True)
class _Entry:
    folder: Path
    bytes: int
    used: float


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
        whole = _whole(entry)
        if whole is None or (stamp is not None and _text(entry / _STAMP) != str(stamp)):
            return None
        self._touch(entry)
        return whole if whole.is_dir() else None  # it may have left in this very moment

    @contextmanager
    def filling(self, image_id: str) -> Iterator[Path]:
        """Lend the folder for the parts of an image to one process and thread at a time; others wait.

        Raises:
            StorageError: somebody else fills it for more than an hour.
        """
        entry = self._entry(image_id)
        lock = FileLock(self._folder / _LOCKS / f"{entry.name}.lock", timeout=_LOCK_WAIT_S)
        with storage("keep an image of the PACS"):
            try:
                lock.acquire()
            except Timeout:
                raise StorageError("Another process has been fetching this image for an hour. Restart it.") from None
            try:
                whole = _whole(entry)
                if whole is not None and not (entry / PARTS).exists():  # it has changed there, but not all of it
                    shutil.copytree(whole, entry / PARTS, copy_function=_link)
                make_folder(entry / PARTS)
                self._touch(entry)
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
        whole = entry / f"{content[:16]}-{size}"
        if whole.is_dir():  # what came is what was there
            shutil.rmtree(parts)
        else:
            parts.rename(whole)
        for other in entry.iterdir():
            if other.is_dir() and other != whole:
                shutil.rmtree(other, ignore_errors=True)
        (entry / _STAMP).write_text(str(stamp))
        sync_folder(entry)
        self._touch(entry)
        return whole

    def make_room(self, needed_bytes: int) -> None:
        """Let images leave until there is room.

        Raises:
            CacheFullError: there is none: all that is there is in use.
        """
        with FileLock(self._folder / _LOCKS / "room", timeout=_LOCK_WAIT_S):
            entries = sorted(self._entries(), key=lambda entry: entry.used)
            excess = sum(entry.bytes for entry in entries) + needed_bytes - self._limit_bytes
            if excess <= 0:
                return
            held = self._held()
            for entry in entries:
                if excess <= 0:
                    return
                if entry.folder.name not in held and time.time() - entry.used > _RECENTLY_S and self._remove(entry):
                    excess -= entry.bytes
        if excess > 0:
            raise CacheFullError(
                f"The images of the PACS that are in use take {self._limit_bytes >> 20} MiB already. "
                "Give them more space on the disk (HEPATIC_DICOMWEB_CACHE_MIB), or try again later."
            )

    def hold(self, image_id: str) -> None:
        """Keep an image as long as this process lives."""
        with self._guard:
            if self._holding is None or self._holding.pid != os.getpid():
                self._holding = _Holding(self._folder / _HOLDERS)
            self._holding.add(self._entry(image_id).name)

    def drop(self, image_id: str) -> None:
        """Let an image leave, unless it is in use."""
        entry = self._entry(image_id)
        if entry.is_dir() and entry.name not in self._held():
            self._remove(_Entry(entry, 0, time.time()))

    def _entry(self, image_id: str) -> Path:
        return self._folder / folder_key(image_id)

    def _touch(self, entry: Path) -> None:
        with suppress(OSError):
            (entry / _USED).touch()

    def _entries(self) -> Iterator[_Entry]:
        for found in os.scandir(self._folder):
            if found.name.startswith(".") or not found.is_dir(follow_symlinks=False):
                continue
            folder = Path(found.path)
            with suppress(OSError):
                whole, parts = _whole(folder), folder / PARTS
                size = int(whole.name.rpartition("-")[2]) if whole is not None else 0
                size += sum(file.stat().st_size for file in parts.iterdir()) if parts.is_dir() else 0
                used = (folder / _USED).stat().st_mtime if (folder / _USED).exists() else 0.0
                yield _Entry(folder, size, used)

    def _remove(self, entry: _Entry) -> bool:
        """Remove an image, unless somebody is filling it or has just been given it."""
        lock = FileLock(self._folder / _LOCKS / f"{entry.folder.name}.lock", timeout=0)
        try:
            with lock:
                if _used(entry.folder) > entry.used:
                    return False
                leaving = self._folder / f".leaving-{uuid.uuid4().hex}"
                entry.folder.rename(leaving)
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


def _whole(entry: Path) -> Path | None:
    with suppress(FileNotFoundError):
        for found in os.scandir(entry):
            if found.is_dir(follow_symlinks=False) and not found.name.startswith("."):
                return Path(found.path)
    return None


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""


def _used(entry: Path) -> float:
    with suppress(OSError):
        return (entry / _USED).stat().st_mtime
    return 0.0
