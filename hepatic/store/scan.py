"""Bring the index in line with the folder: read the headers of what is new or changed, forget what has gone."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from hepatic.errors import HepaticError
from hepatic.store.breath import Breath
from hepatic.store.database import Database
from hepatic.store.header import HeaderReader, ImageHeader
from hepatic.store.names import safe_id, split_suffix
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


@dataclass(frozen=True)
class _Read:
    """A file and its header, or the reason there is none."""

    found: Found
    header: ImageHeader | None
    reason: str = ""
    broken: bool = True

    @property
    def instance_uid(self) -> str:
        return next(iter(self.header.sop_instance_uids), "") if self.header else ""


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
            held = _original(connection, instance_uid, header.series_uid or "")
        if held is None or (self._root / held[0]).is_file():
            return held
        self._forget([held[0]])
        return None

    def forget(self, relative: Iterable[str], connection: sqlite3.Connection | None = None) -> None:
        """Take files that were just removed out of the index, in a step of its own unless a connection is lent."""
        if connection is None:
            self._forget(list(relative))
        else:
            _forget(connection, relative)

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
            return _forget(connection, paths)

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
            batch: list[_Read] = []
            while done < len(todo) and len(batch) < _BATCH_FILES and (not batch or time.monotonic() < deadline):
                batch.append(self._read(todo[done]))
                done += 1
                if breath is not None:
                    breath()
            with self._database.write() as connection:
                for image_id, change in _enter(connection, batch).items():
                    changes[image_id] = changes.get(image_id, 0) + change
            unreadable += sum(read.header is None for read in batch)
            if progress is not None:
                progress(done, len(todo))
        return changes, unreadable

    def _read(self, found: Found) -> _Read:
        if found.reason:
            return _Read(found, None, reason=found.reason)
        try:
            return _Read(found, self._header(self._root / found.path))
        except self._not_images as error:
            return _Read(found, None, reason=str(error), broken=False)
        except HepaticError as error:
            return _Read(found, None, reason=str(error))
        except Exception as error:  # a broken file must not stop the scan; a parser's words may quote the patient
            return _Read(found, None, reason=f"could not be read ({type(error).__name__})")


def _below(path: str, seen: Walk) -> bool:
    return any(path.startswith(f"{folder}/") for folder in seen.unread)


def _forget(connection: sqlite3.Connection, paths: Iterable[str]) -> list[str]:
    """Delete files from the index; return the images that have none left."""
    affected = set()
    for path in paths:
        row = connection.execute("DELETE FROM file WHERE path = ? RETURNING image_id", (path,)).fetchone()
        if row and row[0] is not None:
            affected.add(row[0])
    return [image_id for image_id in sorted(affected) if not _count_files(connection, image_id)]


def _enter(connection: sqlite3.Connection, batch: list[_Read]) -> dict[str, int]:
    """Write what was read; return the ids of images that came (+1) or went (-1)."""
    before: dict[str, bool] = {}
    for read in batch:
        path, folder = read.found.path, read.found.path.rpartition("/")[0]
        old = connection.execute("DELETE FROM file WHERE path = ? RETURNING image_id", (path,)).fetchone()
        if old and old[0] is not None:
            before.setdefault(old[0], True)
        image_id, reason, depth, broken = None, read.reason or None, 1, bool(read.reason) and read.broken
        if read.header is not None:
            original = _original(connection, read.instance_uid, read.header.series_uid or "")
            if original:
                reason = f"the same instance as {original[0]}"
            else:
                image_id = _choose_id(connection, read)
                depth = read.header.size[2] if len(read.header.size) > 2 else 1
                present = connection.execute("SELECT present FROM image WHERE id = ?", (image_id,)).fetchone()
                before.setdefault(image_id, bool(present and present[0]))
                _upsert(connection, image_id, read)
        connection.execute(
            "INSERT INTO file (path, folder, bytes, mtime_ns, image_id, instance_uid, depth, reason, broken) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (path, folder, read.found.bytes, read.found.mtime_ns, image_id, read.instance_uid, depth, reason, broken),
        )
    return {image_id: bool(_count_files(connection, image_id)) - was_there for image_id, was_there in before.items()}


def _original(connection: sqlite3.Connection, instance_uid: str, series_uid: str) -> tuple[str, str] | None:
    """Return the file that holds this instance already, and its image; an export is sometimes copied in twice."""
    if not instance_uid:
        return None
    query = """SELECT file.path, file.image_id FROM file JOIN image ON image.id = file.image_id
        WHERE file.instance_uid = ? AND image.series_uid = ? LIMIT 1"""
    row = connection.execute(query, (instance_uid, series_uid)).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def _choose_id(connection: sqlite3.Connection, read: _Read) -> str:
    """Return the id of the image a file belongs to.

    Files of one series are one volume, called by the SeriesInstanceUID. Every cine is an image of its own: the first
    of a series is called by the SeriesInstanceUID too, further ones get a suffix made from their SOPInstanceUID.
    A NIfTI or NRRD file is called by its path without suffix; where two would share that id, the later one gets a
    suffix made from its path.
    """
    header, path = read.header, read.found.path
    if header is None or not header.series_uid:
        plain, unique = safe_id(split_suffix(path)[0]), path
    else:
        plain = safe_id(header.series_uid)
        unique = "volume" if header.kind == "volume" else read.instance_uid or path
    row = connection.execute("SELECT kind, path, instance_uid, present FROM image WHERE id = ?", (plain,)).fetchone()
    if row is None:
        return plain
    kind, taken_by, instance, present = row
    if header is None or not header.series_uid:
        return plain if not present or taken_by == path else safe_id(plain, unique=unique)
    if kind == header.kind == "volume":
        return plain
    same = kind == header.kind and (instance == read.instance_uid if read.instance_uid else taken_by == path)
    return plain if same else safe_id(plain, unique=unique)


def _upsert(connection: sqlite3.Connection, image_id: str, read: _Read) -> None:
    header = read.header
    if header is None:
        return
    study = header.study_uid or ""
    connection.execute(
        """INSERT INTO image (id, path, modality, patient_id, study_uid, series_uid, instance_uid, kind, size,
             description, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET modality = excluded.modality, patient_id = excluded.patient_id,
             study_uid = excluded.study_uid, series_uid = excluded.series_uid, instance_uid = excluded.instance_uid,
             kind = excluded.kind, size = excluded.size, description = excluded.description, checksum = ''""",
        (
            image_id,
            read.found.path,
            header.modality,
            header.patient_id or study or image_id,
            study,
            header.series_uid or "",
            read.instance_uid if header.kind == "cine" else "",
            header.kind,
            json.dumps([int(n) for n in header.size]),
            header.series_description or "",
            datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def _count_files(connection: sqlite3.Connection, image_id: str) -> int:
    """Bring path, size and presence of an image in line with its files; return how many there are."""
    query = "SELECT count(*), min(path), sum(depth) FROM file WHERE image_id = ?"
    count, first, depth = connection.execute(query, (image_id,)).fetchone()
    if not count:
        connection.execute("UPDATE image SET present = 0, checksum = '' WHERE id = ?", (image_id,))
        return 0
    (size,) = connection.execute("SELECT size FROM image WHERE id = ?", (image_id,)).fetchone()
    whole = [*json.loads(size)[:2], depth]
    connection.execute(
        "UPDATE image SET present = 1, path = ?, size = ?, file_count = ?, checksum = '' WHERE id = ?",
        (first, json.dumps(whole), count, image_id),
    )
    return int(count)


def suffix_of(path: str) -> str:
    """Return the suffix of an image file as viewers know it (``.nii.gz``), empty for DICOM files without one."""
    return split_suffix(PurePosixPath(path).name)[1]
