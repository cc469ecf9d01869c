"""Images that another server lists: entered into the index as they are told, without a file on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hepatic.store.database import Database


@dataclass(frozen=True)
class Listed:
    """One image, as a server lists it.

    Attributes:
        id: SeriesInstanceUID; a further cine of a series has a suffix.
        path: what it is put in order by, unique.
        size: columns, rows, slices or frames; 0 for what the server did not say.
        file_count: how many instances it has.
        stamp: another whenever its instances may have changed.
    """

    id: str
    path: str
    modality: str
    patient_id: str
    study_uid: str
    series_uid: str
    instance_uid: str
    kind: str
    size: tuple[int, int, int]
    description: str
    file_count: int
    stamp: int


class Listing:
    """Writes into the index of a store whose images are on another server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, images: Iterable[Listed]) -> tuple[str, ...]:
        """Enter images or what has changed about them; return the ids of those that are new or back."""
        added = []
        with self._database.write() as connection:
            for one in images:
                row = connection.execute("SELECT present FROM image WHERE id = ?", (one.id,)).fetchone()
                if row is None or not row[0]:
                    added.append(one.id)
                connection.execute(
                    """INSERT INTO image (id, path, modality, patient_id, study_uid, series_uid, instance_uid, kind,
                         size, description, added, file_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                       ON CONFLICT (id) DO UPDATE SET path = excluded.path, modality = excluded.modality,
                         patient_id = excluded.patient_id, study_uid = excluded.study_uid,
                         series_uid = excluded.series_uid, instance_uid = excluded.instance_uid, kind = excluded.kind,
                         size = excluded.size, description = excluded.description, file_count = excluded.file_count,
                         checksum = '', present = 1""",
                    (
                        one.id,
                        one.path,
                        one.modality,
                        one.patient_id or one.study_uid or one.id,
                        one.study_uid,
                        one.series_uid,
                        one.instance_uid,
                        one.kind,
                        json.dumps(one.size),
                        one.description,
                        datetime.now(UTC).isoformat(timespec="seconds"),
                        one.file_count,
                    ),
                )
                connection.execute("DELETE FROM file WHERE image_id = ?", (one.id,))
                connection.execute(
                    """INSERT OR REPLACE INTO file (path, folder, bytes, mtime_ns, image_id, instance_uid, depth)
                       VALUES (?, ?, ?, ?, ?, ?, ?)""",
                    (one.path, one.study_uid, one.file_count, one.stamp, one.id, one.instance_uid, one.size[2]),
                )
        return tuple(added)

    def correct(self, image_id: str, *, modality: str, kind: str, size: tuple[int, ...]) -> None:
        """Note what the files of an image say of it, which is more than a server's list does."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE image SET modality = ?, kind = ?, size = ? WHERE id = ?",
                (modality, kind, json.dumps(size), image_id),
            )

    def leave(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Note that images are no longer listed; their labels are kept. Return those that were there."""
        gone = []
        with self._database.write() as connection:
            for id in ids:
                if connection.execute(
                    "UPDATE image SET present = 0, checksum = '' WHERE id = ? AND present", (id,)
                ).rowcount:
                    gone.append(id)
                connection.execute("DELETE FROM file WHERE image_id = ?", (id,))
        return tuple(gone)

    def of_series(self, series_uid: str) -> Mapping[str, str]:
        """Return the SOPInstanceUIDs of the images there ever were of a series by their ids; empty for a whole one."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT id, instance_uid FROM image WHERE series_uid = ?", (series_uid,))
            return {str(id): str(instance_uid) for id, instance_uid in rows}

    def stamp(self, image_id: str) -> int | None:
        """Return the stamp of an image; None where it is not listed."""
        with self._database.read() as connection:
            row = connection.execute("SELECT mtime_ns FROM file WHERE image_id = ?", (image_id,)).fetchone()
            return None if row is None else int(row[0])
