"""Trainings: jobs that each run in a process of their own, one per device."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from hepatic.engine.device import training_devices
from hepatic.harvest.snapshots import snapshot_file
from hepatic.settings import settings
from server.hiding import without_paths
from server.host import Host
from server.jobs.held import Held, JobFailedError, JobInterruptedError
from server.jobs.job import Job
from server.jobs.runner import Jobs
from server.monai_record import monai_record
from server.observe.scrub import scrubbed
from server.plain import number, plain
from server.slot import kill_tree
from server.training_told import Told

logger = logging.getLogger(__name__)

KIND = "train"
_LOOK_S = 1.0
"""Between two looks at the numbers a trainer gives of its progress."""


class Training:
    """Asks for trainings, runs them, stops them.

    Args:
        host: the app whose trainings these are.
        folder: one folder per training is made here: request, log, result, and what it takes to resume it.
        jobs: where they are kept; this serves its kind ``train``.
        on_done: called, in the thread of its slot, with a training that ended well and what came of it.
    """

    def __init__(self, host: Host, folder: Path, jobs: Jobs, on_done: Callable[[Job], None]) -> None:
        self._host, self._folder, self._jobs, self._on_done = host, folder, jobs, on_done
        jobs.serve(KIND, self._run, slots=_devices(), forget=self._forget)

    def submit(self, request: Mapping[str, Any], *, enqueue: bool = False, asked_by: str = "") -> Job:
        """Ask for a training.

        Args:
            request: as MONAI Label defines it, without paths; ``model`` names the trainer.
            enqueue: wait for those that were asked for before.
            asked_by: who wants it.

        Raises:
            JobRunningError: as many run or wait as can run at a time, and ``enqueue`` is off.
        """
        return self._jobs.submit(KIND, request, asked_by=asked_by, enqueue=enqueue)

    def stop(self) -> Job | None:
        """Stop the trainings that run, with everything they started, and drop those that wait.

        Returns:
            The one that ran, or else the first that waited; None if there was nothing to stop.
        """
        return self._jobs.cancel_all(KIND)

    def record(self, job: Job) -> dict[str, Any]:
        """Return a training in the words of MONAI Label."""
        return monai_record(self._jobs.table, job)

    def records(self) -> list[dict[str, Any]]:
        """Return every training, in the order they came."""
        return [self.record(job) for job in reversed(self._jobs.table.jobs(kind=KIND, limit=-1))]

    def running(self) -> dict[str, Any] | None:
        """Return the training that runs, the one asked for first if there are several."""
        found = self._jobs.table.jobs(kind=KIND, states=("running",))
        return self.record(found[-1]) if found else None

    def latest(self) -> dict[str, Any] | None:
        """Return the training that runs, or else the one asked for last."""
        last = self._jobs.table.jobs(kind=KIND, limit=1)
        return self.running() or (self.record(last[0]) if last else None)

    def _forget(self, id: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder / id)

    def _run(self, held: Held) -> Any:
        """Train; the work of a job."""
        job = held.job
        folder = self._folder / job.id
        folder.mkdir(parents=True, exist_ok=True)
        finished = folder / "result.json"
        if not finished.is_file():  # else it was killed between its end and the note of it
            self._train(held, folder)
            if not finished.is_file():  # what it has published by its end is published, also when it was to stop then
                held.check()
        try:
            result = json.loads(finished.read_text("utf-8"))
        except (OSError, ValueError):
            raise JobFailedError("The training ended without a result.") from None
        try:
            self._on_done(replace(job, result=result))
        except Exception:
            logger.exception("what follows a training failed")
        return _hidden(result)

    def _train(self, held: Held, folder: Path) -> None:
        job, spec = held.job, self._host.spec
        request = dict(job.spec)
        trainer = self._host.trainers.get(job.subject)
        if trainer is None:
            raise JobFailedError("The app has no such trainer any more.")
        bundle_dir = self._host.app.bundle_path(job.subject)
        if bundle_dir:
            request["bundle_path"] = str(bundle_dir)
        if request.get("snapshot"):  # its hash; a client cannot name one, see server/params.py
            request["snapshot"] = str(snapshot_file(self._host.spec.data_dir, str(request["snapshot"])))
        if getattr(trainer, "resumes", False):
            request["job_dir"] = str(folder)
        elif job.begun_before:
            held.line("This trainer cannot resume: it begins anew.")
        written = folder / "job.json.new"
        about = {"app_dir": spec.app_dir, "studies": spec.studies, "conf": dict(spec.conf), "request": request}
        written.write_text(json.dumps(about), "utf-8")
        written.replace(folder / "job.json")
        exit_code, last = self._watch(held, folder, trainer, _environment(request, job.device))
        if held.reason is None and exit_code != 0:
            logger.error("training %s ended with exit code %d; log: %s", job.id, exit_code, folder / "log.txt")
            if exit_code < 0:
                raise JobInterruptedError(f"The process of the training was killed (signal {-exit_code}).")
            raise JobFailedError(last or f"The training ended with exit code {exit_code}.")

    def _watch(self, held: Held, folder: Path, trainer: Any, environment: dict[str, str]) -> tuple[int, str]:
        """Run the process, take in its output line by line; return its exit code and the last line it told."""
        process = subprocess.Popen(
            [sys.executable, "-m", "server.training_process", str(folder)],
            stdin=subprocess.PIPE,  # never written to: its end tells the process that the server is gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        root = psutil.Process(process.pid)  # not its number: that may be another's once it has ended
        held.line("Starting.")
        held.on_stop(lambda: kill_tree(root))
        last, looked = "", time.monotonic()
        before = _stats(trainer)
        try:
            told = Told()
            with (folder / "log.txt").open("a", encoding="utf-8", buffering=1) as log:
                for raw in process.stdout or ():
                    log.write(scrubbed(raw))
                    if (line := raw.rstrip()) and told(line):
                        last = line
                        held.line(line)
                        logger.info("%s", line, extra={"role": "training", "job": held.job.id})
                    if time.monotonic() - looked > _LOOK_S:
                        looked = time.monotonic()
                        _advance(held, before, _stats(trainer))
            return process.wait(), last
        finally:
            kill_tree(root)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _devices() -> list[str]:
    chosen = settings()
    return training_devices(chosen.device if chosen.training_devices == "auto" else chosen.training_devices)


def _stats(trainer: Any) -> dict[str, Any]:
    try:
        return dict(plain(trainer.stats()) or {})
    except Exception:  # a file that is being written, in an app of somebody else
        logger.debug("a trainer's numbers cannot be read", exc_info=True)
        return {}


def _hidden(result: Any) -> Any:
    """Return a result without paths of this machine; a foreign trainer may tell where it wrote its weights."""
    if isinstance(result, Mapping):
        return {key: _hidden(value) for key, value in result.items()}
    if isinstance(result, list):
        return [_hidden(value) for value in result]
    return without_paths(result) if isinstance(result, str) else result


def _advance(held: Held, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Take the progress from a trainer's numbers as viewers do; those of the training before it say nothing."""
    epochs = number(now.get("total_epochs"))
    if now != before and epochs > 0:
        left = now.get("seconds_left")
        held.advance(number(now.get("epoch")) / epochs, None if left is None else number(left))


def _environment(request: Mapping[str, Any], device: str) -> dict[str, str]:
    """Return the environment of the process; it sees the device of its slot only, unless the request names GPUs."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    gpus = request.get("gpus")
    kind, _, number = device.partition(":")
    if gpus and gpus != "all":
        environment["CUDA_VISIBLE_DEVICES"] = str(gpus)
    elif kind == "cuda" and number:
        visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
        environment["CUDA_VISIBLE_DEVICES"] = visible[int(number)] if int(number) < len(visible) else number
        environment["HEPATIC_DEVICE"] = "cuda"
    elif kind == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "HEPATIC_DEVICE": "cpu"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    bundle_dir = request.get("bundle_path")
    if bundle_dir:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(bundle_dir))))
    return environment
