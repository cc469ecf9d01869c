"""Jobs that go item by item through the executor, behind everything interactive."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from typing import Any

from hepatic.errors import HepaticError
from hepatic.pacs.error import PacsDownError
from hepatic.store.disk import StorageError
from server.executor import Executor, NoWorkerError, Priority, QueueFullError, WorkCancelledError
from server.hiding import without_paths
from server.jobs.held import Held, JobFailedError, JobStoppedError
from server.slot import RemoteError

logger = logging.getLogger(__name__)

_PACS_PAUSE_S = 15.0
_PAUSE_S = 1.0
_GRACE_S = 10.0


def go_through(
    held: Held,
    executor: Executor,
    ask: Callable[[str], tuple[Callable[..., Any], tuple[Any, ...]]],
    keep: Callable[[str, Any], Any],
    items: Iterable[str] | None = None,
    *,
    window: int,
    timeout_s: float,
    grace_s: float = _GRACE_S,
) -> None:
    """Do what is left of a job's items; one that fails is noted, and the others go on.

    Args:
        held: the job.
        executor: where the work is done.
        ask: says what to do for an item: a top-level function, and its arguments.
        keep: makes of what that returned what is kept of the item, fit for JSON.
        items: which of its items; all that are left by default.
        window: how many items are given to the executor at a time.
        timeout_s: for one item.
        grace_s: how long an item that runs may take to end when the job is stopped, before its worker is killed.

    Raises:
        JobStoppedError: the job was stopped; what runs has been waited for.
        JobFailedError: there is no worker.
    """
    left = iter(held.table.waiting_items(held.job) if items is None else items)
    live: dict[Future[Any], str] = {}
    done: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
    held.on_stop(lambda: done.put(None))
    try:
        while True:
            while len(live) < window and (item := next(left, None)) is not None:
                future = _submitted(held, executor, item, ask, timeout_s)
                if future is None:
                    continue
                live[future] = item
                future.add_done_callback(done.put)
            if not live:
                return
            future = done.get()
            held.check()
            if future is not None:
                _settle(held, live.pop(future), future, keep)
    finally:
        _end(held, executor, live, keep, grace_s)


def _submitted(
    held: Held,
    executor: Executor,
    item: str,
    ask: Callable[[str], tuple[Callable[..., Any], tuple[Any, ...]]],
    timeout_s: float,
) -> Future[Any] | None:
    """Give an item to the executor, as soon as it has room; None if the item cannot even be asked for.

    While a PACS that has the images is down, the job waits.
    """
    said = ""
    while True:
        try:
            work, args = ask(item)
            break
        except PacsDownError as failure:
            if str(failure) != said:
                held.line(f"{failure} The job goes on when it is back.")
            said = str(failure)
            held.wait(_PACS_PAUSE_S)
            held.check()
        except HepaticError as failure:
            _fail(held, item, failure)
            return None
    while True:
        held.check()
        try:
            return executor.submit(work, *args, priority=Priority.BATCH, timeout_s=timeout_s)
        except QueueFullError:
            held.wait(_PAUSE_S)
        except WorkCancelledError:
            raise JobStoppedError("The server is stopping.") from None


def _settle(held: Held, item: str, future: Future[Any], keep: Callable[[str, Any], Any]) -> None:
    try:
        held.settle(item, keep(item, future.result()))
    except (WorkCancelledError, CancelledError):
        held.check()
        _fail(held, item, WorkCancelledError("It was stopped."))
    except NoWorkerError as failure:
        raise JobFailedError(str(failure)) from failure
    except StorageError:  # the disk is full: no item of this job could be kept
        raise
    except HepaticError as failure:
        _fail(held, item, failure)
    except Exception as failure:
        logger.exception("what came of an item of job %s could not be kept", held.job.id)
        _fail(held, item, failure)


def _fail(held: Held, item: str, failure: Exception) -> None:
    if isinstance(failure, RemoteError):
        logger.error("an item of job %s failed in the worker:\n%s", held.job.id, failure.trace)
        told = f"It failed ({failure.kind})."
    elif isinstance(failure, HepaticError):
        told = without_paths(str(failure))
    else:
        told = f"It failed ({type(failure).__name__})."
    held.line(f"{item}: {told}")
    held.settle(item, {"error": told}, ok=False)


def _end(
    held: Held, executor: Executor, live: dict[Future[Any], str], keep: Callable[[str, Any], Any], grace_s: float
) -> None:
    """Drop what waits; wait for what runs, and keep it: it is done, after all."""
    if not live:
        return
    for future in live:
        executor.cancel(future, kill=held.reason == "closing")
    deadline = time.monotonic() + grace_s
    for future, item in live.items():
        try:
            result = future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            executor.cancel(future)
        except (WorkCancelledError, CancelledError):
            continue
        except Exception as failure:
            _fail(held, item, failure)
        else:
            try:
                held.settle(item, keep(item, result))
            except Exception as failure:
                _fail(held, item, failure)
