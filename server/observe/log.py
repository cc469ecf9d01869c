"""The server's log file."""

from __future__ import annotations

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

from asgi_correlation_id import CorrelationIdFilter

_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(correlation_id)s]: %(message)s"
_FILE_BYTES = 10 << 20


class ServerLog:
    """A rotating file that takes everything this process logs.

    Args:
        path: the file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._handler = RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=5, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(_FORMAT))
        self._handler.addFilter(CorrelationIdFilter(default_value="-"))
        root = logging.getLogger()
        root.addHandler(self._handler)
        if root.level > logging.INFO or root.level == logging.NOTSET:
            root.setLevel(logging.INFO)

    def tail(self, lines: int) -> str:
        """Return the last lines."""
        with self._path.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, maxlen=max(0, lines)))

    def close(self) -> None:
        """Take the file off the logging."""
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()
