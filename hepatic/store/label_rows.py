"""How versions of labels lie in the index."""
# ruff: noqa: S608 - queries are put together from constants of this file

from __future__ import annotations

import json
import sqlite3
from typing import Any

from hepatic.errors import NotFoundError
from hepatic.store.images import unknown_image
from hepatic.store.label import Label, segment_names
from hepatic.store.names import as_text, check_tag

COLUMNS = "image_id, tag, version, author, model, model_hash, created, info, sha256, bytes, file"
HEAD = f"SELECT {COLUMNS.replace('info', 'label.info')} FROM head JOIN label USING (image_id, tag, version)"
"""The versions that count."""


def check_image(connection: sqlite3.Connection, image_id: str) -> None:
    """Raise NotFoundError unless there is such an image, or was."""
    if connection.execute("SELECT 1 FROM image WHERE id = ?", (as_text(image_id),)).fetchone() is None:
        raise unknown_image(image_id)


def last_version(connection: sqlite3.Connection, image_id: str, tag: str) -> int:
    """Return the number of the newest version of a label, tombstones included; 0 if there never was one."""
    query = "SELECT coalesce(max(version), 0) FROM label WHERE image_id = ? AND tag = ?"
    return int(connection.execute(query, (image_id, tag)).fetchone()[0])


def history(connection: sqlite3.Connection, image_id: str, tag: str) -> list[Label]:
    """Return all versions of a label, oldest first, tombstones included."""
    query = f"SELECT {COLUMNS} FROM label WHERE image_id = ? AND tag = ? ORDER BY version"
    return [label_of(row) for row in connection.execute(query, (as_text(image_id), check_tag(tag)))]


def head(connection: sqlite3.Connection, image_id: str, tag: str) -> Label:
    """Return the version of a label that counts; NotFoundError if there is none."""
    row = connection.execute(f"{HEAD} WHERE image_id = ? AND tag = ?", (as_text(image_id), check_tag(tag))).fetchone()
    if row is None:
        raise unknown_label(tag, "none")
    return label_of(row)


def insert(connection: sqlite3.Connection, label: Label) -> None:
    """Write a version; from now on it counts."""
    values = (*(getattr(label, name) for name in COLUMNS.split(", ")),)
    values = tuple(json.dumps(value, default=str) if isinstance(value, dict) else value for value in values)
    connection.execute(f"INSERT INTO label ({COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)
    set_head(connection, label)


def set_head(connection: sqlite3.Connection, label: Label) -> None:
    """Say that a version counts and which segments it names; of a tombstone, that none counts."""
    where = (label.image_id, label.tag)
    connection.execute("DELETE FROM segment WHERE image_id = ? AND tag = ?", where)
    if label.removed:
        connection.execute("DELETE FROM head WHERE image_id = ? AND tag = ?", where)
    else:
        new = "INSERT INTO head VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version"
        connection.execute(new, (*where, label.version))
        names = [(*where, name) for name in segment_names(label.info)]
        connection.executemany("INSERT OR IGNORE INTO segment VALUES (?, ?, ?)", names)


def label_of(row: tuple[Any, ...]) -> Label:
    """Return the version of a row with these columns."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    values["info"] = json.loads(values["info"])
    return Label(**values)


def unknown_label(tag: str, came: str) -> NotFoundError:
    """Return the error for a label or a version that is not there."""
    return NotFoundError(
        f"label '{tag}'",
        expected="a label this image has",
        came=came,
        fix="Ask for the image's labels and their history.",
    )
