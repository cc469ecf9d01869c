"""A bounded memory of what was costly to make."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Least recently used first out, bounded in bytes; safe from several threads.

    Args:
        limit_bytes: entries are dropped beyond this; an entry larger than it is never kept.
        size_bytes: of one value.
    """

    def __init__(self, limit_bytes: int, size_bytes: Callable[[Value], int]) -> None:
        self._limit, self._size_of = limit_bytes, size_bytes
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._making: dict[Hashable, Future[Value]] = {}
        self._lock = threading.Lock()
        self.bytes = self.hits = self.misses = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of this key, made now if it is not there.

        Threads that ask for it while it is made wait for it, and get what making it raised, too.
        """
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                self.hits += 1
                return self._entries[key][0]
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
            with self._lock:
                del self._making[key]

    def _keep(self, key: Hashable, value: Value) -> Value:
        size = self._size_of(value)
        with self._lock:
            if size <= self._limit:
                self._entries[key] = value, size
                self.bytes += size
                while self.bytes > self._limit:
                    _, (_, dropped) = self._entries.popitem(last=False)
                    self.bytes -= dropped
        return value
