"""Scores of unlabelled images, computed while nobody waits for anything else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hepatic.store.score import read_scores
from server import worker
from server.executor import Executor
from server.host import Host
from server.jobs.held import Held
from server.jobs.items import go_through
from server.jobs.job import Job, State
from server.jobs.runner import Jobs
from server.monai_record import local_text
from server.notes import write

logger = logging.getLogger(__name__)

KIND = "scoring"
_TIMEOUT_S = 1800.0
_TOLD: dict[State, str] = {
    "queued": "RUNNING", "running": "RUNNING", "succeeded": "DONE", "failed": "ERROR", "cancelled": "STOPPED",
}  # fmt: skip


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

    @property
    def item(self) -> str:
        """What it is called in a job."""
        return f"{self.method.name}\t{self.image}"


class BackgroundScoring:
    """Gives one image at a time to the workers, behind everything interactive; a round over many is a job.

    Only methods whose ``info()`` says ``{"per_image": True}`` are run: they take ``{"method": ..., "images": [id]}``.
    Where it also names a ``model`` whose info has a ``version``, a method is run once that is not None, and not on
    images that have a score by that version.

    Args:
        host: the app.
        executor: where the work runs.
        jobs: where rounds are kept; this serves its kind ``scoring``.
    """

    def __init__(self, host: Host, executor: Executor, jobs: Jobs) -> None:
        self._host, self._executor, self._jobs = host, executor, jobs
        self._lock = threading.Lock()
        self._methods: list[_Method] = []
        self._images: set[str] = set()
        self._seen_arrivals: int | None = None
        self._tried: set[_Task] = set()
        self._complaint = ""
        jobs.serve(KIND, self._run)

    def status(self) -> dict[str, Any] | None:
        """Return how far the last round is; None before the first."""
        last = next(iter(self._jobs.table.jobs(kind=KIND, limit=1)), None)
        return None if last is None else _told(last)

    def look(self) -> None:
        """Begin a round if there are images, methods or served versions that the last one knew nothing of.

        Cheap where there are none; never raises.
        """
        try:
            with self._lock:
                methods, arrivals = self._runnable(), self._arrivals()
                if methods == self._methods and arrivals is not None and arrivals == self._seen_arrivals:
                    return
                self._seen_arrivals = arrivals
                images = self._unlabelled() if methods else {}
                is_new = methods != self._methods or not images.keys() <= self._images
                self._images = set(images)
                if is_new and (work := self._work(methods, images)) and not self._is_under_way(work):
                    self._begin(work)
                self._methods = methods
            self._complaint = ""
        except Exception as failure:
            if str(failure) != self._complaint:
                logger.exception("what there is to score cannot be found out; it is tried again")
            self._complaint = str(failure)

    def restart(self, *, asked_by: str = "") -> None:
        """Begin a new round, over all images without a score; what is left of the old one is dropped."""
        with self._lock:
            methods, images = self._runnable(), self._unlabelled()
            self._tried.clear()
            self._methods, self._images = methods, set(images)
            self._begin(self._work(methods, images), asked_by=asked_by)

    def stop(self) -> None:
        """End the round; an image that is being scored is finished. The next begins when there is something new."""
        with self._lock:
            self._end()

    def _begin(self, work: list[_Task], *, asked_by: str = "") -> None:
        """End the round and begin another; the caller holds the lock, and jobs of this kind go one after the other."""
        self._end()
        methods = {task.method.name: [task.method.model, task.method.version] for task in work}
        spec = {"method": ", ".join(methods), "methods": methods}
        self._jobs.submit(KIND, spec, items=[task.item for task in work], asked_by=asked_by)

    def _end(self) -> None:
        for job in self._active():
            self._jobs.cancel(job.id, wait_s=0)

    def _active(self) -> list[Job]:
        return [job for job in self._jobs.table.jobs(kind=KIND, states=("queued", "running")) if not job.cancel]

    def _is_under_way(self, work: list[_Task]) -> bool:
        """Whether a round that a server before this one began does all of this."""
        for job in self._active():
            waiting = set(self._jobs.table.waiting_items(job))
            if all(task in _tasks(job, [task.item]) and task.item in waiting for task in work):
                return True
        return False

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

    def _arrivals(self) -> int | None:
        """Return a number that tells whether there can be new images; None where the datastore has none."""
        waiting = getattr(self._host.datastore, "waiting", None)
        return None if waiting is None else int(waiting().arrivals())

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

    def _run(self, held: Held) -> dict[str, Any]:
        """Do a round."""
        tasks = {task.item: task for task in _tasks(held.job, held.table.waiting_items(held.job))}

        def ask(item: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return worker.score, ({"method": tasks[item].method.name, "images": [tasks[item].image]},)

        try:
            go_through(held, self._executor, ask, self._keep, window=1, timeout_s=_TIMEOUT_S)
        finally:
            left = set(held.table.waiting_items(held.job))
            with self._lock:
                self._tried |= {task for item, task in tasks.items() if item not in left}
        now = held.table.get(held.job.id)
        return {"total": now.items, "scored": now.items_done, "failed": now.items_failed}

    def _keep(self, _item: str, scored: worker.Scored) -> None:
        with self._host.storing() as datastore:
            write(scored.notes, datastore)


def _tasks(job: Job, items: list[str]) -> list[_Task]:
    methods = {name: _Method(name, *about) for name, about in job.spec["methods"].items()}
    pairs = (item.partition("\t") for item in items)
    return [_Task(methods[name], image) for name, _, image in pairs if name in methods]


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": _TOLD[job.state],
        "total": job.items,
        "scored": job.items_done,
        "failed": job.items_failed,
        "start_ts": local_text(job.started or job.created),
        "end_ts": None if job.ended is None else local_text(job.ended),
    }
