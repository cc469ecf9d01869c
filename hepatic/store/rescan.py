"""When a studies folder is scanned: at the start, and again now and then while somebody asks for listings."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from hepatic.errors import HepaticError
from hepatic.store.store import Store

logger = logging.getLogger(__name__)

_MOMENT_SECONDS = 0.25
_FEW_FILES = 1000
"""Up to so many, a scan is waited for by the listing that asked for it."""
_RARELY = 20
"""How much longer than a scan takes is the time between two of them, at least."""
_TELL_SECONDS = 10.0


class Rescan:
    """Scans a store's folder in the background, one scan at a time, leaving the process to others meanwhile.

    Args:
        store: whose folder.
        after_seconds: how old the last scan may be before ``if_old`` begins another; None for any age.
        waits: whether ``if_old`` waits a moment for a scan of few files.
    """

    def __init__(self, store: Store, *, after_seconds: float | None, waits: bool = True) -> None:
        self._store, self._after_seconds, self._waits = store, after_seconds, waits
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._scanned, self._took, self._files = time.monotonic(), 0.0, math.inf

    def now(self, *, gently_after_s: float = math.inf) -> None:
        """Scan here, and return when it is done.

        Raises:
            StorageError: the folder cannot be read, or the index not written.
        """
        started = told = time.monotonic()

        def tell(done: int, of: int) -> None:
            nonlocal told
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                logger.info("%d of %d new or changed files are read", done, of)

        report = self._store.rescan(gently_after_s=gently_after_s, progress=tell)
        self._scanned = time.monotonic()
        self._took, self._files = self._scanned - started, report.files

    def first(self, *, wait_s: float) -> None:
        """Scan, and go on in the background after a while; what goes wrong before is raised here.

        Raises:
            StorageError: as ``now`` does.
        """
        failures: list[HepaticError] = []

        def scan() -> None:
            try:
                self.now(gently_after_s=wait_s)
            except HepaticError as failure:
                failures.append(failure)
                logger.error("The studies folder could not be scanned: %s", failure)

        thread = self._start(scan)
        thread.join(wait_s)
        if failures:
            raise failures[0]
        if thread.is_alive():
            logger.info("The studies are still being read; images appear as they are")

    def if_old(self) -> None:
        """Begin a scan if the last one is old, and wait a moment for it where there are few files."""
        if self._after_seconds is None:
            return
        is_small = self._files <= _FEW_FILES
        pause_s = self._after_seconds if is_small else max(self._after_seconds, _RARELY * self._took)
        if time.monotonic() - self._scanned < pause_s:
            return
        thread = self._start(self._quietly)
        if is_small and self._waits:
            thread.join(_MOMENT_SECONDS)

    def _start(self, scan: Callable[[], None]) -> threading.Thread:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=scan, name="hepatic-rescan", daemon=True)
                self._thread.start()
            return self._thread

    def _quietly(self) -> None:
        try:
            self.now(gently_after_s=0.0)
        except HepaticError:
            self._scanned = time.monotonic()  # try again after a while, not at every listing
            logger.exception("The studies folder could not be scanned")
