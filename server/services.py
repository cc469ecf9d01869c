"""Everything the routes use, started and stopped together."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from hepatic.errors import BadInputError, ConflictError
from hepatic.settings import settings
from server import worker
from server.cases.cases import Cases
from server.class_cards import ClassCards
from server.class_labels import ClassLabels
from server.executor import Executor
from server.harvest import Harvest, rules_of
from server.harvest_jobs import HarvestJobs
from server.harvest_training import HarvestTraining
from server.harvest_watch import HarvestWatch
from server.held_pictures import HeldPictures
from server.hiding import HIDING
from server.host import Host, is_shared
from server.intake.inspector import Inspector
from server.intake.scratch import Scratch
from server.intake.uploads import Uploads
from server.jobs.batch import BatchInference
from server.jobs.job import Job
from server.jobs.runner import Jobs
from server.monai_app import AppSpec
from server.observe import relay
from server.observe.log import ServerLog
from server.observe.metrics import Metrics
from server.observe.names import NAMES, Known, Listed
from server.pacs.service import PacsResults
from server.proposers.proposers import Proposers
from server.scoring import BackgroundScoring
from server.sessions import Sessions
from server.slot import LocalSlot, RemoteError, Slot, Work
from server.study_dates import StudyDates
from server.training import Training
from server.upstream import upstream_spec

logger = logging.getLogger(__name__)

INFERENCE_TIMEOUT_S = 1800.0
_HOUSEKEEPING_S = 300.0
_LOOK_S = 5.0
"""Between two looks for new images and newly served models."""


class Services:
    """The app and what works for it. Built in the server's process; ``close`` leaves no process behind.

    Args:
        spec: which app.
        workers: how many inference workers.
        queue_limit: how many requests may wait for one.
        score_in_background: score unlabelled images from the start, after each training, and whenever there are new
            ones or another version of a model is served.
        make_slot: makes a worker's slot; by default a process on this machine.
        metrics: where workers' numbers go, and what asks for how things are.
    """

    def __init__(
        self,
        spec: AppSpec,
        *,
        workers: int | None = None,
        queue_limit: int | None = None,
        score_in_background: bool | None = None,
        make_slot: Callable[[], Slot] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        chosen = settings()
        self.spec = spec
        self.log = ServerLog(spec.data_dir / "logs" / "server.log")
        self.scratch = Scratch(spec.data_dir / "scratch")
        local = () if spec.is_remote else (spec.studies,)
        HIDING.add((*local, spec.app_dir, spec.data_dir, self.scratch.dir, Path.home(), tempfile.gettempdir()))
        results_dir = str(self.scratch.results_dir)
        self._opening = _Opening()
        self.metrics = metrics or Metrics()
        self._make_slot = make_slot or (lambda: LocalSlot(worker.load, (spec, results_dir), heard=self._heard))
        self._reloading = threading.Lock()
        self._spare: list[_Watched] = []
        self.executor = Executor(
            self._next_slot,
            slots=workers or chosen.workers,
            queue_limit=queue_limit or chosen.queue_limit,
        )
        self.inspector = Inspector()
        self.uploads = Uploads(self.scratch, self.inspector)
        self.model_checksums: dict[str, tuple[object, dict[str, Any]]] = {}
        """What ``/model/info`` tells by model, with the state of the files that it was read from."""
        self._known: Known | None = None
        self._listed = Listed()
        try:
            self.host = Host(spec, attach=self._attach)
        except BaseException:
            self.executor.close()
            self.inspector.close()
            self.scratch.close()
            self.log.close()
            raise
        self.cases = Cases(self.host, self.executor, self.scratch.dir)
        self.held = HeldPictures(self.host, self.executor)
        self.sessions = Sessions(spec.data_dir / "sessions")
        self.jobs = Jobs(spec.data_dir / "jobs.sqlite")
        self.scoring = BackgroundScoring(self.host, self.executor, self.jobs, apart=self._worker_apart)
        self.training = Training(self.host, spec.data_dir / "trainings", self.jobs, self._after_training)
        self.batch = BatchInference(self.host, self.executor, self.jobs, discard=self.scratch.discard)
        self.harvest = Harvest(
            spec.data_dir,
            rules=rules_of(chosen),
            url=chosen.reviews_database.get_secret_value(),
            date_of=StudyDates(self.host).of,
        )
        self.class_labels = ClassLabels(self.cases, self.harvest.store, self.scratch.dir)
        self.class_cards = ClassCards(self.cases)
        self.proposers = Proposers(self.host)
        reviews = self.harvest.store
        self.harvest_jobs = HarvestJobs(self.host, self.proposers, self.executor, self.jobs, reviews)
        self.harvest_training = HarvestTraining(
            self.host, self.proposers, self.harvest_jobs, reviews, self.class_labels
        )
        self._watches = [
            HarvestWatch(self.host, self.jobs, self.harvest_jobs, reviews, find)
            for find in (self.proposers.detector, self.proposers.classifier)
        ]
        self.pacs = PacsResults(
            upstream_spec(spec),
            chosen.dicomweb_results,
            spec.data_dir,
            host=self.host,
            executor=self.executor,
            reviews=self.harvest.store,
            scratch=self.scratch.dir,
            reads=chosen.read_dicom_labels,
        )
        self._propose = chosen.propose_in_background and spec.is_bounded
        may_score = chosen.score_in_background and spec.is_bounded
        self._score = may_score if score_in_background is None else score_in_background
        if not spec.is_bounded:
            logger.info(
                "Nothing is scored or proposed in the background: all images of the PACS would be fetched. "
                "HEPATIC_DICOMWEB_FILTER says which of them are for this server."
            )
        self.metrics.watch(self._now, self.jobs.table.counts)
        self._ended = threading.Event()
        self._housekeeper = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin: tell the app, go on with the jobs there are, score in the background."""
        self.host.start()
        self.jobs.start()
        self.pacs.start()
        if self._score:
            self.scoring.look()
        self._housekeeper.start()

    def reload(self) -> None:
        """Load the app again, in new workers and here; requests under way are finished by the old ones.

        Raises:
            ConflictError: it is being loaded already.
            BadInputError: it cannot be loaded any more; the one loaded before goes on serving.
        """
        if not self._reloading.acquire(blocking=False):
            raise ConflictError("the app", expected="one reload at a time", came="another", fix="Wait for it.")
        tried = _Watched(self._make_slot(), _Opening())
        try:
            try:
                tried.open()  # in a process of its own first: what is wrong with it stays there
                self.host.reload()
            except Exception as failure:
                tried.kill()
                logger.exception("the app could not be loaded again; the one loaded before goes on")
                raise BadInputError(
                    "the app",
                    expected="it to load",
                    came=f"{failure.kind if isinstance(failure, RemoteError) else type(failure).__name__}: "
                    f"{failure.message if isinstance(failure, RemoteError) else failure}",
                    fix="The app loaded before goes on serving. Correct it and reload again.",
                ) from failure
            self._spare.append(tried)
            self.executor.renew()
        finally:
            self._reloading.release()

    def missing(self) -> list[str]:
        """Return what keeps work from being taken; nothing while a worker is warm or is being replaced."""
        if self._ended.is_set():
            return ["the server: it is stopping"]
        if self.executor.ready or self._opening.failed is False:
            return []
        if self._opening.failed:
            return ["a worker: none could be started, it is tried again; the server's log says why"]
        return ["a worker: it is starting"]

    def close(self) -> None:
        """Stop every process and thread, and delete temporary files."""
        self._ended.set()
        for slot in self._spare:
            slot.kill()
        self.metrics.forget()
        self.pacs.close()
        self.jobs.close()
        self.executor.close()
        self.inspector.close()
        self.scratch.close()
        self.harvest.close()
        self._forget_names()
        self.log.close()

    def _attach(self, datastore: Any) -> None:
        """Let a datastore of ours have labels read where they can do no harm, and tell the log which words are ids."""
        self._forget_names()
        if is_shared(datastore):
            datastore.check_label = self.inspector.label
            self._known = datastore.store.images.known
        else:
            self._known = self._listed.known
            self._list_names(datastore)
        NAMES.ask(self._known)

    def _list_names(self, datastore: Any) -> None:
        try:
            self._listed.take([str(id) for id in datastore.list_images()])
        except Exception as failure:  # of a datastore elsewhere
            logger.warning("the images could not be listed (%s); the log hides those it knows", type(failure).__name__)

    def _list_names_again(self) -> None:
        with self.host.storing() as datastore:
            self._list_names(datastore)

    def _forget_names(self) -> None:
        if self._known is not None:
            NAMES.ask_no_more(self._known)
            self._known = None

    def _heard(self, pid: int, what: Mapping[str, Any]) -> None:
        """Take in what a worker tells besides its answers."""
        if "log" in what:
            relay.log(what["log"])
        else:
            self.metrics.used(pid, what.get("usage"))

    def _now(self) -> dict[str, float]:
        """Return what is measured when it is asked for."""
        told: dict[str, float] = {
            "hepatic_queue_waiting": self.executor.waiting,
            "hepatic_queue_limit": self.executor.queue_limit,
            "hepatic_work_running": self.executor.running,
            "hepatic_slots_ready": self.executor.ready,
        }
        if is_shared(self.host.datastore):  # others list all there is
            status = self.host.datastore.status()
            told |= {"hepatic_store_images": status["total"], "hepatic_store_completed": status["completed"]}
        return told

    def _after_training(self, job: Job) -> None:
        logger.info("training %s is done", job.id)
        if self._score:
            self.scoring.restart()
        self.harvest_training.after_training(job)

    def _next_slot(self) -> Slot:
        """A slot for the executor: one that is open already where there is one."""
        try:
            return self._spare.pop()
        except IndexError:
            return _Watched(self._make_slot(), self._opening)

    @contextmanager
    def _worker_apart(self) -> Iterator[Executor]:
        """Lend a worker of its own for one piece of work."""
        apart = Executor(self._make_slot, slots=1)
        try:
            yield apart
        finally:
            apart.close()

    def _keep_house(self) -> None:
        tidied = float("-inf")
        while True:
            if time.monotonic() - tidied > _HOUSEKEEPING_S:
                tidied = time.monotonic()
                for step in (self.sessions.expire, self.scratch.sweep, self.jobs.prune):
                    _tried(step)
            if self._ended.wait(
                _LOOK_S if is_shared(self.host.datastore) else _LOOK_S * (12 if self.spec.is_remote else 1)
            ):
                return
            if not is_shared(self.host.datastore):
                _tried(self._list_names_again)
            if self._score:
                _tried(self.scoring.look)
            if self._propose:
                for watch in self._watches:
                    _tried(watch.look)


def _tried(step: Callable[[], object]) -> None:
    """Do one thing of the house; whatever it fails by must not end the thread that does them all."""
    try:
        step()
    except Exception:
        logger.exception("housekeeping failed; it is tried again later")


class _Opening:
    """How the latest start of a worker went; None before the first."""

    failed: bool | None = None


class _Watched:
    """A slot that notes whether it could be opened, and is opened once."""

    def __init__(self, slot: Slot, opening: _Opening) -> None:
        self._slot, self._opening, self._open = slot, opening, False

    @property
    def alive(self) -> bool:
        return self._slot.alive

    def open(self) -> None:
        if self._open:
            return
        try:
            self._slot.open()
        except BaseException:
            self._opening.failed = True
            raise
        self._open, self._opening.failed = True, False

    def call(self, work: Work, args: tuple[Any, ...], timeout_s: float | None) -> Any:
        return self._slot.call(work, args, timeout_s)

    def kill(self) -> None:
        self._slot.kill()


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
"""What a route declares to be given the services."""
