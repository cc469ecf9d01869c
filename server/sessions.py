"""Images that clients sent to work on without putting them into the datastore."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hepatic.errors import NotFoundError
from hepatic.io.labelmap import write_atomically
from hepatic.settings import settings
from hepatic.store.disk import make_folder, storage, sync_folder

logger = logging.getLogger(__name__)


@dataclass
class Session:
    """One uploaded image, or a folder of files that make one image, with the time it was last used."""

    name: str
    path: str
    image: str
    create_ts: int
    last_access_ts: int
    expiry: int

    def for_app(self) -> dict[str, Any]:
        """Return the record as MONAI Label apps expect it in a request."""
        return {**asdict(self), "meta": {}}

    def for_client(self) -> dict[str, Any]:
        """Return the record without where it lies on the server."""
        return {**asdict(self), "path": "", "image": Path(self.image).name, "meta": {}}


class Sessions:
    """Sessions on disk, by ids that this class issued; they survive a restart.

    Args:
        folder: where they are kept.
        life_s: a session is deleted when it was not used for so long, unless its creator asked for less; the setting
            unless given.
    """

    def __init__(self, folder: Path, *, life_s: int | None = None) -> None:
        self._folder, self._life_s = folder, life_s or settings().image_session_s
        self._lock = threading.Lock()

    def add(self, files: list[Path], suffix: str, expiry_s: int = 0) -> Session:
        """Keep files as a session; they are moved.

        Args:
            files: one image, or the files of a series.
            suffix: their suffix.
            expiry_s: seconds after the last use at which it is deleted; at most ``life_s``, which 0 stands for.

        Raises:
            StorageError: the disk is full or cannot be written; nothing is left of the session.
        """
        session_id = str(uuid.uuid4())
        folder = self._folder / session_id
        image = folder / (f"image{suffix}" if len(files) == 1 else "series")
        now = int(time.time())
        life_s = min(expiry_s, self._life_s) if expiry_s > 0 else self._life_s
        session = Session(session_id, str(folder), str(image), now, now, life_s)
        with storage("keep the session"):
            try:
                make_folder(self._folder)
                folder.mkdir(mode=0o700)
                if len(files) == 1:
                    _move(files[0], image)
                else:
                    image.mkdir()
                    for number, file in enumerate(files):
                        _move(file, image / f"{number:05d}{suffix}")
                    sync_folder(image)
                self._write(session)
                sync_folder(self._folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return session

    def get(self, session_id: str, *, touch: bool = False) -> Session:
        """Return a session.

        Args:
            session_id: what ``add`` issued.
            touch: count this as a use.

        Raises:
            NotFoundError: there is none, or it has expired.
        """
        with self._lock:
            session = self._read(session_id)
            if session is None:
                raise NotFoundError(
                    "the session", expected="one that is open", came="an unknown or expired id", fix="Upload again."
                )
            if touch:
                session.last_access_ts = int(time.time())
                self._write(session)
        return session

    def remove(self, session_id: str) -> Session:
        """Delete a session with its image; raises as ``get`` does."""
        session = self.get(session_id)
        with self._lock:
            shutil.rmtree(self._folder / session.name, ignore_errors=True)
        return session

    def expire(self) -> int:
        """Delete sessions whose time is over, and return how many."""
        count = 0
        now = time.time()
        for folder in self._folder.glob("*"):
            with self._lock:
                session = self._read(folder.name)
                stale = session is None and folder.exists() and now - folder.stat().st_mtime > self._life_s
                if stale or (session is not None and session.last_access_ts + session.expiry < now):
                    shutil.rmtree(folder, ignore_errors=True)
                    count += 1
        return count

    def _read(self, session_id: str) -> Session | None:
        try:
            name = str(uuid.UUID(session_id))
        except ValueError:
            return None
        if name != session_id:
            return None
        try:
            session = Session(**json.loads((self._folder / name / "session.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return session if Path(session.image).exists() else None

    def _write(self, session: Session) -> None:
        target = self._folder / session.name / "session.json"
        write_atomically(target, json.dumps(asdict(session)).encode())
        sync_folder(target.parent)


def _move(file: Path, target: Path) -> None:
    shutil.move(file, target)
    with target.open("rb") as moved:
        os.fsync(moved.fileno())
