"""One worker process, behind an interface that a worker on another machine can stand behind too."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from hepatic.errors import HepaticError

if TYPE_CHECKING:
    from server.observe.relay import Heard

Work = Callable[..., Any]


class WorkerLostError(HepaticError):
    """The worker died (killed, out of memory, crashed) while it held the work; the work may be given to another."""


class WorkTimeoutError(HepaticError):
    """The work took longer than it was given; its worker was stopped."""


class RemoteError(HepaticError):
    """Something failed in the worker that cannot travel as itself; carries what it was, as text.

    Args:
        kind: name of the exception's class.
        message: its text. May hold paths: for the log, not for clients.
        trace: the formatted traceback, for the log.
    """

    def __init__(self, kind: str, message: str, trace: str = "") -> None:
        super().__init__(kind, message, trace)
        self.kind, self.message, self.trace = kind, message, trace

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Slot(Protocol):
    """A place where one piece of work runs at a time, in a process of its own."""

    def open(self) -> None:
        """Start the process and make it ready. Blocks. Raises whatever kept it from being ready."""

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as can be told without asking it."""

    def call(self, work: Work, args: tuple[Any, ...], timeout_s: float | None) -> Any:
        """Run ``work(*args)`` there. Raises WorkerLostError, WorkTimeoutError, or what the work raised."""

    def kill(self) -> None:
        """End the process now, whatever it is doing. From any thread, any number of times."""


class LocalSlot:
    """A spawned process on this machine.

    A pipe and a process instead of a ``ProcessPoolExecutor``: the process id is known at once (so that it can be killed
    while it is still loading), an exception that cannot be pickled does not break the slot, and a worker whose server
    is gone sees the end of the pipe and ends too.

    Args:
        setup: called in the process before any work; a top-level function.
        setup_args: its arguments.
        open_timeout_s: how long ``setup`` may take.
        heard: called with what the process logs and uses; else it logs to its standard error.
    """

    def __init__(
        self,
        setup: Work,
        setup_args: tuple[Any, ...] = (),
        *,
        open_timeout_s: float = 600.0,
        heard: Heard | None = None,
    ) -> None:
        self._heard = heard
        self._setup, self._setup_args, self._open_timeout_s = setup, setup_args, open_timeout_s
        self._process: multiprocessing.process.BaseProcess | None = None
        self._root: psutil.Process | None = None
        self._pipe: Connection | None = None
        self._killed = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Start the process and run ``setup`` in it."""
        # Threads of torch that wait for each other spin for some microseconds and then sleep. Left to itself, libgomp
        # spins for milliseconds: where other processes want the cores too (the server's own among them), an inference
        # took ten times as long; asleep at once, a small network takes half as long again (docs/adr/0011).
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "10000")
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        told, telling = context.Pipe(duplex=False) if self._heard else (None, None)
        process = context.Process(target=_serve, args=(theirs, telling), name="hepatic-worker", daemon=False)
        with self._lock:
            if self._killed:
                raise WorkerLostError("the slot was closed before it was opened")
            process.start()
            self._process, self._pipe = process, ours
            with suppress(psutil.NoSuchProcess):
                self._root = psutil.Process(process.pid)
        theirs.close()
        if told is not None and telling is not None and self._heard is not None:
            from server.observe import relay

            telling.close()
            relay.listen(process.pid or 0, told, self._heard)
        self.call(self._setup, self._setup_args, self._open_timeout_s)

    @property
    def alive(self) -> bool:
        """Whether the process still runs; see ``Slot.alive``."""
        return self._process is not None and not wait([self._process.sentinel], 0)

    def call(self, work: Work, args: tuple[Any, ...], timeout_s: float | None) -> Any:
        """Run ``work(*args)`` in the process; see ``Slot.call``."""
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:
            raise WorkerLostError("the worker has not been started")
        try:
            pipe.send((work, args))
            ready = wait([pipe, process.sentinel], timeout_s)
            if not ready:
                raise WorkTimeoutError(f"the work was stopped after {timeout_s:g} s")
            if pipe not in ready and not pipe.poll(0):
                raise WorkerLostError(f"the worker ended with exit code {process.exitcode}")
            ok, answer = pickle.loads(pipe.recv_bytes())  # noqa: S301 - written by our own worker
        except (EOFError, OSError) as broken:
            raise WorkerLostError("the worker ended while it was working") from broken
        if ok:
            return answer
        raise answer

    def kill(self) -> None:
        """Kill the process and everything it started."""
        with self._lock:
            self._killed = True
            process, root = self._process, self._root
        if root is not None:
            kill_tree(root)
        if process is not None:
            process.join(timeout=1.0)


def kill_tree(root: psutil.Process) -> None:
    """Kill a process and all its descendants; quiet if they are gone already, and whoever has its number by now."""
    try:
        family = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue


def _serve(pipe: Connection, telling: Connection | None = None) -> None:
    """Body of the worker process: take work, do it, answer, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the server, which closes its workers
    _end_with_parent()
    from server.observe import relay  # now that this process ends with its server, whatever takes long

    if telling is not None:
        relay.speak(telling)
    while True:
        try:
            work, args = pipe.recv()
        except (EOFError, OSError):
            return
        except Exception as unreadable:
            answer = pickle.dumps((False, _portable(unreadable)))
        else:
            answer = _answer(work, args)
        relay.report()  # before the answer: who has it finds the numbers moved
        try:
            pipe.send_bytes(answer)
        except OSError:
            return


def _answer(work: Work, args: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((True, work(*args)))
    except BaseException as failure:  # SystemExit and KeyboardInterrupt too: app code must not end the worker
        return pickle.dumps((False, _portable(failure)))


def _portable(failure: BaseException) -> BaseException:
    """Return the exception if it survives the journey, else its description."""
    if isinstance(failure, HepaticError):
        try:
            if type(pickle.loads(pickle.dumps(failure))) is type(failure):  # noqa: S301 - our own bytes
                return failure
        except Exception as stuck:
            failure.add_note(f"cannot be pickled: {stuck}")
    return RemoteError(type(failure).__name__, str(failure), "".join(traceback.format_exception(failure)))


def _end_with_parent() -> None:
    """End this process, busy or not, when the one that started it is gone (also after ``kill -9``)."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
