"""Long work in the background of a process that answers requests meanwhile."""

from __future__ import annotations

import math
import time

_SECONDS = 0.001


class Breath:
    """Pauses as long as it worked: Python runs one thread at a time and else lets a busy one go on for 5 ms.

    Args:
        after_s: how long to work without a pause first; for ever by default.
    """

    def __init__(self, *, after_s: float = math.inf) -> None:
        self._since = time.perf_counter() + after_s

    def __call__(self) -> None:
        """Pause if it is time to; call it once per item of work."""
        if time.perf_counter() - self._since > _SECONDS:
            time.sleep(_SECONDS)
            self._since = time.perf_counter()
