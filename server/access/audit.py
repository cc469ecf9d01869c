"""The audit log: who did what, when, from where. Lines are only added, and each holds the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from hepatic.errors import HepaticError
from hepatic.store.disk import make_folder, storage, sync_folder

logger = logging.getLogger(__name__)

FIRST = "0" * 64
"""What stands in the first entry for the hash of the one before."""

SUFFIX = ".jsonl"
_FILE_BYTES = 32 << 20
_WAITING = 10_000
_BATCH = 256


@dataclass(frozen=True)
class Entry:
    """What happened. Never a secret, never what a file holds.

    Args:
        event: ``request``, ``login``, ``login failed``, ``logout``, ``refused`` or ``command``; where the log has
            a gap, ``damaged`` or ``lost``.
        who: name of the token or account; empty if nobody had to log in, or nobody did.
        by: how they were known; see ``User.by``.
        address: where the request came from.
        what: method and path template, or the command.
        ids: which image, label, model and so on.
        status: what was answered; 0 for commands.
        request: id of the request, as in the server's log.
    """

    event: str
    what: str
    who: str = ""
    by: str = ""
    address: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    request: str = ""


class AuditFailedError(HepaticError):
    """The audit log cannot be written."""


class AuditLog:
    """Adds entries to the log of a data folder; in its own thread, many with one write to the disk.

    A new file begins with each month, and when one is full; the chain of hashes goes on in it. Commands may write
    while a server does.

    Args:
        folder: where the files are; made, closed to others.
        file_bytes: size at which a file is full.
    """

    def __init__(self, folder: Path, *, file_bytes: int = _FILE_BYTES) -> None:
        self._folder, self._file_bytes = folder, file_bytes
        self._lock = FileLock(folder / ".lock", timeout=20, mode=0o600, thread_local=False)
        self._queue: queue.SimpleQueue[tuple[dict[str, Any], Future[None]] | None] = queue.SimpleQueue()
        self._unwritten: list[dict[str, Any]] = []
        self._failed, self._lost = False, 0
        self._thread: threading.Thread | None = None
        self._place: tuple[Path, int] | None = None
        self._number, self._hash, self._damaged = 0, FIRST, False

    @property
    def works(self) -> bool:
        """Whether the last write succeeded."""
        return not self._failed

    def open(self) -> None:
        """Begin to take entries.

        Raises:
            StorageError: the folder cannot be written.
        """
        with storage("keep the audit log"):
            make_folder(self._folder.parent)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder.parent)
            with self._lock:
                self._find_end()
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> Future[None]:
        """Note an entry; the future is done when it is on the disk, and fails with AuditFailedError if it is not.

        What could not be written is kept and tried again with the next entry.
        """
        written: Future[None] = Future()
        self._queue.put((_dated(entry), written))
        return written

    def retry(self) -> Future[None]:
        """Try again to write what could not be written; nothing is added."""
        written: Future[None] = Future()
        self._queue.put(({}, written))
        return written

    def close(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=30)
            self._thread = None

    def _write_all(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            ended = None in batch
            taken = [one for one in batch if one is not None]
            waiting = [*self._unwritten, *(entry for entry, _ in taken if entry)]
            self._lost += max(0, len(waiting) - _WAITING)
            self._unwritten = waiting[-_WAITING:]
            failure: Exception | None = None
            try:
                if self._unwritten:
                    self._write(self._unwritten)
                self._unwritten, self._lost = [], 0
            except Exception as failed:  # whatever it is, those who wait are told, and the next are served
                logger.exception("the audit log cannot be written; its entries are kept and tried again")
                failure = AuditFailedError(f"The audit log cannot be written: {failed}")
            self._failed = failure is not None
            for _, written in taken:
                if not written.set_running_or_notify_cancel():
                    continue  # whoever asked is gone
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(failure)

    def _write(self, entries: list[dict[str, Any]]) -> None:
        with storage("write the audit log"), self._lock:
            file, size = self._find_end()
            number, chained, lines = self._number, self._hash, []
            for entry in [*self._gaps(file), *entries]:
                number += 1
                line = {"number": number, **entry, "previous": chained}
                chained = hash_of(line)
                lines.append(json.dumps({**line, "hash": chained}))
            file, size = self._with_room(file, size)
            data = "".join(f"{line}\n" for line in lines).encode()
            try:
                with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                if not size:
                    sync_folder(self._folder)
            except OSError:
                with suppress(OSError):
                    os.truncate(file, size)  # half a batch, on a full disk
                self._place = None
                raise
            self._number, self._hash, self._place = number, chained, (file, size + len(data))
            self._damaged = False

    def _gaps(self, newest: Path) -> list[dict[str, Any]]:
        """Return entries that say what is missing before the next."""
        damaged = [Entry("damaged", f"the end of {newest.name}")] if self._damaged else []
        lost = [Entry("lost", f"{self._lost} entries that could not be written")] if self._lost else []
        return [_dated(entry) for entry in damaged + lost]

    def _with_room(self, file: Path, size: int) -> tuple[Path, int]:
        newest = file.name[:7] if size else ""
        month = max(f"{datetime.now(UTC):%Y-%m}", newest)  # a clock that was put back must not put files out of order
        if newest == month and size < self._file_bytes and not self._damaged:
            return file, size
        count = int(file.stem[8:]) if newest == month else 0
        return self._folder / f"{month}-{count + 1:04}{SUFFIX}", 0

    def _find_end(self) -> tuple[Path, int]:
        """Return the newest file and its size; number and hash are those of the last entry that can be read."""
        files = files_of(self._folder)
        if not files:
            self._number, self._hash, self._damaged = 0, FIRST, False
            return self._folder / "none", 0
        newest, size = files[-1], files[-1].stat().st_size
        if self._place == (newest, size):
            return newest, size
        data = newest.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # the end of a write that a crash cut off; nobody was told that it was there
            logger.warning("an unfinished line of %d bytes at the end of the audit log is dropped", len(data) - whole)
            os.truncate(newest, whole)
        lines = data[:whole].splitlines()
        if not lines:
            newest.unlink()
            return self._find_end()
        last = _end(lines[-1])
        self._damaged = last is None
        if last is None:
            logger.error("the end of the audit log, %s, is damaged; it goes on in another file", newest.name)
            before = (line for file in reversed(files) for line in reversed(file.read_bytes().splitlines()))
            last = next(filter(None, map(_end, before)), (0, FIRST))
        else:
            self._place = (newest, whole)
        self._number, self._hash = last
        return newest, whole


def _end(line: bytes) -> tuple[int, str] | None:
    """Return the number and hash of an entry; ``None`` if that is none."""
    try:
        entry = json.loads(line)
        return int(entry["number"]), str(entry["hash"])
    except (ValueError, TypeError, KeyError):
        return None


def files_of(folder: Path) -> list[Path]:
    """Return the files of an audit log, oldest first."""
    return sorted(folder.glob(f"????-??-????{SUFFIX}"))


def hash_of(line: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry without its own hash, and so of all before it, in hex."""
    plain = {key: value for key, value in line.items() if key != "hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _dated(entry: Entry) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": entry.event,
        "who": entry.who,
        "by": entry.by,
        "address": entry.address,
        "what": entry.what,
        "ids": dict(entry.ids),
        "status": entry.status,
        "request": entry.request,
    }
