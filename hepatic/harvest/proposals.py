"""What detectors proposed, study by study; a new proposal never takes an old one's place in the store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from hepatic.errors import NotFoundError
from hepatic.harvest.study import ProposedStudy
from hepatic.harvest.study_json import from_json, to_json
from hepatic.store.connection import Connection, SharedDatabase


@dataclass(frozen=True)
class Proposed:
    """One proposal as it is kept.

    Attributes:
        number: in the order they came, over all studies.
        study: what was proposed. Where images are classified, those of earlier proposals that asked for the same
            classes are among them, each with its newest card: another model may look at fewer images, such as cines.
        model_hash: of the model that did.
        at: seconds since 1970.
    """

    number: int
    study: ProposedStudy
    model: str
    model_hash: str
    at: float


class Proposals:
    """The proposals of one review store.

    Args:
        database: of ``open_reviews``.
        clock: seconds since 1970.
    """

    def __init__(self, database: SharedDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def add(self, study: ProposedStudy, *, model: str = "", model_hash: str = "") -> int:
        """Keep a proposal, unless it says what the last one of that study says.

        Args:
            study: what was proposed.
            model, model_hash: of the model; of the first candidate where they are not given.

        Returns:
            Its number.
        """
        first = study.candidates[0] if study.candidates else None
        model = model or (first.model if first else "")
        model_hash = model_hash or (first.model_hash if first else "")
        document = json.dumps(to_json(study), sort_keys=True)
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT number, document, model_hash FROM proposal WHERE study = ? ORDER BY number DESC LIMIT 1",
                (study.study_uid,),
            ).fetchone()
            if row is not None and row[2] == model_hash and _read(row[1]) == _read(document):
                return int(row[0])
            row = connection.execute(
                "INSERT INTO proposal (study, patient, model, model_hash, content, at, document) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING number",
                (study.study_uid, study.patient_id, model, model_hash, study.content, self._clock(), document),
            ).fetchone()
            return int(row[0])

    def studies(self) -> list[str]:
        """Return the UIDs of all studies that were proposed, in the order they first came."""
        with self._database.read() as connection:
            return [
                uid for (uid,) in connection.execute("SELECT study FROM proposal GROUP BY study ORDER BY min(number)")
            ]

    def latest(self, uid: str) -> Proposed:
        """Return the last proposal of a study.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.read() as connection:
            return latest(connection, uid)

    def all_of(self, uid: str) -> list[Proposed]:
        """Return every proposal of a study, the oldest first."""
        with self._database.read() as connection:
            return all_of(connection, uid)


def latest(connection: Connection, uid: str) -> Proposed:
    """Return the last proposal of a study; NotFoundError if there is none."""
    found = all_of(connection, uid)
    if not found:
        raise unknown_study(uid)
    return found[-1]


def all_of(connection: Connection, uid: str) -> list[Proposed]:
    """Return every proposal of a study, the oldest first."""
    rows = connection.execute(
        "SELECT number, document, model, model_hash, at FROM proposal WHERE study = ? ORDER BY number", (uid,)
    )
    found: list[Proposed] = []
    for number, document, model, model_hash, at in rows.fetchall():
        study = _read(document)
        before = next((one.study for one in reversed(found) if one.study.asks_as(study)), None)
        found.append(Proposed(number, _with_images(study, before), model, model_hash, at))
    return found


def numbered(connection: Connection, number: int) -> Proposed:
    """Return the proposal with a number that is there."""
    (uid,) = connection.execute("SELECT study FROM proposal WHERE number = ?", (number,)).fetchone()
    return next(one for one in all_of(connection, uid) if one.number == number)


def _with_images(study: ProposedStudy, before: ProposedStudy | None) -> ProposedStudy:
    if before is None or study.kind != "classification":
        return study
    own = {one.uid for one in study.candidates}
    missing = tuple(one for one in before.candidates if one.uid not in own)
    return replace(study, candidates=study.candidates + missing) if missing else study


def unknown_study(uid: str) -> NotFoundError:
    """Return the error for a study that was never proposed."""
    return NotFoundError(
        "the study",
        expected="one that a detector has seen",
        came=ascii(uid)[:80],
        fix="Propose it first, or look at the queue for those that were.",
    )


@lru_cache(maxsize=4096)
def _read(document: str) -> ProposedStudy:
    return from_json(json.loads(document))
