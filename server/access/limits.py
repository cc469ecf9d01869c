"""How often: requests of one user or address, and logins that fail."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from hepatic.errors import BadInputError

_REFUSALS_NOTED = "30/minute"
"""Refusals of one address that are noted one by one in the audit log, so that nobody can fill the disk with them."""


class Limits:
    """Counts in this process's memory; a restart forgets.

    Args:
        requests: of one user, or of one address where nobody logged in, such as ``600/minute``; empty for no limit.
        logins: that may fail from one address, such as ``5/minute; 20/hour``: who goes on waits longer and longer.

    Raises:
        BadInputError: a limit cannot be read.
    """

    def __init__(self, *, requests: str, logins: str) -> None:
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._requests = _read(requests, "HEPATIC_REQUEST_LIMIT")
        self._logins = _read(logins, "HEPATIC_LOGIN_LIMIT")
        self._noted = parse_many(_REFUSALS_NOTED)

    def take(self, who: str) -> int:
        """Count a request; return 0, or after how many seconds to come again."""
        return self._hit(self._requests, "request", who)

    def failed(self, address: str) -> int:
        """Count a login that failed; return 0, or how many seconds to wait before the next."""
        return self._hit(self._logins, "login", address)

    def try_login(self, address: str) -> int:
        """Count an attempt before it is known how it ends; return 0, or after how many seconds to come again."""
        return self.blocked(address) or self.failed(address)

    def succeeded(self, address: str) -> None:
        """Take an attempt back: it was no wrong login."""
        for limit in self._logins:
            self._storage.decr(limit.key_for("login", address))

    def blocked(self, address: str) -> int:
        """Return how many seconds an address must still wait before it may try to log in; 0 if it may now."""
        full = [one for one in self._logins if not self._limiter.test(one, "login", address)]
        return max((self._wait(one, "login", address) for one in full), default=0)

    def is_noted(self, address: str) -> bool:
        """Whether one more refusal is noted one by one."""
        return not self._hit(self._noted, "refusal", address)

    def _hit(self, limits: list[RateLimitItem], kind: str, who: str) -> int:
        full = [one for one in limits if not self._limiter.hit(one, kind, who)]
        return max((self._wait(one, kind, who) for one in full), default=0)

    def _wait(self, limit: RateLimitItem, kind: str, who: str) -> int:
        return max(1, math.ceil(self._limiter.get_window_stats(limit, kind, who).reset_time - time.time()))


def _read(text: str, setting: str) -> list[RateLimitItem]:
    try:
        return parse_many(text) if text.strip() else []
    except ValueError:
        raise BadInputError(
            setting, expected="limits such as 5/minute; 20/hour", came=text, fix="Leave it out for the default."
        ) from None
