"""Trainings, each in a process of its own, one at a time."""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hepatic.errors import ConflictError, HepaticError
from server.executor import WorkCancelledError
from server.host import AppSpec
from server.slot import kill_tree
from server.training_records import ENDED, TrainingRecord, TrainingRecords
from server.training_told import Told

logger = logging.getLogger(__name__)


class TrainingRunningError(ConflictError):
    """A training runs already, and this one was not to wait for it."""


class TrainingFailedError(HepaticError):
    """The training ended with an error; its log says which."""


class Training:
    """Starts trainings, watches them, stops them.

    Args:
        spec: the app whose trainings these are.
        folder: one folder per training is made here: request, log, result.
        on_done: called, in the watching thread, with the record of a training that ended well.
    """

    def __init__(self, spec: AppSpec, folder: Path, on_done: Callable[[dict[str, Any]], None]) -> None:
        self._spec, self._folder, self._on_done = spec, folder, on_done
        self.records = TrainingRecords()
        self._queue: queue.SimpleQueue[tuple[TrainingRecord, Future[Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished: dict[str, tuple[TrainingRecord, Future[Any]]] = {}
        self._process: subprocess.Popen[str] | None = None
        self._open = True
        self._thread = threading.Thread(target=self._run_all, name="training", daemon=True)
        self._thread.start()

    def submit(self, request: Mapping[str, Any], *, enqueue: bool = False) -> tuple[dict[str, Any], Future[Any]]:
        """Ask for a training.

        Args:
            request: as MONAI Label defines it; ``model`` names the trainer.
            enqueue: wait for those that were asked for before.

        Returns:
            Its record, and a future of what the trainer returns.

        Raises:
            TrainingRunningError: another runs or waits, and ``enqueue`` is off.
        """
        with self._lock:
            if not self._open:
                raise WorkCancelledError("The server is shutting down.")
            busy = any(record.status not in ENDED for record, _ in self._unfinished.values())
            if busy and not enqueue:
                raise TrainingRunningError(
                    "the training",
                    expected="no other to be running",
                    came="one that runs",
                    fix="Wait for it, stop it, or ask with enqueue=true.",
                )
            record = self.records.add(request)
            future: Future[Any] = Future()
            self._unfinished[record.id] = (record, future)
        self._queue.put((record, future))
        return record.as_json(), future

    def stop(self) -> dict[str, Any] | None:
        """Stop the training that runs, with everything it started, and drop those that wait.

        Returns:
            The record of the one that ran, or else of the first that waited; None if there was nothing to stop.
        """
        with self._lock:
            unfinished = [record for record, _ in self._unfinished.values()]
            ran = [record for record in unfinished if record.status == "RUNNING"]
            for record in unfinished:
                self.records.line(record, "Stopped on request.")
                self.records.end(record, "STOPPED")
            if self._process is not None:
                kill_tree(self._process.pid)
        stopped = [*ran, *unfinished]
        return stopped[0].as_json() if stopped else None

    def close(self) -> None:
        """Stop everything and end."""
        with self._lock:
            self._open = False
        self.stop()
        self._queue.put(None)
        self._thread.join(timeout=15.0)

    def _run_all(self) -> None:
        while (entry := self._queue.get()) is not None:
            record, future = entry
            try:
                self._run(record, future)
            except Exception as failure:
                logger.exception("training %s could not be run", record.id)
                self.records.line(record, f"It could not be run ({type(failure).__name__}).")
                self.records.end(record, "ERROR")
                if not future.done():
                    future.set_exception(failure)
            finally:
                with self._lock:
                    self._unfinished.pop(record.id, None)
            if record.status == "DONE":
                try:
                    self._on_done(record.as_json())
                except Exception:
                    logger.exception("what follows a training failed")

    def _run(self, record: TrainingRecord, future: Future[Any]) -> None:
        stopped = WorkCancelledError("The training was stopped.")
        if not self.records.start(record):
            future.set_exception(stopped)
            return
        folder = self._folder / record.id
        folder.mkdir(parents=True)
        job = {
            "app_dir": self._spec.app_dir,
            "studies": self._spec.studies,
            "conf": dict(self._spec.conf),
            "request": record.request,
        }
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        exit_code = self._watch(record, folder)
        if exit_code == 0:
            result = json.loads((folder / "result.json").read_text("utf-8"))
            if self.records.end(record, "DONE", result):
                future.set_result(result)
                return
        elif self.records.end(record, "ERROR"):
            logger.error("training %s ended with exit code %d; log: %s", record.id, exit_code, folder / "log.txt")
            future.set_exception(TrainingFailedError(f"The training failed: {record.details[-1]}"))
            return
        future.set_exception(stopped)

    def _watch(self, record: TrainingRecord, folder: Path) -> int:
        """Start the process, take in its output line by line, and return its exit code."""
        with self._lock:
            if record.status != "RUNNING":  # stopped in this very moment
                return -1
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.training_process", str(folder)],
                stdin=subprocess.PIPE,  # never written to: its end tells the process that the server is gone
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=_environment(record.request),
                start_new_session=True,
            )
            process = self._process
        try:
            told = Told()
            with (folder / "log.txt").open("w", encoding="utf-8", buffering=1) as log:
                for raw in process.stdout or ():
                    log.write(raw)
                    if (line := raw.rstrip()) and told(line):
                        self.records.line(record, line)
                        logger.info("training %s: %s", record.id[:8], line)
            return process.wait()
        finally:
            with self._lock:
                self._process = None
            kill_tree(process.pid)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _environment(request: Mapping[str, Any]) -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    gpus = request.get("gpus")
    if gpus and gpus != "all":
        environment["CUDA_VISIBLE_DEVICES"] = str(gpus)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    bundle_dir = request.get("bundle_path")
    if bundle_dir:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(bundle_dir))))
    return environment
