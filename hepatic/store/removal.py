"""Image files on their way out of a studies folder: all of them move, in one step with the index, or none does."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hepatic.store.database import Database
from hepatic.store.disk import StorageError, make_folder, storage, sync_folder
from hepatic.store.names import folder_key

_NOTE = "removing "
"""How the key of a note begins in the table of texts; the folder that the files move to follows."""


class Removal:
    """Moves files to ``removed/<image>/<time>`` below the data folder.

    What is to be moved is noted in the index before, and the note goes in the step that completes the removal. A note
    that is found later is that of a removal that was cut off; it is undone.
    """

    def __init__(self, database: Database, root: Path, data: Path) -> None:
        self._database, self._root, self._data = database, root, data

    @contextmanager
    def of(self, image_id: str, files: Sequence[str]) -> Iterator[sqlite3.Connection]:
        """Move files, and lend a connection for what else belongs to the step; an error in it undoes both.

        Args:
            image_id: whose files they are.
            files: below the studies folder; those that have gone already are passed over.

        Raises:
            StorageError: they cannot be moved; they are where they were.
        """
        moved_to = f"removed/{folder_key(image_id)}/{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}"
        with self._database.write() as connection:
            connection.execute("INSERT INTO about VALUES (?, ?)", (_NOTE + moved_to, json.dumps(files)))
        try:
            with storage("move the image away"), self._database.write() as connection:
                connection.execute("DELETE FROM about WHERE key = ?", (_NOTE + moved_to,))
                make_folder(self._data / moved_to)
                _move(files, self._root, self._data / moved_to)
                yield connection
        except BaseException:
            with suppress(StorageError):  # what cannot be put back now is at the next start
                self.undo_unfinished()
            raise

    def undo_unfinished(self) -> None:
        """Put back the files of removals that were cut off; a file whose name was taken since stays in ``removed``.

        Raises:
            StorageError: they cannot be moved.
        """
        query = "SELECT key, value FROM about WHERE substr(key, 1, ?) = ?"
        with self._database.read() as connection:
            if connection.execute(query, (len(_NOTE), _NOTE)).fetchone() is None:
                return
        with storage("put back an image that was not removed completely"), self._database.write() as connection:
            for key, files in connection.execute(query, (len(_NOTE), _NOTE)).fetchall():
                folder = self._data / key.removeprefix(_NOTE)
                if folder.is_dir():  # otherwise somebody may be about to begin
                    _move(json.loads(files), folder, self._root)
                    connection.execute("DELETE FROM about WHERE key = ?", (key,))


def _move(files: Sequence[str], old: Path, new: Path) -> None:
    """Move files from below one folder to below another, onto the disk; never over another file."""
    changed = set()
    for file in files:
        source, target = old / file, new / file
        if os.path.lexists(source) and not os.path.lexists(target):
            make_folder(target.parent)
            source.rename(target)
            changed |= {source.parent, target.parent}
    for folder in changed:
        sync_folder(folder)
