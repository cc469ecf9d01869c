"""What was costly to make, for who asks again: within bounds, and made once however many ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Values of one event loop; what was used longest ago goes first.

    Args:
        limit_bytes: of all values together; the newest is kept, however large.
        size_bytes: of one value.
    """

    def __init__(self, limit_bytes: int, size_bytes: Callable[[Value], int]) -> None:
        self._limit_bytes, self._size_of = limit_bytes, size_bytes
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Value]] = {}
        self.bytes = 0

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        """Return the value of this key, made now if it is not there; who asks meanwhile gets the same.

        It is made to the end even if who asked first has gone.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        if key not in self._making:
            task = self._making[key] = asyncio.ensure_future(self._made(key, make))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # told to those who wait, if any
        return await asyncio.shield(self._making[key])

    async def _made(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await make()
        finally:
            del self._making[key]
        self._kept[key] = value, self._size_of(value)
        self.bytes += self._kept[key][1]
        while self.bytes > self._limit_bytes and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1][1]
        return value
