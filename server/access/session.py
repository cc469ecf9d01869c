"""Browsers that are logged in, and the passes by which 3D Slicer fetches an image."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.access.user import User

COOKIE = "hepatic_session"
HANDED_OUT = "pass"
"""How somebody was known who fetched an image by a pass; that is noted in the audit log like a change."""

_MOST = 10_000


@dataclass(frozen=True)
class _Login:
    user: User
    token_id: str
    until: float


class BrowserSessions:
    """Sessions of browsers: the cookie is a random id, and all it stands for is kept here, until a restart.

    Args:
        holds: whether the API token of that id can still be used; a session ends with its token.
        clock: seconds that only go up.
    """

    def __init__(self, holds: Callable[[str], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._holds, self._clock = holds, clock
        self._logins: dict[str, _Login] = {}

    def begin(self, user: User, *, token_id: str = "", lasts_s: float) -> str:
        """Return the id of a new session.

        Args:
            user: who logged in.
            token_id: the API token they logged in with; empty for an account of the issuer.
            lasts_s: for how long.
        """
        now = self._clock()
        if len(self._logins) >= _MOST:
            self._logins = {key: one for key, one in self._logins.items() if one.until > now}
        while len(self._logins) >= _MOST:
            del self._logins[next(iter(self._logins))]
        session_id = secrets.token_urlsafe(32)
        self._logins[_key(session_id)] = _Login(replace(user, by=f"session, {user.by}"), token_id, now + lasts_s)
        return session_id

    def find(self, session_id: str) -> User | None:
        """Return who has that session; ``None`` if it is unknown or over, or its token is."""
        login = self._logins.get(_key(session_id))
        if login is None:
            return None
        if login.until <= self._clock() or (login.token_id and not self._holds(login.token_id)):
            self.end(session_id)
            return None
        return login.user

    def end(self, session_id: str) -> None:
        """End it, if there is one."""
        self._logins.pop(_key(session_id), None)


@dataclass(frozen=True)
class _Pass:
    user: User
    until: float
    left: int


class Passes:
    """Permission to fetch one image without a login, for who was just given that image as the next to label.

    3D Slicer's extension asks for the next sample with its token and then downloads the image with Slicer's own
    downloader, which sends none. A pass is for that image only, only for GET, from the same address and to the same
    host name, for a minute, and for as many attempts as Slicer makes.

    Args:
        lasts_s: for how long.
        clock: seconds that only go up.
    """

    ATTEMPTS = 3

    def __init__(self, *, lasts_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts_s, self._clock = lasts_s, clock
        self._passes: dict[tuple[str, str, str], _Pass] = {}

    def give(self, user: User, address: str, host: str, image: str) -> None:
        """Let the image be fetched from that address."""
        now = self._clock()
        self._passes = {key: one for key, one in self._passes.items() if one.until > now}
        self._passes[address, host, image] = _Pass(replace(user, by=HANDED_OUT), now + self._lasts_s, self.ATTEMPTS)

    def use(self, address: str, host: str, image: str) -> User | None:
        """Return whose pass it is, and use it up by one; ``None`` without one."""
        key = address, host, image
        found = self._passes.pop(key, None)
        if found is None or found.until <= self._clock():
            return None
        if found.left > 1:
            self._passes[key] = replace(found, left=found.left - 1)
        return found.user


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode(errors="surrogatepass")).hexdigest()
