"""Which segmentations and reports of others have been looked at, what came of it, and which labels are theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from hepatic.store.database import Database, Schema
from hepatic.store.label import RESTORED, Label

SOURCE = "pacs"
"""Key of a label's info: the object it was read from, and that object's series."""

Outcome = Literal["read", "ours", "other", "left", "later", "waits"]
"""It is a label now; it was sent from here; it is of another kind, such as a report of a dose; it is none of ours to
read; it is tried again; some of its images are not there yet."""

UNREAD = {"left": "left where they are", "later": "tried again later", "waits": "waiting for their images"}
"""Outcomes that give no label, in words."""

_PAUSES_S = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""After so long it is tried again; after the last of these it is left."""

_ALONG_WITH = timedelta(minutes=1)
"""So far apart are reports that say the same in two ways: in space and on slices."""


def _upgrade(connection: Any) -> None:
    """Keep which labels were found, which were known by what clients can write; everything is looked at again."""
    for statement in (
        "DROP TABLE seen",
        """CREATE TABLE seen (
          key TEXT PRIMARY KEY, stamp TEXT NOT NULL, outcome TEXT NOT NULL, told TEXT NOT NULL, tries INTEGER NOT NULL,
          next_at REAL NOT NULL, at REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX seen_later ON seen(next_at) WHERE outcome = 'later'",
        """CREATE TABLE awaited (
          key TEXT NOT NULL, series_uid TEXT NOT NULL, images INTEGER NOT NULL, PRIMARY KEY (key, series_uid)
        ) WITHOUT ROWID""",
        """CREATE TABLE origin (
          image_id TEXT NOT NULL, tag TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL, said TEXT NOT NULL,
          part TEXT NOT NULL, sop_uid TEXT NOT NULL, series_uid TEXT NOT NULL, made TEXT NOT NULL,
          tracking TEXT NOT NULL,
          PRIMARY KEY (image_id, tag, version)
        ) WITHOUT ROWID""",
    ):
        connection.execute(statement)


_SCHEMA = Schema(
    2,
    """
CREATE TABLE seen (
  key TEXT PRIMARY KEY, stamp TEXT NOT NULL, outcome TEXT NOT NULL, told TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID
""",
    "record of what was read of others",
    "they are read again; the labels that they gave are known again then, and are not sent by themselves until then",
    upgrades=(_upgrade,),
)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The object that a version of a label was read from.

    Attributes:
        image_id, tag, version, sha256: of the label.
        said: what its info says of the image, so that a change of it is one.
        part: of the object, which may hold two labels.
        sop_uid, series_uid: of the object.
        made: orders the objects of a series by when they were made.
        tracking: UIDs of the findings it is about.
    """

    image_id: str
    tag: str
    version: int
    sha256: str
    said: str
    part: str
    sop_uid: str
    series_uid: str
    made: str
    tracking: tuple[str, ...]


@dataclass(frozen=True)
class Unread:
    """An object of which there is no label.

    Attributes:
        key: UIDs of study, series and instance, or of a series whose instances could not be listed; the path of a file.
        outcome: what came of it.
        told: why; nothing that the object itself says.
        next_at: before which it is not tried again, seconds since 1970; 0 where it is not.
        at: when it was looked at last, seconds since 1970.
    """

    key: str
    outcome: Outcome
    told: str
    next_at: float
    at: float


class Inbox:
    """The record, one SQLite file.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # Objects

    def new(self, found: Iterable[tuple[str, str]]) -> list[str]:
        """Return the keys of what was not looked at as it is now (its stamp)."""
        stamps = dict(found)
        query = "SELECT key, stamp FROM seen WHERE key IN (SELECT value FROM json_each(?))"
        with self._database.read() as connection:
            seen = dict(connection.execute(query, (json.dumps(list(stamps)),)))
        return [key for key, stamp in stamps.items() if seen.get(key) != stamp]

    def due(self, images: Callable[[Sequence[str]], Mapping[str, int]]) -> list[str]:
        """Return the keys of what is to be tried again by now, and of what waited for images that have come.

        Args:
            images: tells how many images of each of some series are there; those of which there are none may lack.
        """
        with self._database.read() as connection:
            later = "SELECT key FROM seen WHERE outcome = 'later' AND next_at <= ? ORDER BY next_at"
            keys = [key for (key,) in connection.execute(later, (time.time(),))]
            awaited = connection.execute("SELECT key, series_uid, images FROM awaited").fetchall()
        there = images(sorted({series for _, series, _ in awaited})) if awaited else {}
        return list(dict.fromkeys([*keys, *(key for key, series, had in awaited if there.get(series, 0) != had)]))

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """Forget what gave no label and is there no more; it is looked at again where it comes back."""
        query = "SELECT key FROM seen WHERE outcome IN (SELECT value FROM json_each(?))"
        with self._database.read() as connection:
            keys = [key for (key,) in connection.execute(query, (json.dumps(list(UNREAD)),)) if is_gone(key)]
        if keys:
            with self._database.write() as connection:
                for table in ("seen", "awaited"):
                    connection.executemany(f"DELETE FROM {table} WHERE key = ?", [(key,) for key in keys])  # noqa: S608

    def unread(self, *, limit: int) -> list[Unread]:
        """Return the objects that were left, are tried again, or wait for their images, the last looked at first."""
        query = """SELECT key, outcome, told, next_at, at FROM seen WHERE outcome IN (SELECT value FROM json_each(?))
            ORDER BY at DESC, key LIMIT ?"""
        with self._database.read() as connection:
            return [Unread(*row) for row in connection.execute(query, (json.dumps(list(UNREAD)), limit))]

    def unread_counts(self) -> dict[str, int]:
        """Return how many of them there are of each outcome."""
        query = "SELECT outcome, count(*) FROM seen GROUP BY outcome"
        with self._database.read() as connection:
            found = dict(connection.execute(query).fetchall())
        return {outcome: int(found.get(outcome, 0)) for outcome in UNREAD}

    def note(
        self, key: str, stamp: str, outcome: Outcome, told: str = "", *, awaits: Mapping[str, int] | None = None
    ) -> Outcome:
        """Write down what came of it.

        Args:
            key: what it is.
            stamp: how it is now.
            outcome: what came of it; ``later`` becomes ``left`` when it was tried often enough.
            told: why.
            awaits: the series it waits for, with how many of their images are there.

        Returns:
            The outcome that is written down.
        """
        with self._database.write() as connection:
            query = "SELECT tries FROM seen WHERE key = ? AND stamp = ? AND outcome = 'later'"
            tries = next((row[0] for row in connection.execute(query, (key, stamp))), 0) if outcome == "later" else 0
            if tries == len(_PAUSES_S):
                outcome = "left"
            now = time.time()
            next_at = now + _PAUSES_S[tries] if outcome == "later" else 0.0
            values = (key, stamp, outcome, told, tries + 1, next_at, now)
            connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            connection.execute("DELETE FROM awaited WHERE key = ?", (key,))
            rows = [(key, series, had) for series, had in (awaits or {}).items()]
            connection.executemany("INSERT INTO awaited VALUES (?, ?, ?)", rows)
        return outcome

    # Labels

    def is_found(self, label: Label) -> bool:
        """Whether a label was read from an object, and nobody here has changed what it says since."""
        query = "SELECT sha256, said FROM origin WHERE image_id = ? AND tag = ? AND version = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (label.image_id, label.tag, label.version)).fetchone()
        return row is not None and tuple(row) == (label.sha256, said(label.info))

    def is_unsure(self, label: Label) -> bool:
        """Whether a label says it was read from an object of which the record knows nothing: it was lost, or is new."""
        if not isinstance(label.info.get(SOURCE), Mapping) or RESTORED in label.info:
            return False
        query = "SELECT 1 FROM origin WHERE image_id = ? AND tag = ? AND version = ?"
        with self._database.read() as connection:
            return connection.execute(query, (label.image_id, label.tag, label.version)).fetchone() is None

    def origins(self, image_id: str) -> list[Origin]:
        """Return what the labels of an image were read from; some of them may not have been saved in the end."""
        query = """SELECT image_id, tag, version, sha256, said, part, sop_uid, series_uid, made, tracking FROM origin
            WHERE image_id = ? ORDER BY tag, version"""
        with self._database.read() as connection:
            rows = connection.execute(query, (image_id,)).fetchall()
        names = [one.name for one in fields(Origin)]
        return [Origin(**dict(zip(names, (*row[:-1], tuple(json.loads(row[-1]))), strict=True))) for row in rows]

    def enter(self, origin: Origin) -> None:
        """Write down what a version that is about to be saved was read from."""
        values = (*astuple(origin)[:-1], json.dumps(origin.tracking))
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO origin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def strike(self, origin: Origin) -> None:
        """Take that back: the version was not saved."""
        query = "DELETE FROM origin WHERE image_id = ? AND tag = ? AND version = ?"
        with self._database.write() as connection:
            connection.execute(query, (origin.image_id, origin.tag, origin.version))


def said(info: Mapping[str, Any]) -> str:
    """Return what a label's info says of its image: classes, and which value is what."""
    return json.dumps([info.get("classes"), info.get("label_info")], sort_keys=True, default=str)


def structures(says: str) -> frozenset[str]:
    """Return the names of the segments of a label, by what ``said`` returns of it; none of a report."""
    listed = json.loads(says)[1]
    return frozenset(str(one["name"]) for one in listed or () if isinstance(one, Mapping) and one.get("name"))


def is_later(made: str, than: str) -> bool:
    """Whether an object was made later than one of another series, and not along with it.

    Args:
        made: ``LabelHeader.made`` of the object; one that says no time was made when the other was.
        than: of the other one.
    """
    try:
        return _moment(made) - _moment(than) > _ALONG_WITH
    except ValueError:
        return False


def _moment(made: str) -> datetime:
    date, time_of_day = made[:8], made[9:15].strip()
    return datetime.strptime(f"{date}{time_of_day:0<6}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - DICOM says no time zone here
