"""MONAI Label's own local datastore, made to survive a kill or a power cut while it writes its file."""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from hepatic.store.disk import TEMPORARY, put_in_place

logger = logging.getLogger(__name__)


def install() -> None:
    """Have every local datastore of this process write its file as a whole, and keep a copy of it.

    Safe to call any number of times; before a datastore is made.
    """
    from monailabel.datastore.local import LocalDatastore

    read = LocalDatastore._init_from_datastore_file
    if read.__module__ != __name__:
        LocalDatastore._init_from_datastore_file = _with_copy(read)
        LocalDatastore._update_datastore_file = _write


def watch(datastore: Any) -> None:
    """Have a datastore that watches its file notice when another process has put one in its place."""
    handler = getattr(datastore, "_handler", None)
    if handler is not None:
        handler.on_moved = lambda event: (
            datastore._init_from_datastore_file() if event.dest_path == datastore._datastore_config_path else None
        )


def _write(self: Any, lock: bool = True) -> None:
    with FileLock(self._lock_file) if lock else nullcontext():
        file = Path(self._datastore_config_path)
        temporary = _temporary(file)
        try:
            with temporary.open("w") as handle:
                json.dump(self._datastore.model_dump(exclude={"base_path"}), handle, indent=2, default=str)
                handle.flush()
                os.fsync(handle.fileno())
            put_in_place(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
        self._config_ts = file.stat().st_mtime
        _keep_copy(file)


def _with_copy(read: Callable[..., None]) -> Callable[..., None]:
    def read_or_restore(self: Any, throw_exception: bool = False) -> None:
        file = Path(self._datastore_config_path)
        try:
            read(self, throw_exception=throw_exception)
        except ValueError:
            if not _copy_of(file).is_file():
                raise
            logger.warning("%s is damaged; the last good copy is taken, the damaged one kept beside it", file.name)
            with FileLock(self._lock_file):
                file.replace(file.with_name(f".{file.name}.damaged"))
                shutil.copyfile(_copy_of(file), file)
            read(self, throw_exception=throw_exception)
        if throw_exception and file.is_file():  # at the start, where what it holds has just been read
            _keep_copy(file)

    return read_or_restore


def _keep_copy(file: Path) -> None:
    temporary = _temporary(file)
    with suppress(OSError):
        shutil.copyfile(file, temporary)
        temporary.replace(_copy_of(file))


def _copy_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.last")


def _temporary(file: Path) -> Path:
    return file.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
