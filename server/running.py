"""A server inside this process, for as long as a ``with`` block lasts: for tests, benchmarks and notebooks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from hepatic.errors import HepaticError

_START_S = 120.0


class Server(uvicorn.Server):
    """Tells the application that it is to stop before it waits for its answers to end: streams of events do then."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; see ``uvicorn.Server``."""
        services = getattr(getattr(self.config.app, "state", None), "services", None)
        if services is not None:
            services.jobs.changes.close()
        await super().shutdown(sockets)


@contextmanager
def running(app: FastAPI, *, trusted_proxies: Sequence[str] = ()) -> Iterator[str]:
    """Serve an application on a free port of the loopback address, and yield its URL.

    Args:
        app: what is served.
        trusted_proxies: addresses whose word is taken for where a request comes from.

    Raises:
        HepaticError: it did not start; the log says why.
    """
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer takes 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=5,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
        )
        server = Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="uvicorn", daemon=True)
        thread.start()
        deadline = time.monotonic() + _START_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not server.started:
            server.should_exit = True
            raise HepaticError("The server did not start; the log says why.")
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=60.0)
