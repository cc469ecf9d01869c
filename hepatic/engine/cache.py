"""A bounded memory of what was costly to make."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Budget:
    """Memory that caches share: what was used longest ago goes first, whichever cache it is in.

    Args:
        limit_bytes: entries are dropped beyond this; an entry larger than it is never kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.lock = threading.Lock()
        self.entries: OrderedDict[tuple[BoundedCache[Any], Hashable], tuple[Any, int]] = OrderedDict()
        self.bytes = 0


class BoundedCache(Generic[Value]):
    """Values within a budget; safe from several threads.

    Args:
        budget: its own, or one that it shares.
        size_bytes: of one value.
    """

    def __init__(self, budget: Budget, size_bytes: Callable[[Value], int]) -> None:
        self._budget, self._size_of = budget, size_bytes
        self._making: dict[Hashable, Future[Value]] = {}
        self.bytes = self.hits = self.misses = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of this key, made now if it is not there.

        Threads that ask for it while it is made wait for it, and get what making it raised, too.
        """
        entries = self._budget.entries
        with self._budget.lock:
            if (self, key) in entries:
                entries.move_to_end((self, key))
                self.hits += 1
                kept: Value = entries[self, key][0]
                return kept
            others = self._making.get(key)
            if others is None:
                made = self._making[key] = Future()
                self.misses += 1
            else:
                self.hits += 1
        if others is not None:
            return others.result()
        try:
            value = self._keep(key, make())
        except BaseException as failure:
            made.set_exception(failure)
            raise
        else:
            made.set_result(value)
            return value
        finally:
            with self._budget.lock:
                del self._making[key]

    def _keep(self, key: Hashable, value: Value) -> Value:
        size, budget = self._size_of(value), self._budget
        with budget.lock:
            if size <= budget.limit_bytes:
                budget.entries[self, key] = value, size
                self._count(size)
                while budget.bytes > budget.limit_bytes:
                    (owner, _), (_, dropped) = budget.entries.popitem(last=False)
                    owner._count(-dropped)
        return value

    def _count(self, size_bytes: int) -> None:
        self.bytes += size_bytes
        self._budget.bytes += size_bytes
