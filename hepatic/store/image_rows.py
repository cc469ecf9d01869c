"""How images and their files lie in the index of a studies folder."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from hepatic.store.header import ImageHeader
from hepatic.store.names import safe_id, split_suffix
from hepatic.store.walk import Found


@dataclass(frozen=True)
class Read:
    """A file and its header, or the reason there is none.

    Attributes:
        found: the file.
        header: None where it has none.
        reason: why.
        broken: whether it should have one.
    """

    found: Found
    header: ImageHeader | None
    reason: str = ""
    broken: bool = True

    @property
    def instance_uid(self) -> str:
        """SOPInstanceUID of a DICOM file, empty for others."""
        return next(iter(self.header.sop_instance_uids), "") if self.header else ""


def forget(connection: sqlite3.Connection, paths: Iterable[str]) -> list[str]:
    """Delete files from the index; return the images that have none left."""
    affected = set()
    for path in paths:
        row = connection.execute("DELETE FROM file WHERE path = ? RETURNING image_id", (path,)).fetchone()
        if row and row[0] is not None:
            affected.add(row[0])
    return [image_id for image_id in sorted(affected) if not _count_files(connection, image_id)]


def enter(connection: sqlite3.Connection, batch: list[Read]) -> dict[str, int]:
    """Write what was read; return the ids of images that came (+1) or went (-1)."""
    before: dict[str, bool] = {}
    for read in batch:
        path, folder = read.found.path, read.found.path.rpartition("/")[0]
        old = connection.execute("DELETE FROM file WHERE path = ? RETURNING image_id", (path,)).fetchone()
        if old and old[0] is not None:
            before.setdefault(old[0], True)
        image_id, reason, depth, broken = None, read.reason or None, 1, bool(read.reason) and read.broken
        if read.header is not None:
            held = original(connection, read.instance_uid, read.header.series_uid or "")
            if held:
                reason = f"the same instance as {held[0]}"
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


def original(connection: sqlite3.Connection, instance_uid: str, series_uid: str) -> tuple[str, str] | None:
    """Return the file that holds this instance already, and its image; an export is sometimes copied in twice."""
    if not instance_uid:
        return None
    query = """SELECT file.path, file.image_id FROM file JOIN image ON image.id = file.image_id
        WHERE file.instance_uid = ? AND image.series_uid = ? LIMIT 1"""
    row = connection.execute(query, (instance_uid, series_uid)).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def _choose_id(connection: sqlite3.Connection, read: Read) -> str:
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


def _upsert(connection: sqlite3.Connection, image_id: str, read: Read) -> None:
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
