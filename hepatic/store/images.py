"""Index of the images in a folder: what there is, which study and patient it belongs to, what was noted about it."""
# ruff: noqa: S608 - queries are put together from constants of this file

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatic.errors import NotFoundError
from hepatic.store.database import Database
from hepatic.store.names import as_text
from hepatic.store.waiting import note

Info = dict[str, Any]

_COLUMNS = (
    "id, path, modality, patient_id, study_uid, series_uid, instance_uid, kind, size, description, added, checksum, "
    "info, present, file_count"
)


@dataclass(frozen=True)
class Image:
    """One image: a series, a cine, or a NIfTI or NRRD file.

    Attributes:
        id: SeriesInstanceUID, or the relative path made safe. A further cine of a series has a suffix.
        path: first of its files, below the studies folder.
        patient_id: PatientID; the study's UID or the image's own id where the file does not say.
        size: columns, rows, slices or frames over all its files.
        checksum: ``SHA256:...`` of a single file once somebody asked for it, else empty.
        info: notes of clients and strategies, JSON.
        present: whether its files are there; labels of an absent image are kept.
    """

    id: str
    path: str
    modality: str
    patient_id: str
    study_uid: str
    series_uid: str
    instance_uid: str
    kind: str
    size: tuple[int, ...]
    description: str
    added: str
    checksum: str
    info: Info
    present: bool
    file_count: int


@dataclass(frozen=True)
class Unread:
    """A file that is not part of an image, and why.

    Attributes:
        broken: whether it should have been one; false for reports, text files and copies.
    """

    path: str
    reason: str
    broken: bool


