"""Labels and their history: a version is written once and never changed or overwritten.

A label file is on disk under its final name before its row is committed. A crash in between leaves a file without a
row; it is adopted (as the next version, ``info["adopted"]``) at the next start or the next save of that label, never
removed: it may be the only copy of somebody's work. For the same reason the labels survive the loss of the index.
"""
# ruff: noqa: S608 - queries are put together from constants

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepatic.errors import ConflictError, NotFoundError
from hepatic.store import label_rows as rows
from hepatic.store.database import Database
from hepatic.store.disk import make_folder, put_in_place, remove_stale, sha256_of, storage, write_temporary
from hepatic.store.label import RESTORED, Label, check_unchanged
from hepatic.store.names import LABEL_SUFFIXES, as_text, check_tag, folder_key, label_suffix, name_of_key

_FILE = re.compile(r"([1-9][0-9]{0,8})(" + "|".join(re.escape(suffix) for suffix in LABEL_SUFFIXES) + ")")
_STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class Reconciled:
    """What was found at start-up.

    Attributes:
        adopted: labels whose file was there without a row, and that are versions now.
        vanished: versions whose file has gone.
        unclaimed: files below the labels folder that belong to no image or no version; left where they are.
        stale: unfinished temporary files that were removed.
    """

    adopted: tuple[Label, ...]
    vanished: tuple[Label, ...]
    unclaimed: tuple[str, ...]
    stale: int


