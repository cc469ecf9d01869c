"""Images that somebody is about to ask for, fetched in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from hepatic.errors import HepaticError

_THREADS = 2
_MOST = 8


class Ahead:
    """Fetches a few images at a time; further ones are not noted while many wait.

    Args:
        fetch: is given an image's id; what goes wrong is told to who asks for the image.
    """

    def __init__(self, fetch: Callable[[str], object]) -> None:
        self._fetch = fetch
        self._wanted: set[str] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()

    def begin(self, image_id: str) -> None:
        """Begin to fetch an image, unless it is being fetched already."""
        with self._guard:
            if image_id in self._wanted or len(self._wanted) >= _MOST:
                return
            self._wanted.add(image_id)
            self._threads = self._threads or ThreadPoolExecutor(_THREADS, thread_name_prefix="hepatic-ahead")
            self._threads.submit(self._run, image_id)

    def close(self) -> None:
        """Begin no more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, image_id: str) -> None:
        try:
            with suppress(HepaticError):
                self._fetch(image_id)
        finally:
            with self._guard:
                self._wanted.discard(image_id)
