"""What a worker process tells its server besides its answers: the lines it logs, and what it uses.

A pipe of its own, in one direction and with one reader each: a worker that is killed while it speaks leaves nothing
locked, as a shared queue would be, and lines come at once, not with the next answer.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from server.observe.log import fields_of
from server.observe.request import request_id

Heard = Callable[[int, Mapping[str, Any]], None]
"""Called with the process id of a worker and ``{"log": {...}}``, ``{"usage": {...}}``, or ``{}`` once it is gone."""


class _Speaker(logging.Handler):
    """Sends what is logged in this process to its server."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe
        self._sending = threading.Lock()
        self.usage: Callable[[], Mapping[str, Any]] = dict

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, its message and traceback as text."""
        trace = record.exc_info and logging.Formatter().formatException(record.exc_info)
        extra = {"request_id": request_id(), "role": "worker", **fields_of(record)}
        line = {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "created": record.created,
            "msg": record.getMessage(),
            "exc_text": trace,
            **extra,
        }
        self.tell({"log": line})

    def tell(self, what: Mapping[str, Any]) -> None:
        """Send something; nothing happens when nobody listens any more."""
        try:
            with self._sending:
                self._pipe.send_bytes(json.dumps(what, default=str).encode())
        except OSError:
            return


_speaker: _Speaker | None = None


def speak(pipe: Connection) -> None:
    """Send everything this process logs from now on."""
    global _speaker
    _speaker = _Speaker(pipe)
    root = logging.getLogger()
    root.addHandler(_speaker)
    root.setLevel(logging.INFO)


def report_with(usage: Callable[[], Mapping[str, Any]]) -> bool:
    """Say how to find out what this process uses; False if nobody listens to it."""
    if _speaker is not None:
        _speaker.usage = usage
    return _speaker is not None


def report() -> None:
    """Tell what this process uses."""
    if _speaker is not None:
        _speaker.tell({"usage": dict(_speaker.usage())})


def listen(pid: int, pipe: Connection, heard: Heard) -> None:
    """Take in what a worker tells, until it is gone."""

    def take_in() -> None:
        try:
            while True:
                heard(pid, json.loads(pipe.recv_bytes()))
        except (EOFError, OSError, ValueError):
            heard(pid, {})
        finally:
            pipe.close()

    threading.Thread(target=take_in, name=f"listen-{pid}", daemon=True).start()


def log(line: Mapping[str, Any]) -> None:
    """Log a line that another process logged."""
    record = logging.makeLogRecord({**line, "args": None})
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
