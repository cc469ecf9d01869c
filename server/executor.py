"""A queue with priorities in front of worker slots; no work is lost when a worker is."""

from __future__ import annotations

import atexit
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from hepatic.errors import HepaticError
from server.observe.request import carried
from server.slot import Slot, WorkerLostError, WorkTimeoutError

logger = logging.getLogger(__name__)

BUILD_ATTEMPTS = 3
"""Failed attempts to build a slot after which waiting work is told so, if no other slot lives."""


class Priority(IntEnum):
    """Who goes first; a smaller number does."""

    INTERACTIVE = 0
    TRAIN = 5
    BATCH = 10


class QueueFullError(HepaticError):
    """As much work is waiting as may wait; come back later."""


class NoWorkerError(HepaticError):
    """No worker could be started; the log says why."""


class WorkCancelledError(HepaticError):
    """The work was cancelled while it ran, or the executor was closed."""


class Pending(Future[Any]):
    """The future of work; tells how long the work waited for a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0
        self._asked = time.monotonic()

    def taken(self) -> None:
        """Note that a worker has begun with it."""
        self.waited_s = time.monotonic() - self._asked


@dataclass(order=True)
class _Item:
    priority: int
    turn: int
    work: Callable[..., Any] = field(compare=False)
    args: tuple[Any, ...] = field(compare=False)
    future: Pending = field(compare=False)
    retries: int = field(compare=False)
    timeout_s: float | None = field(compare=False)
    slot: Slot | None = field(compare=False, default=None)
    dropped: bool = field(compare=False, default=False)
    """Cancelled: still in the heap, to be skipped; or running, and its slot is being killed."""


class Executor:
    """Runs top-level functions in slots, the most urgent first.

    Args:
        make_slot: makes one slot, unopened; called again whenever a slot was lost.
        slots: how many slots, each driven by one thread.
        queue_limit: how much work may wait; work that is repeated after a lost worker always may.
        retry_delay_s: pause after a failed attempt to open a slot; doubles up to 60 times of it.
    """

    def __init__(
        self, make_slot: Callable[[], Slot], *, slots: int = 1, queue_limit: int = 64, retry_delay_s: float = 0.5
    ) -> None:
        self._make_slot, self.queue_limit, self._retry_delay_s = make_slot, queue_limit, retry_delay_s
        self._changed = threading.Condition()
        self._heap: list[_Item] = []
        self._items: dict[Future[Any], _Item] = {}
        self._slots: dict[int, Slot] = {}
        self._ready: set[int] = set()
        self._stale: set[int] = set()
        self._turns = itertools.count()
        self._open = True
        self._threads = [
            threading.Thread(target=self._drive, args=(number,), name=f"slot-{number}", daemon=True)
            for number in range(slots)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)  # before multiprocessing's own, which would wait for the workers for ever

    @property
    def waiting(self) -> int:
        """How much work waits for a slot."""
        with self._changed:
            return self._waiting()

    @property
    def running(self) -> int:
        """How much work runs now."""
        with self._changed:
            return sum(item.slot is not None for item in self._items.values())

    @property
    def ready(self) -> int:
        """How many slots are open."""
        with self._changed:
            return len(self._ready)

    def submit(
        self,
        work: Callable[..., Any],
        *args: Any,
        priority: Priority = Priority.BATCH,
        retries: int = 3,
        timeout_s: float | None = None,
    ) -> Pending:
        """Put ``work(*args)`` in the queue.

        Args:
            work: a top-level function; it and its arguments must be picklable.
            args: its arguments.
            priority: who goes first. Equal priorities go in the order they came.
            retries: how often it is given to another worker after its worker died.
            timeout_s: how long it may run before its worker is killed; not counting the time it waits.

        Returns:
            A future. Cancel it with ``Executor.cancel``.

        Raises:
            QueueFullError: as much is waiting as may.
            WorkCancelledError: the executor is closed.
        """
        future = Pending()
        with self._changed:
            self.check_room()
            work, args = carried(work, args)
            item = _Item(int(priority), next(self._turns), work, args, future, retries, timeout_s)
            self._items[future] = item
            heapq.heappush(self._heap, item)
            self._changed.notify_all()  # one alone might be a slot that pauses before it is opened again
        return future

    def check_room(self) -> None:
        """Raise what ``submit`` would raise now: worth asking before what is costly to prepare."""
        with self._changed:
            if not self._open:
                raise WorkCancelledError("The server is shutting down.")
            if self._waiting() >= self.queue_limit:
                raise QueueFullError(f"{self._waiting()} requests are waiting already; try again in a moment.")

    def cancel(self, future: Future[Any], *, kill: bool = True) -> bool:
        """Cancel work that waits, or stop work that runs.

        Args:
            future: what ``submit`` returned.
            kill: also stop it when it runs already; its worker is killed and replaced.

        Returns:
            True if it will not finish; False if it has, or if it runs and ``kill`` is off.
        """
        with self._changed:
            item = self._items.get(future)
            if item is None or item.dropped:
                return item is not None
            if item.slot is not None and not kill:
                return False
            item.dropped = True
            slot = item.slot
            if slot is None:
                del self._items[future]
        if slot is not None:  # it takes no other work any more: its thread replaces a slot whose work was dropped
            slot.kill()
        elif not future.cancel():  # it ran once, its worker died, and it waits for another
            future.set_exception(WorkCancelledError("The work was cancelled."))
        return True

    def renew(self) -> None:
        """Replace every slot by a new one once its work is done; what waits goes to the new ones."""
        with self._changed:
            self._stale.update(range(len(self._threads)))
            self._changed.notify_all()

    def close(self, timeout_s: float = 15.0) -> None:
        """Stop everything: waiting work is cancelled, running work killed, every slot closed."""
        with self._changed:
            self._open = False
            waiting = [item for item in self._items.values() if item.slot is None]
            for item in waiting:
                item.dropped = True
                del self._items[item.future]
            self._heap.clear()
            slots = list(self._slots.values())
            self._changed.notify_all()
        for item in waiting:
            if not item.future.cancel():
                item.future.set_exception(WorkCancelledError("The server is shutting down."))
        for slot in slots:
            slot.kill()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        atexit.unregister(self.close)

    def _waiting(self) -> int:
        return sum(item.slot is None for item in self._items.values())

    def _drive(self, number: int) -> None:
        """Body of one slot's thread: hold a slot, feed it; never end before ``close``."""
        slot: Slot | None = None
        while True:
            if slot is None:
                slot = self._build(number)
                if slot is None:
                    return
            item = self._take(number)
            if item is None:
                slot.kill()
                slot = None
                continue  # ends where the executor is closed
            held = slot
            try:
                slot = self._work(number, held, item)
            except Exception:
                logger.exception("slot %d failed in a way nobody thought of; it is replaced", number)
                held.kill()
                slot = None

    def _build(self, number: int) -> Slot | None:
        """Open a slot, trying until it works; None when the executor is closed meanwhile."""
        failures = 0
        while True:
            slot: Slot | None = None
            with self._changed:
                self._stale.discard(number)
            try:
                slot = self._make_slot()
                with self._changed:
                    if not self._open:
                        return None
                    self._slots[number] = slot
                slot.open()
            except Exception as failure:
                if slot is not None:
                    slot.kill()
                failures += 1
                with self._changed:
                    if not self._open:
                        return None
                    refused = self._refuse_waiting() if failures >= BUILD_ATTEMPTS and not self._ready else []
                    delay_s = self._retry_delay_s * min(60, 2 ** (failures - 1))
                logger.error("slot %d could not be opened (attempt %d): %s", number, failures, failure)
                logger.debug("why slot %d could not be opened", number, exc_info=failure)
                for item in refused:
                    _resolve(item, failure=NoWorkerError("No worker could be started; the server's log says why."))
                with self._changed:
                    self._changed.wait_for(lambda: not self._open, timeout=delay_s)
            else:
                with self._changed:
                    self._ready.add(number)
                return slot

    def _refuse_waiting(self) -> list[_Item]:
        refused = [item for item in self._items.values() if item.slot is None]
        for item in refused:
            item.dropped = True
            del self._items[item.future]
        return refused

    def _take(self, number: int) -> _Item | None:
        """Wait for work and mark it as running in this slot; None when the slot is to go."""
        with self._changed:
            while True:
                while self._open and not self._heap and number not in self._stale:
                    self._changed.wait()
                if not self._open:
                    return None
                if number in self._stale or not self._slots[number].alive:  # one that died idle ruins nobody's work
                    self._stale.discard(number)
                    self._ready.discard(number)
                    return None
                item = heapq.heappop(self._heap)
                if item.dropped:
                    continue
                if not item.future.running() and not item.future.set_running_or_notify_cancel():
                    self._items.pop(item.future, None)  # somebody called Future.cancel themselves
                    continue
                item.slot = self._slots[number]
                item.future.taken()
                return item

    def _work(self, number: int, slot: Slot, item: _Item) -> Slot | None:
        """Run one item; return the slot, or None if it has to be replaced."""
        result: Any = None
        failure: BaseException | None = None
        try:
            result = slot.call(item.work, item.args, item.timeout_s)
        except BaseException as raised:
            failure = raised
        lost = isinstance(failure, WorkerLostError | WorkTimeoutError)
        with self._changed:
            again = isinstance(failure, WorkerLostError) and item.retries > 0 and not item.dropped and self._open
            lost = lost or item.dropped
            if lost:
                self._ready.discard(number)
            item.slot = None
            if again:
                item.retries -= 1
                heapq.heappush(self._heap, item)
                self._changed.notify_all()
            else:
                self._items.pop(item.future, None)
        if lost:
            slot.kill()
        if again:
            logger.warning("a worker was lost (%s); its work is given to the next", failure)
        elif item.dropped or (failure is not None and not self._open):
            _resolve(item, failure=WorkCancelledError("The work was cancelled."))
        else:
            _resolve(item, result=result, failure=failure)
        return None if lost else slot


def _resolve(item: _Item, *, result: Any = None, failure: BaseException | None = None) -> None:
    """Settle a future whether or not it ever ran."""
    future = item.future
    if not future.running() and not future.set_running_or_notify_cancel():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
