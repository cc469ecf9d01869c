"""What goes to the PACS: what waits, what was sent, what it refused. Survives restarts; nothing is sent twice.

What is to be sent is not queued when it is made: it is derived from the stores at each look (``take``), so that nothing
can be lost between the two. The outbox adds what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from hepatic.io.dicom_instance import Reference
from hepatic.store.database import Database, Schema

State = Literal["waiting", "sent", "refused", "left_out"]
"""It is sent as soon as the PACS takes it; the PACS has it; it will not take it; no DICOM object can be made of it."""

_SCHEMA = Schema(
    1,
    """
CREATE TABLE entry (
  result TEXT NOT NULL, number INTEGER NOT NULL, version TEXT NOT NULL, about TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0, told TEXT NOT NULL DEFAULT '',
  at REAL NOT NULL, PRIMARY KEY (result, number)
) WITHOUT ROWID;
CREATE INDEX entry_state ON entry(state, at);
CREATE TABLE instance (
  sop_uid TEXT PRIMARY KEY, result TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, study_uid TEXT NOT NULL,
  series_uid TEXT NOT NULL, sop_class_uid TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX instance_result ON instance(result, number);
CREATE TABLE asked (result TEXT PRIMARY KEY) WITHOUT ROWID
""",
    "record of what was sent to the PACS",
    "what is there already is found there, and not sent again",
)
_COLUMNS = "result, number, version, about, state, attempts, next_at, told, at"


@dataclass(frozen=True)
class Due:
    """A result as it stands now, which the PACS should have.

    Attributes:
        result: what it is, the same for all its versions.
        version: another one whenever its content is another.
        number: of that version, where it has one; the outbox counts where it is 0.
        about: the same for people; no names of patients.
    """

    result: str
    version: str
    number: int = 0
    about: str = ""


@dataclass(frozen=True)
class Entry:
    """One version of a result, and what became of it.

    Attributes:
        attempts: how often the PACS refused it or failed at it.
        next_at: before which it is not tried again, seconds since 1970.
        told: why it is not sent; empty where nothing is wrong.
        at: when its state became what it is, seconds since 1970.
    """

    result: str
    number: int
    version: str
    about: str
    state: State
    attempts: int
    next_at: float
    told: str
    at: float


class Outbox:
    """The record, one SQLite file; threads and processes may share it.

    Args:
        path: the file; made if it is not there.

    Raises:
        StorageError: it cannot be opened, read or written.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def take(self, due: Iterable[Due]) -> bool:
        """Let those wait that were not sent in this version, and no others: what has gone meanwhile is not sent.

        Returns:
            Whether any of them is new.
        """
        now = {one.result: one for one in due}
        with self._database.read() as connection:
            query = "SELECT result, number, version, state FROM entry ORDER BY number"
            newest = {row[0]: row for row in connection.execute(query)}
            waiting = list(connection.execute("SELECT result, number, version FROM entry WHERE state = 'waiting'"))
        new = [one for one in now.values() if one.result not in newest or newest[one.result][2] != one.version]
        done = [one.result for one in now.values() if one not in new and newest[one.result][3] == "sent"]
        gone = [row[:2] for row in waiting if row[0] not in now or now[row[0]].version != row[2]]
        if done:
            self.unask(done)
        if not new and not gone:
            return False
        at = time.time()
        with self._database.write() as connection:
            connection.executemany("DELETE FROM entry WHERE result = ? AND number = ? AND state = 'waiting'", gone)
            connection.executemany(
                "INSERT OR IGNORE INTO entry (result, number, version, about, state, at) "
                "VALUES (?, max(?, (SELECT coalesce(max(number), 0) + 1 FROM entry WHERE result = ?)), ?, ?, "
                "'waiting', ?)",
                [(one.result, one.number, one.result, one.version, one.about, at) for one in new],
            )
        return bool(new)

    def ready(self, *, now: float) -> list[Entry]:
        """Return what waits and may be tried: what has not failed yet, then what has; the oldest first."""
        return self._entries("state = 'waiting' AND next_at <= ? ORDER BY told != '', at, result", now)

    def entries(self, state: State | None = None, *, limit: int = 100, offset: int = 0) -> list[Entry]:
        """Return entries (in a state), the last changed first."""
        where = "? IN ('', state) ORDER BY at DESC, result LIMIT ? OFFSET ?"
        return self._entries(where, state or "", limit, offset)

    def counts(self) -> dict[State, int]:
        """Return how many entries are in each state."""
        with self._database.read() as connection:
            found = dict(connection.execute("SELECT state, count(*) FROM entry GROUP BY state").fetchall())
        return {state: int(found.get(state, 0)) for state in get_args(State)}

    def write_down(self, entry: Entry, instances: Mapping[str, Reference]) -> None:
        """Note, before they are sent, which instances by name an entry becomes: from then on they are known as ours."""
        rows = [
            (one.sop_uid, entry.result, entry.number, name, one.study_uid, one.series_uid, one.sop_class_uid)
            for name, one in instances.items()
        ]
        with self._database.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def settle(self, entry: Entry, state: State, told: str = "") -> None:
        """Note what became of an entry."""
        self._set(entry, state, told, entry.attempts, 0.0)

    def postpone(self, entry: Entry, told: str, *, until: float) -> None:
        """Note why the PACS did not take an entry, and when it is asked again."""
        self._set(entry, "waiting", told, entry.attempts + 1, until)

    def put_last(self, entry: Entry, told: str) -> None:
        """Note why an entry was not sent, and let the others that wait be tried before it."""
        self._set(entry, "waiting", told, entry.attempts, 0.0)

    def has_sent_since(self, entry: Entry) -> bool:
        """Whether another was sent after this one failed last, or since it waits."""
        with self._database.read() as connection:
            query = "SELECT 1 FROM entry WHERE state = 'sent' AND at > ? LIMIT 1"
            return connection.execute(query, (entry.at,)).fetchone() is not None

    def replaced(self, entry: Entry) -> dict[str, Reference]:
        """Return, by name, the instances of the version before that the PACS has."""
        query = """SELECT name, study_uid, series_uid, sop_class_uid, sop_uid FROM instance
            JOIN entry USING (result, number) WHERE result = ? AND number < ? AND state = 'sent' ORDER BY number"""
        with self._database.read() as connection:
            return {
                name: Reference(study_uid=study, series_uid=series, sop_class_uid=kind, sop_uid=uid)
                for name, study, series, kind, uid in connection.execute(query, (entry.result, entry.number))
            }

    def ours(self, sop_uids: Collection[str]) -> set[str]:
        """Return those of the SOPInstanceUIDs that were sent from here."""
        with self._database.read() as connection:
            query = "SELECT 1 FROM instance WHERE sop_uid = ?"
            return {uid for uid in sop_uids if connection.execute(query, (uid,)).fetchone()}

    def ask(self, result: str) -> None:
        """Note that somebody wants one result sent, once: it is tried again if it was refused, left out or put off."""
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO asked VALUES (?)", (result,))
        self.retry(result)

    def asked(self) -> list[str]:
        """Return the results that somebody wants sent and that the PACS has not got."""
        with self._database.read() as connection:
            return [result for (result,) in connection.execute("SELECT result FROM asked ORDER BY result")]

    def unask(self, results: Collection[str]) -> None:
        """Forget that somebody wants them."""
        if set(results) & set(self.asked()):
            with self._database.write() as connection:
                connection.executemany("DELETE FROM asked WHERE result = ?", [(result,) for result in results])

    def newest(self) -> dict[str, str]:
        """Return the last version of every result."""
        with self._database.read() as connection:
            return dict(connection.execute("SELECT result, version FROM entry ORDER BY number").fetchall())

    def retry(self, result: str = "") -> int:
        """Try again now what was refused, left out or put off: one result, or all; return how many."""
        with self._database.write() as connection:
            changed = connection.execute(
                "UPDATE entry SET state = 'waiting', attempts = 0, next_at = 0 WHERE ? IN ('', result) "
                "AND (state IN ('refused', 'left_out') OR (state = 'waiting' AND next_at > 0)) "
                "AND number = (SELECT max(number) FROM entry other WHERE other.result = entry.result) RETURNING 1",
                (result,),
            )
            return len(changed.fetchall())

    def _set(self, entry: Entry, state: State, told: str, attempts: int, next_at: float) -> None:
        with self._database.write() as connection:
            connection.execute(
                "UPDATE entry SET state = ?, told = ?, attempts = ?, next_at = ?, at = ? "
                "WHERE result = ? AND number = ?",
                (state, told, attempts, next_at, time.time(), entry.result, entry.number),
            )
            if state == "sent":
                connection.execute("DELETE FROM asked WHERE result = ?", (entry.result,))

    def _entries(self, where: str, *parameters: object) -> list[Entry]:
        with self._database.read() as connection:
            query = f"SELECT {_COLUMNS} FROM entry WHERE {where}"  # noqa: S608 - of constants of this file
            return [Entry(*row) for row in connection.execute(query, parameters)]
