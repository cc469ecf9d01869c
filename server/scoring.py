"""Scores of images: those somebody asks for, and those computed while nobody waits for anything else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from hepatic.store.score import read_scores
from server import worker
from server.executor import Executor
from server.host import Host
from server.jobs.held import Held, JobFailedError
from server.jobs.items import go_through
from server.jobs.job import Job, State
from server.jobs.runner import Jobs
from server.monai_record import monai_record
from server.notes import write

logger = logging.getLogger(__name__)

KIND = "scoring"
_TIMEOUT_S = 1800.0
_ACTIVE: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True)
class _Method:
    """A scoring method, with the model it asks and that model's version, None where it names none."""

    name: str
    model: str | None
    version: int | str | None


@dataclass(frozen=True)
class _Task:
    """One image to score by one method; one equal to an earlier one has been tried, with the same outcome.

    Without an image it is the whole of a method that chooses its images itself.
    """

    method: _Method
    image: str

    @property
    def item(self) -> str:
        """What it is called in a job."""
        return f"{self.method.name}\t{self.image}"


class BackgroundScoring:
    """Gives one image at a time to the workers, behind everything interactive; a round over many is a job.

    Methods whose ``info()`` says ``{"per_image": True}`` take ``{"method": ..., "images": [id]}``. Where it also names
    a ``model`` whose info has a ``version``, a method is run once that is not None, and not on images that have a score
    by that version. Other methods are run in one go, and only where somebody asks or a training has ended.

    Args:
        host: the app.
        executor: where the work runs.
        jobs: where rounds are kept; this serves its kind ``scoring``.
        apart: lends a worker of their own to methods that are run in one go: they may take long, and somebody may want
            an inference meanwhile.
    """

    def __init__(
        self, host: Host, executor: Executor, jobs: Jobs, *, apart: Callable[[], AbstractContextManager[Executor]]
    ) -> None:
        self._host, self._executor, self._jobs, self._apart = host, executor, jobs, apart
        self._lock = threading.Lock()
        self._methods: list[_Method] = []
        self._images: set[str] = set()
        self._seen_arrivals: int | None = None
        self._tried: set[_Task] = set()
        self._complaint = ""
        self._one_round = threading.Lock()
        jobs.serve(KIND, self._run, slots=("", ""))  # one for rounds, so that whoever asks need not wait for their end

    def status(self) -> dict[str, Any] | None:
        """Return how far the last job is; None before the first."""
        last = next(iter(self._jobs.table.jobs(kind=KIND, limit=1)), None)
        return None if last is None else self.record(last)

    def running(self) -> dict[str, Any] | None:
        """Return how far the job is that runs, or else the first that waits; None if there is none."""
        active = self._jobs.table.jobs(kind=KIND, states=_ACTIVE, limit=-1)[::-1]
        first = next((job for job in active if job.state == "running"), next(iter(active), None))
        return None if first is None else self.record(first)

    def records(self) -> list[dict[str, Any]]:
        """Return how far each job is, the oldest first."""
        return [self.record(job) for job in reversed(self._jobs.table.jobs(kind=KIND, limit=-1))]

    def record(self, job: Job) -> dict[str, Any]:
        """Return a job as a client knows it, with how many images or methods it has gone through."""
        counts = {"total": job.items, "scored": job.items_done, "failed": job.items_failed}
        return {**monai_record(self._jobs.table, job), **counts}

    def results(self, job: Job) -> dict[str, Any]:
        """Return what came of each method of a job: what it returned, by image where it was asked image by image."""
        found: dict[str, Any] = {name: {} for name in job.spec["methods"]}
        for item in self._jobs.table.settled_items(job):
            name, _, image = item.item.partition("\t")
            if image:
                found[name][image] = item.result
            else:
                found[name] = item.result
        return found

    def submit(
        self, method: str, params: Mapping[str, Any], images: list[str] | None = None, *, asked_by: str = ""
    ) -> Job:
        """Ask for one method to be run; background scoring goes on beside it.

        Args:
            method: a scoring method of the app.
            params: options for it, cleaned.
            images: ids of images; all unlabelled ones by default, or those the method chooses itself.
            asked_by: who wants it.
        """
        told = self._host.scoring_methods[method].info()
        about = self._method(method, told)
        if told.get("per_image") is True:
            tasks = [_Task(about, image) for image in (self._unlabelled() if images is None else images)]
        else:
            tasks, params = [_Task(about, "")], {**params, **({} if images is None else {"images": images})}
        spec = {**_spec(tasks, {method: params}), "method": method, "methods": _about([about]), "asked": True}
        return self._jobs.submit(KIND, spec, items=list(dict.fromkeys(task.item for task in tasks)), asked_by=asked_by)

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

    def restart(self, params: Mapping[str, Mapping[str, Any]] | None = None, *, asked_by: str = "") -> Job | None:
        """Begin a new round: every method, over all images without a score where it goes image by image.

        What is left of the old round is dropped.

        Args:
            params: options by method.
            asked_by: who wants it.

        Returns:
            The job; None where there is nothing to do.
        """
        with self._lock:
            methods, images = self._runnable(), self._unlabelled()
            self._tried.clear()
            self._methods, self._images = methods, set(images)
            whole = [
                _Task(self._method(name, told), "")
                for name, method in self._host.scoring_methods.items()
                if (told := method.info()).get("per_image") is not True
            ]
            return self._begin([*self._work(methods, images), *whole], params or {}, asked_by=asked_by)

    def stop(self) -> dict[str, Any] | None:
        """End all jobs; an image that is being scored is finished. A round begins when there is something new.

        Returns:
            The record of the job that was stopped, or of the last one; None if there was none.
        """
        stopped = self._jobs.cancel_all(KIND)
        return self.status() if stopped is None else self.record(stopped)

    def _begin(
        self, work: list[_Task], params: Mapping[str, Mapping[str, Any]] | None = None, *, asked_by: str = ""
    ) -> Job | None:
        """End the round and begin another if there is work; the caller holds the lock."""
        for job in self._active():
            if not job.spec.get("asked"):
                self._jobs.cancel(job.id, wait_s=0)
        if not work:
            return None
        return self._jobs.submit(KIND, _spec(work, params or {}), items=[t.item for t in work], asked_by=asked_by)

    def _active(self) -> list[Job]:
        return [job for job in self._jobs.table.jobs(kind=KIND, states=_ACTIVE, limit=-1) if not job.cancel]

    def _is_under_way(self, work: list[_Task]) -> bool:
        """Whether a round that a server before this one began does all of this."""
        waiting = (_tasks(job, self._jobs.table.waiting_items(job)) for job in self._active())
        return any(set(work) <= set(tasks) for tasks in waiting)

    def _runnable(self) -> list[_Method]:
        """Return the methods that score image by image and whose model is there."""
        told = {name: method.info() for name, method in self._host.scoring_methods.items()}
        found = [self._method(name, info) for name, info in told.items() if info.get("per_image") is True]
        return [method for method in found if method.model is None or method.version is not None]

    def _method(self, name: str, told: Any) -> _Method:
        models, model = self._host.models, told.get("model")
        about = models[model].info() if model in models else {}
        if "version" not in about:
            return _Method(name, None, None)
        version = about["version"]
        return _Method(name, model, version if isinstance(version, int | str | None) else str(version))

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
        """Do a job."""
        job = held.job
        tasks = {task.item: task for task in _tasks(job, held.table.waiting_items(job))}
        params = job.spec.get("params", {})

        def ask(item: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            method, image = tasks[item].method.name, tasks[item].image
            return worker.score, (
                {**params.get(method, {}), "method": method, **({"images": [image]} if image else {})},
            )

        one_by_one = [item for item, task in tasks.items() if task.image]
        in_one_go = [item for item, task in tasks.items() if not task.image]
        try:
            with nullcontext() if job.spec.get("asked") else self._one_round:
                go_through(held, self._executor, ask, self._keep, one_by_one, window=1, timeout_s=_TIMEOUT_S)
                if in_one_go:
                    with self._apart() as apart:
                        go_through(held, apart, ask, self._keep, in_one_go, window=1, timeout_s=_TIMEOUT_S, grace_s=0.0)
        finally:
            left = set(held.table.waiting_items(job))
            with self._lock:
                self._tried |= {task for item, task in tasks.items() if item not in left}
        now = held.table.get(job.id)
        if now.items and now.items_failed == now.items:
            [first] = held.table.settled_items(job, limit=1)
            raise JobFailedError(str(first.result["error"]))
        return {"total": now.items, "scored": now.items_done, "failed": now.items_failed}

    def _keep(self, _item: str, scored: worker.Scored) -> Any:
        with self._host.storing() as datastore:
            write(scored.notes, datastore)
        return scored.result


def _about(methods: Iterable[_Method]) -> dict[str, Any]:
    return {method.name: [method.model, method.version] for method in methods}


def _spec(tasks: list[_Task], params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    methods = _about(task.method for task in tasks)
    return {"method": ", ".join(methods), "methods": methods, "params": {name: dict(of) for name, of in params.items()}}


def _tasks(job: Job, items: list[str]) -> list[_Task]:
    methods = {name: _Method(name, *about) for name, about in job.spec["methods"].items()}
    pairs = (item.partition("\t") for item in items)
    return [_Task(methods[name], image) for name, _, image in pairs if name in methods]
