"""What the guard in front of the routes costs a request: ``python -m benchmarks.access``."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hepatic.settings import Settings
from server.access.access import Access
from server.access.audit import Entry
from server.access.guard import Guard
from server.access.headers import protected
from server.access.roles import Role
from server.app import create_app

ROUNDS, REQUESTS, ENTRIES = 7, 5000, 200
APP = Path(__file__).parent.parent / "apps" / "hepatic"
HEADERS = {
    "host": "127.0.0.1:8000",
    "user-agent": "python-requests/2",
    "accept": "*/*",
    "accept-encoding": "gzip",
    "connection": "keep-alive",
    "content-length": "100",
    "content-type": "multipart/form-data",
}


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def away(_: Message) -> None:
    return


def request(**more: str) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/infer/dsa_unet",
        "query_string": b"image=1.2.840",
        "headers": [(name.encode(), value.encode()) for name, value in {**HEADERS, **more}.items()],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "state": {},
    }


async def microseconds(app: ASGIApp, make: Callable[[], Scope]) -> float:
    """Return the time of one request in the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REQUESTS):
            await app(make(), nothing, away)
        rounds.append((time.perf_counter() - began) / REQUESTS * 1e6)
    return min(rounds)


async def main() -> None:
    folder = Path(tempfile.mkdtemp())
    routes = create_app(APP, folder / "studies")
    unlocked = Access(folder / "open", Settings(), required=False)
    locked = Access(folder / "locked", Settings(request_limit="100000000/minute"), required=True)
    locked.audit.open()
    secret = locked.tokens.create("Dr. K", Role.READER, expires=None)[1]
    cookie, _ = locked.begin_session(await locked.log_in("", secret, ""))
    by_cookie = {"cookie": f"hepatic_session={cookie}", "origin": "http://127.0.0.1:8000"}
    measured = {
        "nothing": await microseconds(answer, request),
        "security headers": await microseconds(protected(answer), request),
        "guard, no login": await microseconds(Guard(answer, routes=routes, access=unlocked), request),
        "guard, API token": await microseconds(
            Guard(answer, routes=routes, access=locked), lambda: request(authorization=f"Bearer {secret}")
        ),
        "guard, cookie": await microseconds(Guard(answer, routes=routes, access=locked), lambda: request(**by_cookie)),
    }
    table = Table("In front of a request", "µs")
    for name, value in measured.items():
        table.add_row(name, f"{value:.1f}")
    waits = []
    for _ in range(ENTRIES):
        began = time.perf_counter()
        await asyncio.wrap_future(locked.audit.add(Entry("request", "PUT /x")))
        waits.append((time.perf_counter() - began) * 1e6)
    table.add_row("entry of the audit log, on the disk", f"{median(waits):.0f}")
    locked.close()
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
