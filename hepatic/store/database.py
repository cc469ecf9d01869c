"""The SQLite files behind the index and the jobs: many processes and threads, one writer at a time.

WAL, so that readers never wait; synchronous=FULL, so that what was acknowledged survives a power cut. WAL needs shared
memory: the folder must be on a local disk, not on a network file system.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatic.store import counts, waiting
from hepatic.store.disk import DiskFullError, StorageError, make_folder, storage

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE image (
  id TEXT PRIMARY KEY, path TEXT NOT NULL, modality TEXT NOT NULL, patient_id TEXT NOT NULL, study_uid TEXT NOT NULL,
  series_uid TEXT NOT NULL, instance_uid TEXT NOT NULL, kind TEXT NOT NULL, size TEXT NOT NULL,
  description TEXT NOT NULL, added TEXT NOT NULL, checksum TEXT NOT NULL DEFAULT '', info TEXT NOT NULL DEFAULT '{}',
  present INTEGER NOT NULL DEFAULT 1, file_count INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE INDEX image_listing ON image(present, path, id);
CREATE INDEX image_study ON image(study_uid);
CREATE INDEX image_patient ON image(patient_id);
CREATE TABLE file (
  path TEXT PRIMARY KEY, folder TEXT NOT NULL, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  image_id TEXT, instance_uid TEXT NOT NULL DEFAULT '', depth INTEGER NOT NULL DEFAULT 1, reason TEXT,
  broken INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX file_image ON file(image_id, path);
CREATE INDEX file_folder ON file(folder);
CREATE INDEX file_broken ON file(broken) WHERE broken;
CREATE INDEX file_instance ON file(instance_uid) WHERE instance_uid <> '';
CREATE INDEX file_reason ON file(path) WHERE reason IS NOT NULL;
CREATE TABLE label (
  image_id TEXT NOT NULL, tag TEXT NOT NULL, version INTEGER NOT NULL, author TEXT NOT NULL, model TEXT NOT NULL,
  model_hash TEXT NOT NULL, created TEXT NOT NULL, info TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,
  file TEXT NOT NULL, PRIMARY KEY (image_id, tag, version)
) WITHOUT ROWID;
CREATE TABLE head (
  image_id TEXT NOT NULL, tag TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (image_id, tag)
) WITHOUT ROWID;
CREATE INDEX head_tag ON head(tag, image_id);
CREATE TABLE segment (
  image_id TEXT NOT NULL, tag TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (image_id, tag, name)
) WITHOUT ROWID;
CREATE INDEX segment_name ON segment(tag, name);
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Schema:
    """What a database holds.

    Attributes:
        version: goes up with every change of the statements.
        statements: that create it, each ended by a semicolon.
        holds: what its user calls it, in messages.
        if_damaged: what happens when a damaged file is moved away.
        upgrades: what leads from each version to the next; the statements create the first.
    """

    version: int
    statements: str
    holds: str
    if_damaged: str
    upgrades: tuple[Callable[[Any], None], ...] = ()


def _keep_counts(connection: sqlite3.Connection) -> None:
    for statement in (*counts.SCHEMA, *waiting.SCHEMA):
        connection.execute(statement)
    waiting.note_all(connection)


INDEX = Schema(
    SCHEMA_VERSION,
    _SCHEMA,
    "index",
    "images are scanned and labels adopted again at the next start",
    upgrades=(_keep_counts,),
)


class Database:
    """Connections to one SQLite file; safe to share between threads, and after a fork.

    Args:
        path: the file; made if it is not there.
        schema: what it holds.
        busy_timeout_s: how long to wait for another writer.

    Raises:
        StorageError: the file cannot be opened, read or written, or is of a newer hepatic.
    """

    def __init__(self, path: Path, schema: Schema = INDEX, *, busy_timeout_s: float = 30.0) -> None:
        self.path, self._schema = path, schema
        self._busy_timeout_s = busy_timeout_s
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()
        with storage(f"create the folder {path.parent.name}"):
            make_folder(path.parent)
        with _readable_errors(path, self._schema):
            self._create()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading; every statement sees what was committed before it."""
        connection = self._take()
        try:
            with _readable_errors(self.path, self._schema):
                yield connection
        finally:
            self._give_back(connection)

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading; all its statements see one moment."""
        with self.read() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def write(self, *, undo: Callable[[], None] | None = None) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a write transaction; no other process writes meanwhile.

        Args:
            undo: called if the transaction fails; while the write lock is still held, unless SQLite has given it up by
                itself, as it does when the disk is full.
        """
        connection = self._take()
        try:
            with _readable_errors(self.path, self._schema):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if undo is not None:
                        undo()
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close the connections nobody is using; the database opens new ones if it is used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._pid != os.getpid():  # forked: SQLite connections must not be carried over, nor closed here
                self._inherited, self._idle, self._pid = self._idle, [], os.getpid()
            if self._idle:
                return self._idle.pop()
        with _readable_errors(self.path, self._schema):
            return self._open()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:  # it could not even be rolled back
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _create(self) -> None:
        connection = self._open()
        try:
            self._switch_to_wal(connection)
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in self._schema.statements.split(";"):
                    connection.execute(statement)
            for step in self._schema.upgrades[max(0, version - 1) :]:
                step(connection)
            if version < self._schema.version:
                connection.execute(f"PRAGMA user_version = {self._schema.version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        if version > self._schema.version:
            connection.close()
            raise StorageError(
                f"{self.path.name} was written by a newer hepatic (schema {version}, this one knows "
                f"{self._schema.version}). Update hepatic."
            )
        self._give_back(connection)

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """SQLite's busy timeout does not cover the change of journal mode, so wait here."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


@contextmanager
def _readable_errors(path: Path, schema: Schema) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise DiskFullError("The disk is full: free some space and try again.") from error
        raise StorageError(
            f"The {schema.holds} {path.name} cannot be used: {error}. Check free space and the rights on its folder; "
            f"if the file is damaged, move it away: {schema.if_damaged}."
        ) from error
