"""The images that wait for a final label, kept in the orders in which one is asked for, so that none is listed.

Triggers keep the table ``waiting`` in line with images and labels. Its rows are numbered without gaps, from 1 on: to
draw one at random is to draw a number. Scores and hand-outs are noted where an image's info is written.
"""
# ruff: noqa: S608 - statements are put together from constants of this file

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hepatic.store.handed import read_handed
from hepatic.store.label import FINAL
from hepatic.store.score import Score, Version, read_scores

if TYPE_CHECKING:
    from hepatic.store.database import Database

_LARGEST = 2**63 - 1  # of SQLite's whole numbers
_NUMBER = "(SELECT coalesce(max(n), 0) + 1 FROM waiting)"
_NO_LABEL = f"NOT EXISTS (SELECT 1 FROM head WHERE image_id = NEW.id AND tag = '{FINAL}')"
_JOIN = f"INSERT INTO waiting SELECT {_NUMBER}, NEW.id, NEW.path"

SCHEMA = (
    "CREATE TABLE waiting (n INTEGER PRIMARY KEY, image_id TEXT NOT NULL UNIQUE, path TEXT NOT NULL)",
    "CREATE INDEX waiting_order ON waiting(path, image_id)",
    "CREATE TABLE handed (image_id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX handed_at ON handed(at)",
    """CREATE TABLE score (
         image_id TEXT NOT NULL, model TEXT NOT NULL, version NOT NULL, score REAL NOT NULL, waiting INTEGER NOT NULL,
         PRIMARY KEY (image_id, model)
       ) WITHOUT ROWID""",
    "CREATE INDEX score_of_model ON score(model, waiting, score DESC, image_id)",
    "CREATE INDEX score_of_version ON score(model, version, waiting, score DESC, image_id)",
    "INSERT INTO amount VALUES ('ever waiting', '', '', 0)",
    """CREATE TRIGGER wait_for_label AFTER INSERT ON waiting BEGIN
          UPDATE score SET waiting = 1 WHERE image_id = NEW.image_id;
          UPDATE amount SET n = n + 1 WHERE kind = 'ever waiting'; END""",
    """CREATE TRIGGER wait_no_more AFTER DELETE ON waiting BEGIN
         UPDATE waiting SET n = OLD.n WHERE n = (SELECT max(n) FROM waiting) AND n > OLD.n;
         UPDATE score SET waiting = 0 WHERE image_id = OLD.image_id; END""",
    f"""INSERT INTO waiting SELECT row_number() OVER (ORDER BY path, id), id, path FROM image
          WHERE present AND NOT EXISTS (SELECT 1 FROM head WHERE image_id = id AND tag = '{FINAL}')""",
    f"CREATE TRIGGER wait_new AFTER INSERT ON image WHEN NEW.present AND {_NO_LABEL} BEGIN {_JOIN}; END",
    f"""CREATE TRIGGER wait_back AFTER UPDATE OF present ON image
          WHEN NEW.present > OLD.present AND {_NO_LABEL} BEGIN {_JOIN}; END""",
    """CREATE TRIGGER wait_gone AFTER UPDATE OF present ON image WHEN NEW.present < OLD.present
         BEGIN DELETE FROM waiting WHERE image_id = NEW.id; END""",
    """CREATE TRIGGER wait_elsewhere AFTER UPDATE OF path ON image WHEN NEW.path <> OLD.path
         BEGIN UPDATE waiting SET path = NEW.path WHERE image_id = NEW.id; END""",
    f"""CREATE TRIGGER wait_labelled AFTER INSERT ON head WHEN NEW.tag = '{FINAL}'
          BEGIN DELETE FROM waiting WHERE image_id = NEW.image_id; END""",
    f"""CREATE TRIGGER wait_again AFTER DELETE ON head WHEN OLD.tag = '{FINAL}' BEGIN
          INSERT INTO waiting SELECT {_NUMBER}, id, path FROM image WHERE id = OLD.image_id AND present; END""",
)  # fmt: skip
"""Added in the index's second version, behind ``hepatic.store.counts``."""


def note(connection: sqlite3.Connection, image_id: str, info: Mapping[str, Any]) -> None:
    """Keep scores and hand-outs that an image's info now has where they are found in their order."""
    connection.execute("DELETE FROM score WHERE image_id = ?", (image_id,))
    connection.executemany(
        """INSERT INTO score SELECT ?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM waiting WHERE image_id = ?1)""",
        [(image_id, s.model, s.version, s.score) for s in read_scores(info) if _fits(s.version)],
    )
    connection.execute("DELETE FROM handed WHERE image_id = ?", (image_id,))
    if handed := read_handed(info):
        connection.execute("INSERT INTO handed VALUES (?, ?)", (image_id, max(one.at for one in handed)))


