"""The server's folder for files that live as long as one request: uploads on their way in, results on their way out."""

from __future__ import annotations

import logging
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import BinaryIO

from hepatic.store.disk import storage

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_LOCK = ".lock"


class Scratch:
    """A folder of this server alone, gone when it stops; those of servers that were killed are removed at the start.

    A server holds a lock as long as it lives, on a file beside its folder. What nobody holds is nobody's.

    Args:
        parent: where the folders of all servers of these studies are; made if it is not there.

    Raises:
        StorageError: it cannot be made, or cannot be locked.
    """

    def __init__(self, parent: Path) -> None:
        with storage("make the scratch folder"):
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _own_lock(parent)
            self.dir = Path(self._lock.name).with_suffix("").resolve()
            self.dir.mkdir(mode=0o700)
            _remove_ownerless(parent)

    @property
    def results_dir(self) -> Path:
        """Where the workers' temporary files go."""
        return self.dir / "results"

    def receive(self, stream: BinaryIO, suffix: str) -> Path:
        """Write an upload into a file whose name is ours.

        Args:
            stream: the upload.
            suffix: one of the accepted ones, never the client's own.

        Raises:
            StorageError: the disk is full or cannot be written; nothing is left of the file.
        """
        path = self.dir / f"{uuid.uuid4().hex}{suffix}"
        try:
            with storage("keep the upload"), path.open("wb") as file:
                shutil.copyfileobj(stream, file, _CHUNK_BYTES)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def owns(self, path: Path) -> bool:
        """Whether a file lies in this folder, and may be deleted."""
        return path.resolve().is_relative_to(self.dir)

    def discard(self, *paths: Path | None) -> None:
        """Delete files and folders of this folder; leave all others alone."""
        for path in paths:
            if path is None or not self.owns(path):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def sweep(self, older_than_s: float = 3600.0) -> None:
        """Delete what killed workers and broken connections have left behind."""
        limit = time.time() - older_than_s
        for path in [*self.dir.glob("*"), *self.results_dir.glob("*")]:
            try:
                if path != self.results_dir and path.stat().st_mtime < limit:
                    self.discard(path)
            except OSError as gone:
                logger.debug("not swept: %s", gone)

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.dir, ignore_errors=True)
        self._lock.close()
        Path(self._lock.name).unlink(missing_ok=True)


def _own_lock(parent: Path) -> BinaryIO:
    """Make a lock file and hold it; it is there before its folder is."""
    while True:
        path = parent / f"{uuid.uuid4().hex}{_LOCK}"
        held = _hold(path)
        if held is not None and path.exists():  # another server may have taken it for a dead one's just now
            return held


def _hold(path: Path) -> BinaryIO | None:
    """Open a lock file and hold it until it is closed; None if somebody else holds it."""
    if sys.platform == "win32":
        try:
            path.unlink(missing_ok=True)  # refused while another process has it open
        except PermissionError:
            return None
        return path.open("ab")
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        file.close()
        raise
    return file


def _remove_ownerless(parent: Path) -> None:
    for folder in [entry for entry in parent.iterdir() if entry.is_dir() and not entry.is_symlink()]:
        path = folder.with_name(folder.name + _LOCK)
        if not path.exists():
            shutil.rmtree(folder, ignore_errors=True)
    for path in parent.glob(f"*{_LOCK}"):
        held = _hold(path)
        if held is not None:
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
            held.close()
            logger.info("what a server that was killed had left behind was removed")