class Labels:
    """The labels of one studies folder, in ``labels/<image>/<tag>/<version><suffix>`` below the data folder."""

    def __init__(self, database: Database, data: Path) -> None:
        self._database = database
        self._data = data

    def save(
        self,
        image_id: str,
        tag: str,
        source: Path,
        *,
        name: str = "",
        author: str = "",
        model: str = "",
        model_hash: str = "",
        info: Mapping[str, Any] | None = None,
        after: Sequence[Label] | None = None,
    ) -> Label:
        """Keep a copy of a file as the next version of a label; when this returns, it survives a power cut.

        Args:
            name: file name that says the kind of label, by default that of the source.
            after: the history that it continues; by default whatever was saved before.

        Raises:
            NotFoundError: no such image.
            BadInputError: the tag or the kind of file is not allowed.
            ConflictError: something was saved, removed or told since that history was read.
            StorageError: the disk is full or cannot be written; nothing was saved.
        """
        suffix = label_suffix(name or source.name)
        folder = self._folder(image_id, tag)
        with self._database.read() as connection:
            rows.check_image(connection, image_id)
        with storage("save the label"):
            make_folder(folder)
            written = write_temporary(source, folder)
            target: Path | None = None

            def undo() -> None:
                if target is not None and not self._is_committed(target.relative_to(self._data).as_posix()):
                    target.unlink(missing_ok=True)

            try:
                with self._database.write(undo=undo) as connection:
                    rows.check_image(connection, image_id)
                    adopted = self._adopt(connection, image_id, tag)
                    if after is not None and rows.history(connection, image_id, tag) != list(after):
                        raise ConflictError(
                            f"label '{tag}'", expected="its history as it was", came="another", fix="Look again."
                        )
                    version = adopted[-1].version if adopted else rows.last_version(connection, image_id, tag)
                    target = folder / f"{version + 1}{suffix}"
                    put_in_place(written.path, target)
                    label = Label(
                        image_id, tag, version + 1, author, model, model_hash, _now(), dict(info or {}),
                        written.sha256, written.bytes, target.relative_to(self._data).as_posix(),
                    )  # fmt: skip
                    rows.insert(connection, label)
            finally:
                written.path.unlink(missing_ok=True)
        return label

    def latest(self, image_id: str, tag: str) -> Label:
        """Return the version of a label that counts.

        Raises:
            NotFoundError: there is none, or it was removed.
        """
        with self._database.read() as connection:
            return rows.head(connection, image_id, tag)

    def history(self, image_id: str, tag: str) -> list[Label]:
        """Return all versions of a label, oldest first, tombstones included; none if there never was one."""
        with self._database.read() as connection:
            return rows.history(connection, image_id, tag)

    def get(self, image_id: str, tag: str, version: int) -> Label:
        """Return one version of a label.

        Raises:
            NotFoundError: there is no such version.
        """
        query = f"SELECT {rows.COLUMNS} FROM label WHERE image_id = ? AND tag = ? AND version = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (as_text(image_id), check_tag(tag), version)).fetchone()
        if row is None:
            raise rows.unknown_label(tag, f"version {version}")
        return rows.label_of(row)

    def path(self, label: Label) -> Path:
        """Return the file of a version, absolute.

        Raises:
            NotFoundError: it is a tombstone, or its file has gone.
        """
        path = self._data / label.file
        if label.removed or not path.is_file():
            raise rows.unknown_label(label.tag, f"version {label.version}, whose file is not there")
        return path

    def restore(
        self, image_id: str, tag: str, version: int, *, author: str = "", info: Mapping[str, Any] | None = None
    ) -> Label:
        """Save an old version again as the newest one; ``info`` is added to what it told.

        Raises:
            NotFoundError: there is no such version, or it is a tombstone.
            ConflictError: its file is not what was saved.
        """
        old = self.get(image_id, tag, version)
        path = self.path(old)
        fix = "Restore another version, or the file from a backup."
        check_unchanged(path, old.sha256, f"version {version} of label '{tag}'", fix=fix)
        told = {**old.info, **(info or {}), RESTORED: version}
        return self.save(
            image_id, tag, path, author=author or old.author, model=old.model, model_hash=old.model_hash, info=told
        )

    def remove(self, image_id: str, tag: str, *, author: str = "", info: Mapping[str, Any] | None = None) -> Label:
        """Say that a label no longer counts: a tombstone is added, with its own ``info``; all versions stay.

        Raises:
            NotFoundError: there is no such label.
        """
        with self._database.write() as connection:
            return self._bury(connection, rows.head(connection, image_id, tag), author, info)

    def remove_all(self, image_id: str, connection: sqlite3.Connection, *, author: str = "") -> None:
        """Remove all labels of an image, in the step whose connection is lent."""
        for row in connection.execute(f"{rows.HEAD} WHERE image_id = ?", (as_text(image_id),)).fetchall():
            self._bury(connection, rows.label_of(row), author)

    def update_info(self, image_id: str, tag: str, changes: Mapping[str, Any]) -> None:
        """Set some keys of the newest version's info; the others stay, whoever else is writing.

        Raises:
            NotFoundError: there is no such label.
        """
        with self._database.write() as connection:
            head = rows.head(connection, image_id, tag)
            changed = replace(head, info={**head.info, **changes})
            connection.execute(
                "UPDATE label SET info = ? WHERE image_id = ? AND tag = ? AND version = ?",
                (json.dumps(changed.info, default=str), image_id, tag, head.version),
            )
            rows.set_head(connection, changed)

    def tags(self, image_id: str) -> list[str]:
        """Return the tags of the labels an image has."""
        with self._database.read() as connection:
            query = "SELECT tag FROM head WHERE image_id = ? ORDER BY tag"
            return [tag for (tag,) in connection.execute(query, (as_text(image_id),))]

    def heads(self, *, tag: str | None = None) -> list[Label]:
        """Return the version that counts of every label (with a tag) of the images that are there."""
        query = f"{rows.HEAD} JOIN image ON image.id = image_id WHERE image.present"
        query, parameters = (query, ()) if tag is None else (f"{query} AND tag = ?", (check_tag(tag),))
        with self._database.read() as connection:
            found = connection.execute(f"{query} ORDER BY image.path, image.id, tag", parameters)
            return [rows.label_of(row) for row in found]

    def state(self) -> tuple[object, ...]:
        """Return something that changes when a label is saved, removed or told more of; quick for many of them."""
        with self._database.read() as connection:
            query = "SELECT count(*), max(created), total(length(info)) FROM label"
            return tuple(connection.execute(query).fetchone())

    def labelled(self, tag: str, *, names: Iterable[str] = ()) -> list[str]:
        """Return the images that are there and have a label with this tag (and all these segments)."""
        return self._images(tag, names, "")

    def unlabelled(self, tag: str, *, names: Iterable[str] = ()) -> list[str]:
        """Return the images that are there and have no label with this tag (and all these segments)."""
        return self._images(tag, names, "NOT")

    def reconcile(self) -> Reconciled:
        """Compare the label files with the index: adopt files without a row, report rows without a file."""
        adopted: list[Label] = []
        unclaimed: list[str] = []
        stale = 0
        with self._database.read() as connection:
            query = f"SELECT {rows.COLUMNS} FROM label WHERE file <> '' ORDER BY image_id, tag, version"
            listed = {label.file: label for label in map(rows.label_of, connection.execute(query))}
        found = set()
        with storage("read the labels folder"):
            for folder in _folders(self._data / "labels"):
                stale += remove_stale(folder, older_than_s=_STALE_SECONDS)
                files = {f"{folder.relative_to(self._data).as_posix()}/{name}" for name in _visible(folder)}
                found |= files
                if files - listed.keys():
                    adopted += self._adopt_folder(folder)
                    claimed = {label.file for label in adopted}
                    unclaimed += sorted(f for f in files - listed.keys() - claimed if not self._is_committed(f))
        vanished = [label for file, label in listed.items() if file not in found and not (self._data / file).is_file()]
        return Reconciled(tuple(adopted), tuple(vanished), tuple(unclaimed), stale)

    def _folder(self, image_id: str, tag: str) -> Path:
        return self._data / "labels" / folder_key(image_id) / folder_key(check_tag(tag))

    def _adopt_folder(self, folder: Path) -> list[Label]:
        image_id, tag = name_of_key(folder.parent.name), name_of_key(folder.name)
        if image_id is None or tag is None:
            return []
        with self._database.write() as connection, suppress(NotFoundError):
            rows.check_image(connection, image_id)
            return self._adopt(connection, image_id, tag)
        return []

    def _adopt(self, connection: sqlite3.Connection, image_id: str, tag: str) -> list[Label]:
        """Make rows for files that are there under a version nobody has; the caller holds the write lock."""
        folder, last, adopted = self._folder(image_id, tag), rows.last_version(connection, image_id, tag), []
        matches = [match for match in map(_FILE.fullmatch, _visible(folder)) if match]
        for match in sorted(matches, key=lambda match: int(match.group(1))):
            version, path = int(match.group(1)), folder / match.group()
            if version > last:
                status = path.stat()
                label = Label(
                    image_id, tag, version, "", "", "", _iso(status.st_mtime), {"adopted": True},
                    sha256_of(path), status.st_size, path.relative_to(self._data).as_posix(),
                )  # fmt: skip
                rows.insert(connection, label)
                adopted.append(label)
                last = version
        return adopted

    def _bury(
        self, connection: sqlite3.Connection, head: Label, author: str, info: Mapping[str, Any] | None = None
    ) -> Label:
        version = rows.last_version(connection, head.image_id, head.tag) + 1
        tombstone = Label(head.image_id, head.tag, version, author, "", "", _now(), dict(info or {}), "", 0, "")
        rows.insert(connection, tombstone)
        return tombstone

    def _is_committed(self, file: str) -> bool:
        with self._database.read() as connection:
            return connection.execute("SELECT 1 FROM label WHERE file = ?", (file,)).fetchone() is not None

    def _images(self, tag: str, names: Iterable[str], negation: str) -> list[str]:
        wanted = sorted(set(names))
        has_label = """EXISTS (SELECT 1 FROM head WHERE head.image_id = image.id AND head.tag = ?) AND NOT EXISTS (
            SELECT 1 FROM json_each(?) WHERE value NOT IN (
              SELECT name FROM segment WHERE segment.image_id = image.id AND segment.tag = ?))"""
        query = f"SELECT id FROM image WHERE present AND {negation} ({has_label}) ORDER BY path, id"
        with self._database.read() as connection:
            found = connection.execute(query, (check_tag(tag), json.dumps(wanted), tag))
            return [row[0] for row in found]


def _folders(labels: Path) -> list[Path]:
    if not labels.is_dir():
        return []
    images = [Path(entry.path) for entry in os.scandir(labels) if entry.is_dir(follow_symlinks=False)]
    return [Path(e.path) for image in sorted(images) for e in os.scandir(image) if e.is_dir(follow_symlinks=False)]


def _visible(folder: Path) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
