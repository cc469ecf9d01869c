"""Bring the index in line with the folder: read the headers of what is new or changed, forget what has gone."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hepatic.errors import HepaticError
from hepatic.store import image_rows as rows
from hepatic.store.breath import Breath
from hepatic.store.database import Database
from hepatic.store.header import HeaderReader, ImageHeader
from hepatic.store.walk import Found, Walk, walk

_BATCH_FILES = 200
_BATCH_SECONDS = 1.0


@dataclass(frozen=True)
class ScanReport:
    """What a scan changed.

    Attributes:
        files: how many there are that could be images.
        read: files whose header was read.
        added: ids of images that are new or back.
        removed: ids of images whose last file has gone.
        unreadable: files that turned out not to be images in this scan.
    """

    files: int
    read: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    unreadable: int
    seconds: float


class Scanner:
    """Scans one studies folder; one scan at a time in a process, any number of processes at once."""

    def __init__(
        self,
        database: Database,
        root: Path,
        *,
        skip: Path,
        header: HeaderReader,
        not_images: tuple[type[Exception], ...] = (),
    ) -> None:
        self._database = database
        self._root = root
        self._skip = skip
        self._header = header
        self._not_images = not_images
        self._one_at_a_time = threading.Lock()

    def scan(
        self, *, gently_after_s: float = math.inf, progress: Callable[[int, int], None] | None = None
    ) -> ScanReport:
        """Compare the folder with the index, by path, size and time of change, and bring the index up to date.

        No file can stop a scan: one that cannot be read is remembered with the reason, and left alone until it
        changes. What was read is committed in batches, so that a scan that is interrupted goes on where it was.

        Args:
            gently_after_s: from then on take twice the time, and leave the process to others every millisecond.
            progress: called with the number of files read and to read.

        Raises:
            StorageError: the studies folder cannot be listed, or the index cannot be written.
        """
        with self._one_at_a_time:
            started = time.monotonic()
            breath = Breath(after_s=gently_after_s)
            before = self._known(breath)
            seen = walk(self._root, skip=self._skip, breath=breath)
            gone = [path for path in before if path not in seen.files and not _below(path, seen)]
            gone = [path for path in gone if not (self._root / path).is_file()]
            removed = self._forget(gone)
            todo = sorted(f.path for f in seen.files.values() if before.get(f.path) != (f.bytes, f.mtime_ns))
            known = set(todo)
            todo += [path for path in self._orphaned_copies() if path in seen.files and path not in known]
            changes, unreadable = self._read_all([seen.files[path] for path in todo], progress, breath)
            for image_id in removed:
                changes[image_id] = changes.get(image_id, 0) - 1
            return ScanReport(
                len(seen.files),
                len(todo),
                tuple(image_id for image_id, change in changes.items() if change > 0),
                tuple(image_id for image_id, change in changes.items() if change < 0),
                unreadable,
                time.monotonic() - started,
            )

    def take_in(self, *relative: str) -> str | None:
        """Index files of one image that were just put into the folder; return its id, None if they are none."""
        found = []
        for path in relative:
            try:
                status = (self._root / path).stat()
            except FileNotFoundError:
                return None
            found.append(Found(path, status.st_size, status.st_mtime_ns))
        self._read_all(found, None)
        with self._database.read() as connection:
            row = connection.execute("SELECT image_id FROM file WHERE path = ?", (relative[0],)).fetchone()
            return None if row is None else row[0]

    def holder(self, header: ImageHeader) -> tuple[str, str] | None:
        """Return the file that holds the instance of this header already, below the root, and its image."""
        instance_uid = next(iter(header.sop_instance_uids), "")
        with self._database.read() as connection:
            held = rows.original(connection, instance_uid, header.series_uid or "")
        if held is None or (self._root / held[0]).is_file():
            return held
        self._forget([held[0]])
        return None

    def forget(self, relative: Iterable[str], connection: sqlite3.Connection | None = None) -> None:
        """Take files that were just removed out of the index, in a step of its own unless a connection is lent."""
        if connection is None:
            self._forget(list(relative))
        else:
            rows.forget(connection, relative)

    def _known(self, breath: Breath) -> dict[str, tuple[int, int]]:
        known = {}
        with self._database.read() as connection:
            for path, size, mtime_ns in connection.execute("SELECT path, bytes, mtime_ns FROM file"):
                known[path] = (size, mtime_ns)
                breath()
        return known

    def _orphaned_copies(self) -> list[str]:
        """Return copies of an instance whose original has gone: they can take its place now."""
        query = """SELECT path FROM file WHERE image_id IS NULL AND instance_uid <> '' AND NOT EXISTS (
            SELECT 1 FROM file o WHERE o.instance_uid = file.instance_uid AND o.image_id IS NOT NULL)"""
        with self._database.read() as connection:
            return [path for (path,) in connection.execute(query)]

    def _forget(self, paths: list[str]) -> list[str]:
        if not paths:
            return []
        with self._database.write() as connection:
            return rows.forget(connection, paths)

    def _read_all(
        self,
        todo: list[Found],
        progress: Callable[[int, int], None] | None = None,
        breath: Breath | None = None,
    ) -> tuple[dict[str, int], int]:
        """Read and enter files; return which images came (+1) and went (-1), and how many files are no images."""
        changes: dict[str, int] = {}
        unreadable = done = 0
        while done < len(todo):
            deadline = time.monotonic() + _BATCH_SECONDS
            batch: list[rows.Read] = []
            while done < len(todo) and len(batch) < _BATCH_FILES and (not batch or time.monotonic() < deadline):
                batch.append(self._read(todo[done]))
                done += 1
                if breath is not None:
                    breath()
            with self._database.write() as connection:
                for image_id, change in rows.enter(connection, batch).items():
                    changes[image_id] = changes.get(image_id, 0) + change
            unreadable += sum(read.header is None for read in batch)
            if progress is not None:
                progress(done, len(todo))
        return changes, unreadable

    def _read(self, found: Found) -> rows.Read:
        if found.reason:
            return rows.Read(found, None, reason=found.reason)
        try:
            return rows.Read(found, self._header(self._root / found.path))
        except self._not_images as error:
            return rows.Read(found, None, reason=str(error), broken=False)
        except HepaticError as error:
            return rows.Read(found, None, reason=str(error))
        except Exception as error:  # a broken file must not stop the scan; a parser's words may quote the patient
            return rows.Read(found, None, reason=f"could not be read ({type(error).__name__})")


def _below(path: str, seen: Walk) -> bool:
    return any(path.startswith(f"{folder}/") for folder in seen.unread)
