"""One server for one folder: who serves it holds a lock as long as it runs, and a second server is told so."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from hepatic.errors import ConflictError
from hepatic.store.disk import TEMPORARY, make_folder, make_private_folder, storage

_LOCK = "server.lock"
_HOLDER = "server.lock.json"


class Claim:
    """A server's claim to its data folder. The operating system ends it with the process, however that ends.

    Args:
        data_dir: folder for what the server writes; made when the claim is taken, if it is not there.
        is_private: whether it is made so that other users of this machine cannot read it.
    """

    def __init__(self, data_dir: Path, *, is_private: bool = False) -> None:
        self._make_folder = make_private_folder if is_private else make_folder
        self._holder = data_dir / _HOLDER
        self._lock = FileLock(data_dir / _LOCK, timeout=0, thread_local=False)

    def take(self) -> None:
        """Take it; nothing happens if this claim is held already.

        Raises:
            ConflictError: another server has it; the message says which.
            StorageError: the folder cannot be made or locked.
        """
        if self._lock.is_locked:
            return
        with storage("lock the data folder"):
            self._make_folder(self._holder.parent)
            try:
                self._lock.acquire()
            except Timeout:
                raise ConflictError(
                    "these studies",
                    expected="no other server over the same folder",
                    came=_told(self._holder),
                    fix="Use that server, or stop it first, or serve another folder.",
                ) from None
            try:
                self._write_holder()
            except BaseException:
                self._lock.release()
                raise

    def release(self) -> None:
        """Give it back; nothing happens if it is not held."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._holder.unlink(missing_ok=True)
            self._lock.release(force=True)

    def _write_holder(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        temporary = self._holder.with_name(f"{TEMPORARY}{_HOLDER}")  # only who holds the lock writes it
        temporary.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": now}), "utf-8")
        temporary.replace(self._holder)


def _told(holder: Path) -> str:
    try:
        about = json.loads(holder.read_text("utf-8"))
        since = datetime.fromisoformat(about["since"]).astimezone(UTC)
        return f"one on {about['host']} (process {about['pid']}), running since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # it starts or stops just now
        return "one that is running"
