"""The server's log: a file of JSON lines for machines, read out as text for people; nothing in it names a patient."""

from __future__ import annotations

import copy
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from server.observe.names import NAMES
from server.observe.request import request_id
from server.observe.scrub import scrubbed

_FILE_BYTES = 10 << 20
_FILES = 5
_OURS = frozenset({"method", "route", "status", "model", "role", "request_id", "job"})
"""Fields that only this server fills, with values of its own making: templates of routes, names of models."""
_NOT_SHOWN = frozenset({"time", "level", "logger", "message", "request_id", "exc_info", "stack_info", "role"})


class Clean(logging.Handler):
    """Stands before another handler and passes on copies of records that may be kept.

    Args:
        target: the handler that writes them.
        role: what this process is, on records that do not say it themselves.
    """

    def __init__(self, target: logging.Handler, *, role: str = "server") -> None:
        super().__init__()
        self._target, self._role = target, role

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a clean copy."""
        try:
            self._target.handle(self._clean(record))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close both."""
        self._target.close()
        super().close()

    def _clean(self, record: logging.LogRecord) -> logging.LogRecord:
        clean = copy.copy(record)
        fields = fields_of(record)
        served = "route" in fields and "status" in fields  # all its own making; a route looks like a path
        clean.msg = "{method} {route} {status}".format_map(fields) if served else scrubbed(record.getMessage())
        clean.args = None
        if record.exc_info and not record.exc_text:
            clean.exc_text = logging.Formatter().formatException(record.exc_info)
        clean.exc_info = None
        clean.exc_text = clean.exc_text and scrubbed(clean.exc_text)
        clean.stack_info = record.stack_info and scrubbed(record.stack_info)
        for name, value in fields.items():
            if name not in _OURS:
                clean.__dict__[name] = _clean_value(value)
        clean.__dict__.setdefault("request_id", request_id())
        clean.__dict__.setdefault("role", self._role)
        return clean


class ServerLog:
    """A rotating file that takes everything this process logs, and what its workers and trainings do.

    Args:
        path: the file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        NAMES.use_key(path.with_suffix(".key"))
        self._path = path
        file = RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8")
        file.setFormatter(_Lines())
        self._handler = Clean(file)
        root = logging.getLogger()
        root.addHandler(self._handler)
        if root.level > logging.INFO or root.level == logging.NOTSET:
            root.setLevel(logging.INFO)

    def tail(self, lines: int) -> str:
        """Return the last lines, as text."""
        return "".join(f"{text}\n" for text in deque(self._texts(lines), maxlen=max(0, lines)))

    def close(self) -> None:
        """Take the file off the logging."""
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()

    def _texts(self, lines: int) -> Iterator[str]:
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for line in deque(file, maxlen=max(0, lines)):
                yield from as_text(line).splitlines()


class _Lines(JsonFormatter):
    """One JSON object a line."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "role", "request_id", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )
        self.json_ensure_ascii = False


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given with ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN and not name.startswith("_")}


def as_text(line: str) -> str:
    """Return one line of the file as people read it; as it is if it is no JSON, such as one of an older version."""
    try:
        told = json.loads(line)
        at = datetime.fromisoformat(told["time"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError):
        return line.rstrip("\n")
    who = told.get("logger", "") if told.get("role", "server") == "server" else f"{told['role']}: {told.get('logger')}"
    id = f" [{told['request_id']}]" if told.get("request_id") else ""
    served = "status" in told
    more = "".join(
        f" {name}={json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value}"
        for name, value in told.items()
        if name not in _NOT_SHOWN and not (served and name in ("method", "route", "status"))
    )
    trace = f"\n{told['exc_info']}" if told.get("exc_info") else ""
    when = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d}"
    return f"{when} {told.get('level')} {who}{id}: {told.get('message', '')}{more}{trace}"


def _clean_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {scrubbed(str(name)): _clean_value(item) for name, item in value.items()}
    return scrubbed(str(value))


_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