def note_all(connection: sqlite3.Connection) -> None:
    """Do so for every image: a store that was made before there was this table."""
    for image_id, info in connection.execute("SELECT id, info FROM image WHERE info <> '{}'").fetchall():
        note(connection, image_id, json.loads(info))


@dataclass(frozen=True)
class Waiting:
    """The images that wait for a final label, or those of them that are not to be passed over.

    Attributes:
        passed_over: ids of images that count as if they did not wait; each of them does.
    """

    database: Database
    passed_over: Collection[str] = field(default=())

    def __len__(self) -> int:
        """How many there are."""
        with self.database.read() as connection:
            (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM waiting").fetchone()
            return int(last) - len(self.passed_over)

    def first(self) -> str | None:
        """Return the first in the order of paths; None if there is none."""
        return self.nth(0)

    def nth(self, position: int) -> str | None:
        """Return the one at a position, from 0 on, in the order of paths. Takes longer the further it lies behind."""
        query = f"""SELECT image_id FROM waiting WHERE {self._is_meant} ORDER BY path, image_id LIMIT 1 OFFSET ?"""
        with self.database.read() as connection:
            row = connection.execute(query, (self._skip, position)).fetchone()
            return None if row is None else str(row[0])

    def any(self) -> str | None:
        """Draw one, each with equal chance; None if there is none."""
        count = len(self)
        if count < len(self.passed_over):
            return self.nth(random.randrange(count)) if count > 0 else None
        while count:  # no more than every second draw is one to pass over
            with self.database.read() as connection:
                (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM waiting").fetchone()
                number = random.randint(1, last) if last else 0
                row = connection.execute("SELECT image_id FROM waiting WHERE n = ?", (number,)).fetchone()
            if row is None:
                return self.first()
            if row[0] not in self.passed_over:
                return str(row[0])
        return None

    def best(self, model: str, version: Version | None = None) -> tuple[str, Score] | None:
        """Return the one with the highest score by a model, or by this version of it; None if none has any."""
        of_version = "" if version is None else "AND version = ?3"
        query = f"""SELECT image_id, version, score FROM score WHERE model = ?2 {of_version} AND waiting = 1
            AND {self._is_meant.replace("?", "?1")} ORDER BY score DESC, image_id LIMIT 1"""
        known = (self._skip, model) if version is None else (self._skip, model, version)
        if version is not None and not _fits(version):
            return None
        with self.database.read() as connection:
            row = connection.execute(query, known).fetchone()
            return None if row is None else (str(row[0]), Score(model, row[1], row[2]))

    def handed_since(self, moment: float) -> list[tuple[str, dict[str, Any]]]:
        """Return those that were handed to somebody after a moment, in seconds since 1970, with their info."""
        query = """SELECT id, info FROM handed JOIN waiting USING (image_id) JOIN image ON id = image_id WHERE at > ?"""
        with self.database.read() as connection:
            return [(id, json.loads(info)) for id, info in connection.execute(query, (moment,))]

    def without_score(self, model: str, version: Version) -> list[str]:
        """Return those that a version of a model has not scored, in the order of paths."""
        query = """SELECT image_id FROM waiting WHERE NOT EXISTS (SELECT 1 FROM score
            WHERE score.image_id = waiting.image_id AND model = ? AND version = ?) ORDER BY path, image_id"""
        with self.database.read() as connection:
            return [id for (id,) in connection.execute(query, (model, version))]

    def infos(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all of them with their info, in the order of paths."""
        query = "SELECT image_id, info FROM waiting JOIN image ON id = image_id ORDER BY waiting.path, image_id"
        with self.database.read() as connection:
            rows = connection.execute(query).fetchall()
        return [(id, {} if info == "{}" else json.loads(info)) for id, info in rows if id not in self.passed_over]

    def arrivals(self) -> int:
        """Return a number that grows whenever an image begins to wait; while it stays the same there is no new one."""
        with self.database.read() as connection:
            return int(connection.execute("SELECT n FROM amount WHERE kind = 'ever waiting'").fetchone()[0])

    @property
    def _skip(self) -> str:
        return json.dumps(list(self.passed_over))

    @property
    def _is_meant(self) -> str:
        return "image_id NOT IN (SELECT value FROM json_each(?))"


def _fits(version: Version) -> bool:
    return isinstance(version, str) or abs(version) <= _LARGEST
