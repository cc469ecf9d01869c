"""Studies that somebody opened, which are asked for by themselves where the list of the PACS lacks them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from hepatic.errors import NotFoundError
from hepatic.pacs.attributes import Attributes, text
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsDownError, PacsError
from hepatic.store.database import Database

TABLE = "CREATE TABLE opened (study_uid TEXT PRIMARY KEY, asked REAL NOT NULL) WITHOUT ROWID"

_AT_ONCE = 20


@dataclass(frozen=True)
class Answers:
    """What the server said of opened studies.

    Attributes:
        series: those it has, by SeriesInstanceUID.
        unknown: studies that were not asked for this time, or without an answer.
        failures: why there was no answer, by StudyInstanceUID.
    """

    series: Mapping[str, Attributes]
    unknown: Set[str]
    failures: Mapping[str, PacsError]


class Opened:
    """The record of such studies.

    Args:
        client: asks the server.
        database: has the table.
        fields: keywords of what is asked of their series.
    """

    def __init__(self, client: PacsClient, database: Database, *, fields: Sequence[str]) -> None:
        self._client, self._database, self._fields = client, database, fields

    def note(self, study_uid: str) -> None:
        """Write down that somebody opened a study."""
        with self._database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO opened VALUES (?, 0)", (study_uid,))

    def ask(self, studies: Collection[str]) -> Answers:
        """Ask for those of some studies that somebody opened: a few at a time, in turn."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT study_uid FROM opened ORDER BY asked").fetchall()
        opened = [uid for (uid,) in rows if uid in studies]
        series: dict[str, Attributes] = {}
        failures: dict[str, PacsError] = {}
        answered = set()
        for study in opened[:_AT_ONCE]:
            try:
                found = self._client.series({"StudyInstanceUID": study}, fields=self._fields)
            except NotFoundError:
                found = []
            except PacsError as failure:
                failures[study] = failure
                if isinstance(failure, PacsDownError):
                    break
                continue
            answered.add(study)
            series |= {text(one, "SeriesInstanceUID"): one for one in found if text(one, "StudyInstanceUID") == study}
        asked = [(time.time(), study) for study in (*answered, *failures)]
        if asked:
            with self._database.write() as connection:
                connection.executemany("UPDATE opened SET asked = ? WHERE study_uid = ?", asked)
        return Answers(series, set(opened) - answered, failures)

    def forget(self) -> None:
        """Forget studies of which no series is left."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM opened WHERE study_uid NOT IN (SELECT study_uid FROM series)")