class Images:
    """The images of one studies folder, as last scanned (``hepatic.store.scan``)."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def get(self, image_id: str) -> Image:
        """Return an image, present or not.

        Raises:
            NotFoundError: there never was an image with this id.
        """
        with self._database.read() as connection:
            return _image(_row(connection, image_id))

    def ids(self) -> list[str]:
        """Return the ids of all images that are there, in the order of their paths."""
        with self._database.read() as connection:
            return [row[0] for row in connection.execute("SELECT id FROM image WHERE present ORDER BY path, id")]

    def all(
        self,
        ids: Iterable[str] | None = None,
        *,
        modality: str | None = None,
        study_uid: str | None = None,
        series_uid: str | None = None,
    ) -> list[Image]:
        """Return the images that are there in the order of their paths.

        Args:
            ids: only these.
            modality, study_uid, series_uid: only those of this one.
        """
        query = f"SELECT {_COLUMNS} FROM image WHERE present"
        parameters: list[str] = []
        if ids is not None:
            query += " AND id IN (SELECT value FROM json_each(?))"
            parameters.append(json.dumps(list(ids)))
        for column, value in (("modality", modality), ("study_uid", study_uid), ("series_uid", series_uid)):
            if value is not None:
                query += f" AND {column} = ?"
                parameters.append(value)
        with self._database.read() as connection:
            return [_image(row) for row in connection.execute(f"{query} ORDER BY path, id", parameters)]

    def count_in_series(self, series_uids: Sequence[str]) -> dict[str, int]:
        """Return how many images of each of these series are there; those without any are left out."""
        query = """SELECT series_uid, count(*) FROM image
            WHERE present AND series_uid IN (SELECT value FROM json_each(?)) GROUP BY series_uid"""
        with self._database.read() as connection:
            return dict(connection.execute(query, (json.dumps(list(series_uids)),)))

    def known(self, words: Iterable[str]) -> list[str]:
        """Return those of the words that are ids of images, present or not."""
        query = "SELECT id FROM image WHERE id IN (SELECT value FROM json_each(?))"
        with self._database.read() as connection:
            return [id for (id,) in connection.execute(query, (json.dumps([as_text(word) for word in words]),))]

    def files(self, image_id: str) -> list[Path]:
        """Return the files of an image, absolute, in the order of their names; none if it is absent.

        Raises:
            NotFoundError: there never was an image with this id.
        """
        with self._database.read() as connection:
            _row(connection, image_id)
            rows = connection.execute("SELECT path FROM file WHERE image_id = ? ORDER BY path", (image_id,))
            return [self._root / path for (path,) in rows]

    def signature(self, image_id: str) -> str:
        """Return a text that changes when a file of the image does."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT path, bytes, mtime_ns FROM file WHERE image_id = ? ORDER BY path", (image_id,)
            )
            return "\n".join(f"{path}\t{size}\t{mtime}" for path, size, mtime in rows)

    def folder_of_only(self, image_id: str) -> Path | None:
        """Return the folder that holds the files of an image and no other image, None if there is no such folder."""
        with self._database.read() as connection:
            mine = connection.execute("SELECT path, folder FROM file WHERE image_id = ?", (image_id,)).fetchall()
            if len({folder for _, folder in mine}) != 1:
                return None
            harmless = (
                "SELECT path FROM file WHERE folder = ? AND reason IS NOT NULL AND NOT broken AND instance_uid = ''"
            )
            known = {path for path, _ in mine} | {path for (path,) in connection.execute(harmless, (mine[0][1],))}
        folder = self._root / str(mine[0][1])
        there = (e.name for e in os.scandir(folder) if not e.name.startswith(".") and not e.is_dir())
        return folder if all((folder / name).relative_to(self._root).as_posix() in known for name in there) else None

    def unread(self) -> list[Unread]:
        """Return the files that are not images, with the reason; they are looked at again when they change."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT path, reason, broken FROM file WHERE reason IS NOT NULL ORDER BY path")
            return [Unread(path, reason, bool(broken)) for path, reason, broken in rows]

    def results(self) -> list[tuple[str, str]]:
        """Return the files that are segmentations or reports rather than images, with what changes when they do."""
        query = """SELECT path, bytes || ' ' || mtime_ns FROM file WHERE reason IS NOT NULL AND NOT broken
            AND (reason LIKE '%Segmentation Storage%' OR reason LIKE '% SR Storage%') ORDER BY path"""
        with self._database.read() as connection:
            return connection.execute(query).fetchall()

    def missing(self) -> list[str]:
        """Return the ids of images whose files have gone and that have labels."""
        query = "SELECT id FROM image WHERE NOT present AND id IN (SELECT image_id FROM head) ORDER BY path, id"
        with self._database.read() as connection:
            return [row[0] for row in connection.execute(query)]

    def update_info(self, image_id: str, changes: Mapping[str, Any]) -> None:
        """Set some keys of an image's info; the others stay, whoever else is writing.

        Raises:
            NotFoundError: there never was an image with this id.
        """
        with self._database.write() as connection:
            info = {**_image(_row(connection, image_id)).info, **changes}
            connection.execute("UPDATE image SET info = ? WHERE id = ?", (json.dumps(info, default=str), image_id))
            note(connection, as_text(image_id), info)

    def set_checksum(self, image_id: str, checksum: str, *, signature: str) -> None:
        """Remember the checksum of an image, unless its file has changed since the signature was taken."""
        if self.signature(image_id) == signature:
            with self._database.write() as connection:
                connection.execute("UPDATE image SET checksum = ? WHERE id = ?", (checksum, image_id))


def _row(connection: sqlite3.Connection, image_id: str) -> tuple[Any, ...]:
    query = f"SELECT {_COLUMNS} FROM image WHERE id = ?"
    row: tuple[Any, ...] | None = connection.execute(query, (as_text(image_id),)).fetchone()
    if row is None:
        raise unknown_image(image_id)
    return row


def unknown_image(image_id: str) -> NotFoundError:
    """Return the error for an id nobody knows."""
    return NotFoundError(
        "image",
        expected="the id of an image in the studies folder",
        came=ascii(str(image_id)[:160]),
        fix="Ask for the list of images, or refresh the datastore if the image was just added.",
    )


def _image(row: tuple[Any, ...]) -> Image:
    values = dict(zip(_COLUMNS.replace(" ", "").split(","), row, strict=True))
    values["size"] = tuple(json.loads(values["size"]))
    values["info"] = json.loads(values["info"])
    values["present"] = bool(values["present"])
    return Image(**values)
