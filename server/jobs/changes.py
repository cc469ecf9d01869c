"""Lets those who wait for news in an event loop know that there is some."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Changes:
    """Wakes any number of listeners, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.closed = False

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """Lend an event that is set at each change; who waits for it clears it. Call it in a running loop."""
        event = asyncio.Event()
        with self._lock:
            self._listeners[event] = asyncio.get_running_loop()
        try:
            yield event
        finally:
            with self._lock:
                del self._listeners[event]

    def notify(self) -> None:
        """Say that something has changed."""
        with self._lock:
            listeners = list(self._listeners.items())
        for event, loop in listeners:
            with suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Say that nothing will change any more."""
        self.closed = True
        self.notify()
