"""Scores of unlabelled images, computed while nobody waits for anything else."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, dataclass, field
from typing import Any

from hepatic.errors import HepaticError
from server import worker
from server.executor import Executor, Priority, QueueFullError, WorkCancelledError
from server.host import Host
from server.training_records import now_text

logger = logging.getLogger(__name__)

_PAUSE_S = 1.0
_TIMEOUT_S = 1800.0


@dataclass
class ScoringStatus:
    """How far a round of scoring is."""

    status: str = "RUNNING"
    total: int = 0
    scored: int = 0
    failed: int = 0
    start_ts: str = field(default_factory=now_text)
    end_ts: str | None = None


class BackgroundScoring:
    """Gives one image at a time to the workers, behind everything interactive.

    Only methods whose ``info()`` says ``{"per_image": True}`` are run: they take ``{"method": ..., "images": [id]}``.

    Args:
        host: the app.
        executor: where the work runs.
    """

    def __init__(self, host: Host, executor: Executor) -> None:
        self._host, self._executor = host, executor
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._now: Future[Any] | None = None
        self._status: ScoringStatus | None = None

    @property
    def methods(self) -> list[str]:
        """Names of the app's methods that score image by image."""
        return [name for name, method in self._host.scoring_methods.items() if method.info().get("per_image") is True]

    def status(self) -> dict[str, Any] | None:
        """Return how far the last round is; None before the first."""
        return None if self._status is None else asdict(self._status)

    def restart(self) -> None:
        """Begin a new round; what is left of the old one is dropped."""
        self.stop()
        with self._lock:
            if not self.methods:
                return
            self._stop = threading.Event()
            self._status = ScoringStatus()
            self._thread = threading.Thread(
                target=self._score_all, args=(self._stop, self._status), name="scoring", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the round; an image that is being scored is finished."""
        with self._lock:
            self._stop.set()
            now, thread = self._now, self._thread
            self._thread = None
        if now is not None:
            self._executor.cancel(now, kill=False)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=0.5)

    def _score_all(self, stop: threading.Event, status: ScoringStatus) -> None:
        try:
            with self._host.storing() as datastore:
                images = list(datastore.get_unlabeled_images())
            work = [(method, image) for method in self.methods for image in images]
            status.total = len(work)
            for method, image in work:
                if stop.is_set():
                    break
                self._score(method, image, stop, status)
        except Exception:
            logger.exception("background scoring ended")
            status.status = "ERROR"
        else:
            status.status = "STOPPED" if stop.is_set() else "DONE"
        status.end_ts = now_text()

    def _score(self, method: str, image: str, stop: threading.Event, status: ScoringStatus) -> None:
        while not stop.is_set():
            try:
                with self._lock:
                    if stop.is_set():
                        return
                    self._now = self._executor.submit(
                        worker.score,
                        {"method": method, "images": [image]},
                        priority=Priority.BATCH,
                        timeout_s=_TIMEOUT_S,
                    )
                self._now.result()
            except QueueFullError:
                time.sleep(_PAUSE_S)
                continue
            except (WorkCancelledError, CancelledError):
                stop.set()
                return
            except HepaticError as failure:
                status.failed += 1
                logger.warning("an image could not be scored by %s: %s", method, failure)
            else:
                status.scored += 1
            return
