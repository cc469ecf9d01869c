"""Names of patients, studies and objects that lead nowhere but back to whoever has this site's key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydicom._uid_dict import UID_dictionary

from hepatic.errors import BadInputError, NotFoundError
from hepatic.release.words import UID, cleaned_model
from hepatic.store.disk import TEMPORARY, make_folder, put_in_place, storage

_KEY_BYTES = 32
_MOST_DAYS = 3650
_TABLE = (
    "CREATE TABLE IF NOT EXISTS issued (pseudonym TEXT PRIMARY KEY, kind TEXT, original TEXT, at TEXT) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Issued:
    """Whom a pseudonym stands for.

    Attributes:
        pseudonym: as it left.
        kind: ``patient`` or ``study``.
        original: PatientID, or StudyInstanceUID.
        at: when it was first given, ISO 8601, UTC.
    """

    pseudonym: str
    kind: str
    original: str
    at: str


class Pseudonyms:
    """This site's pseudonyms: HMAC-SHA256 with a key that is drawn once.

    The same patient, study or object gets the same pseudonym whenever it leaves, so that what leaves later fits; with
    another site's key it gets another. The key, and the list of who is who, lie in a folder that is closed to others.

    Args:
        folder: where both are kept; made with the first pseudonym.

    Raises:
        StorageError: the folder cannot be read or written.
        BadInputError: the key is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with storage("keep the key of the pseudonyms"):
            self._key = _key(folder)
        self._known: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, data: Path) -> Pseudonyms:
        """Return those of a store's data folder."""
        return cls(data / "deidentify")

    def uid(self, uid: str) -> str:
        """Return the UID that stands for one (PS3.5, B.2: 2.25 and a UUID); those listed in PS3.6 stay."""
        if not uid or uid in UID_dictionary:
            return uid
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def study(self, study_uid: str) -> str:
        """Return the UID that stands for a study's, and note whose it is."""
        made = self.uid(study_uid)
        self._note(made, "study", study_uid)
        return made

    def patient(self, patient_id: str) -> str:
        """Return the PatientID that stands for one, and note whose it is."""
        made = f"HEP-{_letters(self._digest('patient', patient_id.strip()), 16)}"
        self._note(made, "patient", patient_id.strip())
        return made

    def person(self, name: str) -> str:
        """Return the name that stands for a member of staff: two of them stay two."""
        return f"Person-{_letters(self._digest('person', name.strip('^ ').casefold()), 8)}^"

    def image(self, image_id: str) -> str:
        """Return the id that stands for an image's, a UID for a UID."""
        return (
            self.uid(image_id) if UID.fullmatch(image_id) else f"image-{_letters(self._digest('image', image_id), 12)}"
        )

    def code(self, code: str) -> str:
        """Return the code that stands for one of a scheme that is no standard's."""
        return f"code-{_letters(self._digest('code', code), 8)}"

    def model(self, name: str) -> str:
        """Return the name or version of a model as far as it names no one."""
        return cleaned_model(name)

    def days(self, patient_id: str) -> int:
        """Return by how many days all dates of a patient are moved: between one and ten years back."""
        drawn = int.from_bytes(self._digest("days", patient_id.strip())[:8])
        return -(365 + drawn % (_MOST_DAYS - 364))

    def lookup(self, pseudonym: str) -> Issued:
        """Return whom a pseudonym stands for; of what was given away twice, whom the first one stood for.

        Raises:
            NotFoundError: none such was given here.
        """
        found = self._find(pseudonym.strip())
        if found is None:
            raise NotFoundError(
                "the pseudonym",
                expected="a PatientID or StudyInstanceUID that this server gave",
                came=ascii(pseudonym[:64]),
                fix="Copy it again; another site's can be looked up at that site only.",
            )
        seen = {found.original}
        while (before := self._find(found.original)) is not None and before.original not in seen:
            seen.add(before.original)
            found = Issued(pseudonym, found.kind, before.original, before.at)
        return found

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{text}".encode(), hashlib.sha256)

    def _find(self, pseudonym: str) -> Issued | None:
        if not (self._folder / "issued.db").exists():
            return None
        with storage("look up the pseudonym"), closing(self._connect()) as connection:
            row = connection.execute("SELECT * FROM issued WHERE pseudonym = ?", (pseudonym,)).fetchone()
        return None if row is None else Issued(*row)

    def _note(self, pseudonym: str, kind: str, original: str) -> None:
        with self._lock:
            if pseudonym in self._known:
                return
            at = datetime.now(UTC).isoformat(timespec="seconds")
            with storage("note the pseudonym"), closing(self._connect()) as connection, connection:
                connection.execute("INSERT OR IGNORE INTO issued VALUES (?, ?, ?, ?)", (pseudonym, kind, original, at))
            self._known.add(pseudonym)

    def _connect(self) -> sqlite3.Connection:
        path = self._folder / "issued.db"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=30)
        connection.execute(_TABLE)
        return connection


def _key(folder: Path) -> bytes:
    """Return the key, drawn where there is none; the first of several processes wins."""
    path = folder / "key"
    if not path.exists():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        with FileLock(folder / ".lock", mode=0o600):
            if not path.exists() and (folder / "issued.db").exists():
                raise _lost("none")
            if not path.exists():
                temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
                with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(_KEY_BYTES))
                put_in_place(temporary, path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise _lost(f"one of {len(key)} bytes")
    return key


def _lost(came: str) -> BadInputError:
    return BadInputError(
        "the key of the pseudonyms",
        expected=f"the {_KEY_BYTES} bytes that were drawn for this site",
        came=came,
        fix="Put back the copy of deidentify/key in the data folder. Without one, take issued.db away, too: "
        "everybody gets another pseudonym then.",
    )


def _letters(digest: bytes, count: int) -> str:
    return base64.b32encode(digest).decode()[:count]
