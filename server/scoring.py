"""Scores of unlabelled images, computed while nobody waits for anything else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, dataclass, field
from typing import Any

from hepatic.active.score import read_scores
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


@dataclass(frozen=True)
class _Method:
    """A scoring method, with the model it asks and that model's version, None where it names none."""

    name: str
    model: str | None
    version: int | str | None


@dataclass(frozen=True)
class _Task:
    """One image to score by one method; one equal to an earlier one has been tried, with the same outcome."""

    method: _Method
    image: str


class BackgroundScoring:
    """Gives one image at a time to the workers, behind everything interactive.

    Only methods whose ``info()`` says ``{"per_image": True}`` are run: they take ``{"method": ..., "images": [id]}``.
    Where it also names a ``model`` whose info has a ``version``, a method is run once that is not None, and not on
    images that have a score by that version.

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
        self._methods: list[_Method] = []
        self._images: set[str] = set()
        self._tried: set[_Task] = set()
        self._complaint = ""

    def status(self) -> dict[str, Any] | None:
        """Return how far the last round is; None before the first."""
        return None if self._status is None else asdict(self._status)

    def look(self) -> None:
        """Begin a round if there are images, methods or served versions that the last one knew nothing of.

        Cheap where there are none; never raises.
        """
        try:
            with self._lock:
                methods = self._runnable()
                images = self._unlabelled() if methods else {}
                is_new = methods != self._methods or not images.keys() <= self._images
                self._images = set(images)
                if is_new and (work := self._work(methods, images)):
                    self._begin(work)
                self._methods = methods
            self._complaint = ""
        except Exception as failure:
            if str(failure) != self._complaint:
                logger.exception("what there is to score cannot be found out; it is tried again")
            self._complaint = str(failure)

    def restart(self) -> None:
        """Begin a new round, over all images without a score; what is left of the old one is dropped."""
        with self._lock:
            methods, images = self._runnable(), self._unlabelled()
            self._tried.clear()
            self._methods, self._images = methods, set(images)
            self._begin(self._work(methods, images))

    def stop(self) -> None:
        """End the round; an image that is being scored is finished. The next begins when there is something new."""
        with self._lock:
            thread = self._end()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=0.5)

    def _begin(self, work: list[_Task]) -> None:
        """End the round and begin another; the caller holds the lock, so there are never two."""
        self._end()
        self._stop, self._status = threading.Event(), ScoringStatus(total=len(work))
        self._thread = threading.Thread(
            target=self._score_all, args=(work, self._stop, self._status), name="scoring", daemon=True
        )
        self._thread.start()

    def _end(self) -> threading.Thread | None:
        self._stop.set()
        if self._now is not None:
            self._executor.cancel(self._now, kill=False)
        thread, self._thread, self._now = self._thread, None, None
        return thread

    def _runnable(self) -> list[_Method]:
        """Return the methods that score image by image and whose model is there."""
        models = self._host.models
        found = []
        for name, method in self._host.scoring_methods.items():
            told = method.info()
            if told.get("per_image") is not True:
                continue
            model = told.get("model")
            about = models[model].info() if model in models else {}
            if "version" not in about:
                found.append(_Method(name, None, None))
            elif (version := about["version"]) is not None:
                found.append(_Method(name, model, version if isinstance(version, int | str) else str(version)))
        return found

    def _unlabelled(self) -> dict[str, Mapping[str, Any]]:
        """Return what is noted of each unlabelled image, by id."""
        with self._host.storing() as datastore:
            in_one_go = getattr(datastore, "unlabeled_infos", None)
            if in_one_go is not None:
                return dict(in_one_go())
            return {image: {} for image in datastore.get_unlabeled_images()}

    def _work(self, methods: list[_Method], images: Mapping[str, Mapping[str, Any]]) -> list[_Task]:
        scored = {
            image: {(score.model, score.version) for score in read_scores(info)} for image, info in images.items()
        }
        tasks = [_Task(method, image) for method in methods for image in images]
        return [
            task
            for task in tasks
            if task not in self._tried and (task.method.model, task.method.version) not in scored[task.image]
        ]

    def _score_all(self, work: list[_Task], stop: threading.Event, status: ScoringStatus) -> None:
        try:
            for task in work:
                if stop.is_set():
                    break
                self._score(task, stop, status)
        except Exception:
            logger.exception("background scoring ended")
            status.status = "ERROR"
        else:
            status.status = "STOPPED" if stop.is_set() else "DONE"
        status.end_ts = now_text()

    def _score(self, task: _Task, stop: threading.Event, status: ScoringStatus) -> None:
        while not stop.is_set():
            try:
                with self._lock:
                    if stop.is_set():
                        return
                    future = self._now = self._executor.submit(
                        worker.score,
                        {"method": task.method.name, "images": [task.image]},
                        priority=Priority.BATCH,
                        timeout_s=_TIMEOUT_S,
                    )
                future.result()
            except QueueFullError:
                time.sleep(_PAUSE_S)
                continue
            except (WorkCancelledError, CancelledError):
                stop.set()
                return
            except HepaticError as failure:
                status.failed += 1
                logger.warning("an image could not be scored by %s: %s", task.method.name, failure)
            else:
                status.scored += 1
            with self._lock:
                self._tried.add(task)
            return
