"""The server's folder for files that live as long as one request: uploads on their way in, results on their way out."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


class Scratch:
    """A private temporary folder, gone when the server stops."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="hepatic-")).resolve()

    @property
    def results_dir(self) -> Path:
        """Where the workers' temporary files go."""
        return self.dir / "results"

    def receive(self, stream: BinaryIO, suffix: str) -> Path:
        """Write an upload into a file whose name is ours.

        Args:
            stream: the upload.
            suffix: one of the accepted ones, never the client's own.
        """
        path = self.dir / f"{uuid.uuid4().hex}{suffix}"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, _CHUNK_BYTES)
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
