"""A bounded memory of what was costly to make."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
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
        self._lock = threading.Lock()
        self.bytes = self.hits = self.misses = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of this key, made now if it is not there. Two threads may make it twice; one is kept."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                self.hits += 1
                return self._entries[key][0]
            self.misses += 1
        value = make()
        size = self._size_of(value)
        with self._lock:
            if key not in self._entries and size <= self._limit:
                self._entries[key] = value, size
                self.bytes += size
                while self.bytes > self._limit:
                    _, (_, dropped) = self._entries.popitem(last=False)
                    self.bytes -= dropped
        return value
