"""Which segmentations and reports of others have been looked at, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from hepatic.store.database import Database, Schema

Outcome = Literal["read", "ours", "left", "later"]
"""It is a label now; it was sent from here; it is none of ours to read; its image is not there yet."""

_AGAIN_S = 600.0
_SCHEMA = Schema(
    1,
    """
CREATE TABLE seen (
  key TEXT PRIMARY KEY, stamp TEXT NOT NULL, outcome TEXT NOT NULL, told TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID
""",
    "record of what was read of others",
    "it is read again, as further versions",
)


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

    def new(self, found: Iterable[tuple[str, str]]) -> list[str]:
        """Return the keys of what was not looked at as it is now (its stamp), or waited long enough for its image."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT key, stamp, outcome, at FROM seen")
            seen = {key: stamp for key, stamp, outcome, at in rows if outcome != "later" or not _is_due(at)}
        return [key for key, stamp in found if seen.get(key) != stamp]

    def waits(self, keys: Collection[str]) -> bool:
        """Whether one of these waits for its image."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT key FROM seen WHERE outcome = 'later'")
            return any(key in keys for (key,) in rows)

    def note(self, key: str, stamp: str, outcome: Outcome, told: str = "") -> None:
        """Write down what came of it."""
        with self._database.write() as connection:
            values = (key, stamp, outcome, told, time.time())
            connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", values)


def _is_due(at: float) -> bool:
    return time.time() - at > _AGAIN_S
