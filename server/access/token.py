"""API tokens: secrets that are shown once, kept as hashes, and can be revoked while the server runs."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.store.disk import TEMPORARY, put_in_place, storage
from server.access.roles import Role

PREFIX = "hep_"
"""What every secret begins with, so that people and scanners know one when they see it."""

_SECRET_BYTES = 32
_FILE = "tokens.json"
_NAME = re.compile(r"\w[\w .@+-]{0,63}")
_AGE = re.compile(r"(\d{1,5})\s*([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}
_LOOK_S = 0.2
"""Between two looks at the file; so soon is a token refused that another process has revoked."""


@dataclass(frozen=True)
class Token:
    """What is known of a token; not its secret.

    Args:
        id: names it in lists, in the audit log and for revoking.
        name: whose it is; the author of what is done with it.
        role: what it allows, as a word.
        digest: SHA-256 of the secret, in hex. Plain and without salt is right here, and fast: the secret is 256 random
            bits, which nobody finds by trying, unlike a password.
        created: time, ISO 8601, UTC, and so on below.
        expires: until when; empty for ever.
        used: when it was last used, to the minute or so; empty if it was not.
    """

    id: str
    name: str
    role: str
    digest: str
    created: str
    expires: str = ""
    used: str = ""

    def has_expired(self, now: datetime | None = None) -> bool:
        """Whether its time is over."""
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= (now or datetime.now(UTC))


class Tokens:
    """The tokens of a data folder, in one file that only its owner can read. Several processes may use it at once.

    Args:
        folder: where the file is; made, closed to others, when the first token is.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._lock = FileLock(folder / f"{_FILE}.lock", timeout=20, mode=0o600)
        self._reading = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._known: dict[str, Token] = {}
        self._used: dict[str, str] = {}

    def create(self, name: str, role: Role, *, expires: timedelta | None) -> tuple[Token, str]:
        """Make a token.

        Args:
            name: whose it is; the author of what is done with it.
            role: what it allows.
            expires: after how long it ends; ``None`` for never.

        Returns:
            The token, and its secret, which is kept nowhere.

        Raises:
            BadInputError: that is no name.
            StorageError: the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise BadInputError(
                "the token's name",
                expected="up to 64 letters, digits, spaces and . @ + _ -",
                came=ascii(name)[:40],
                fix='Write for example "Dr. K".',
            )
        secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        now = datetime.now(UTC)
        try:
            until = _written(now + expires) if expires is not None else ""
        except OverflowError:
            raise BadInputError("--expires", expected="a time that comes", came="one too far", fix="Say 1y.") from None
        token = Token(secrets.token_hex(4), name, role.word, _digest(secret), _written(now), until)
        with self._changing() as tokens:
            tokens.append(token)
        return token, secret

    def all(self) -> list[Token]:
        """Return all tokens that were not revoked, oldest first."""
        return [replace(token, used=self._used.get(token.id, token.used)) for token in self._read()]

    def usable(self) -> list[Token]:
        """Return those that can be used now."""
        return [token for token in self.all() if not token.has_expired()]

    def revoke(self, which: str) -> Token:
        """Take a token away, by its id, or by its name where only one has it.

        Raises:
            NotFoundError: there is none.
            ConflictError: several have that name.
        """
        with self._changing() as tokens:
            found = [token for token in tokens if token.id == which] or [
                token for token in tokens if token.name == which
            ]
            if not found:
                raise NotFoundError(
                    "the token",
                    expected="the id or name of a token",
                    came=ascii(which)[:40],
                    fix="See `hepatic tokens list`.",
                )
            if len(found) > 1:
                ids = ", ".join(token.id for token in found)
                raise ConflictError(
                    "the token", expected="one", came=f"several of that name ({ids})", fix="Name an id."
                )
            tokens.remove(found[0])
        return found[0]

    def find(self, secret: str) -> Token | None:
        """Return the token of a secret; ``None`` if it is unknown, revoked or over."""
        digest = _digest(secret)
        token = self._fresh().get(digest)
        if token is None or not hmac.compare_digest(token.digest, digest) or token.has_expired():
            return None
        self._used[token.id] = _written(datetime.now(UTC))
        return token

    def holds(self, token_id: str) -> bool:
        """Whether a token of that id can still be used."""
        return any(token.id == token_id and not token.has_expired() for token in self._fresh().values())

    def note_use(self) -> None:
        """Write down when tokens were last used."""
        used, self._used = self._used, {}
        if not used:
            return
        with self._changing() as tokens:
            tokens[:] = [replace(token, used=max(token.used, used.get(token.id, ""))) for token in tokens]

    def _fresh(self) -> dict[str, Token]:
        """Return the tokens by digest, read again if another process has written them."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return self._known
        with self._reading:
            try:
                found = self._file.stat()
                seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            except FileNotFoundError:
                seen = None
            if seen != self._seen:
                self._known = {token.digest: token for token in self._read()} if seen else {}
                self._seen = seen
            self._looked = now
        return self._known

    def _read(self) -> list[Token]:
        with storage("read the tokens"):
            text = self._file.read_text("utf-8") if self._file.exists() else '{"tokens": []}'
        try:
            return [Token(**entry) for entry in json.loads(text)["tokens"]]
        except (ValueError, KeyError, TypeError):
            raise BadInputError(
                _FILE,
                expected="the tokens as hepatic writes them",
                came="something else",
                fix="Put a copy back, or delete it and make new tokens.",
            ) from None

    @contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """Give the tokens to change; on disk as a whole when the block ends, with no other process in between."""
        with storage("keep the tokens"):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock:
                tokens = self._read()
                yield tokens
                text = json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1)
                temporary = self._file.with_name(f"{TEMPORARY}{_FILE}")
                temporary.unlink(missing_ok=True)
                with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                put_in_place(temporary, self._file)
        self._looked = float("-inf")


def age(text: str) -> timedelta | None:
    """Read a time span such as ``12h``, ``90d``, ``4w``, ``1y``; ``never`` is ``None``.

    Raises:
        BadInputError: it is something else.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if text.strip().lower() == "never":
        return None
    if found is None or not int(found[1]):
        raise BadInputError("--expires", expected="12h, 90d, 4w, 1y or never", came=text, fix="Write for example 90d.")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _written(when: datetime) -> str:
    return when.isoformat(timespec="seconds")
