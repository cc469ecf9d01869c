"""The SQLite file behind the reviews. Events, proposals, readings and snapshots are only ever added."""

from __future__ import annotations

from pathlib import Path

from hepatic.store.connection import Connection, SharedDatabase
from hepatic.store.database import Database, Schema
from hepatic.store.postgres import Postgres

_SCHEMA = """
CREATE TABLE proposal (
  number INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT NOT NULL, patient TEXT NOT NULL, model TEXT NOT NULL,
  model_hash TEXT NOT NULL, content TEXT NOT NULL, at REAL NOT NULL, document TEXT NOT NULL
);
CREATE INDEX proposal_study ON proposal(study, number);
CREATE TABLE reading (
  number INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT NOT NULL, reader TEXT NOT NULL, round INTEGER NOT NULL,
  proposal INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('first', 'repeat', 'boxing', 'batch')), at REAL NOT NULL,
  UNIQUE (study, reader, round)
);
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, study TEXT NOT NULL,
  candidate TEXT NOT NULL, model_hash TEXT NOT NULL, reader TEXT NOT NULL, round INTEGER NOT NULL, verdict TEXT,
  box TEXT, of TEXT NOT NULL, shown_at REAL, decided_at REAL, hidden_ms REAL NOT NULL, device TEXT NOT NULL,
  tag TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX event_study ON event(study, seq);
CREATE INDEX event_tag ON event(tag, seq) WHERE tag <> '';
CREATE TABLE lease (
  study TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, reader TEXT NOT NULL, round INTEGER NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE known (
  number INTEGER PRIMARY KEY AUTOINCREMENT, study TEXT NOT NULL, boxes TEXT NOT NULL, source TEXT NOT NULL,
  at REAL NOT NULL
);
CREATE TABLE part (patient TEXT PRIMARY KEY, part TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE snapshot (
  sha256 TEXT PRIMARY KEY, number INTEGER NOT NULL, at REAL NOT NULL, asked_by TEXT NOT NULL, seq INTEGER NOT NULL,
  summary TEXT NOT NULL
) WITHOUT ROWID;
"""

_ADDED_ONLY = ("proposal", "reading", "event", "known", "part", "snapshot")


def _only_add(connection: Connection) -> None:
    """Refuse every change of what was written: also of a program that is wrong, or of a person with a SQLite shell."""
    for table in _ADDED_ONLY:
        for change in ("UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: rows are only ever added'); END"
            )


def _hold_classes(connection: Connection) -> None:
    """Verdicts may be classes of images from here on, which a hepatic that knows version 2 cannot read.

    A class becomes a label only by somebody who may save labels; of what was said before nobody knows, and it stands.
    """
    connection.execute("ALTER TABLE event ADD COLUMN may_label INTEGER NOT NULL DEFAULT 1")


REVIEWS = Schema(
    3,
    _SCHEMA,
    "review store",
    "restore the last copy of it: readers' decisions are nowhere else",
    upgrades=(_only_add, _hold_classes),
)


def open_reviews(folder: Path, url: str = "") -> SharedDatabase:
    """Open the review store of a folder, ``reviews.sqlite``, or the one that servers share; it is made if not there.

    Args:
        folder: of the data.
        url: of a PostgreSQL database, instead of the file.

    Raises:
        StorageError: it cannot be opened, read or written.
    """
    if url:
        return Postgres(url, REVIEWS, added_only=_ADDED_ONLY)
    return Database(folder / "reviews.sqlite", REVIEWS)
