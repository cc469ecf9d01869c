"""What every request passes first: is it for this host, from a page of this host, and not too large."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_DRAINED_BYTES, _DRAIN_S = 16 << 20, 5.0


class Gate:
    """ASGI middleware that refuses requests before anything reads them.

    * The Host header must name this server: a page on the web cannot reach it under a name of its own (DNS rebinding).
    * A request that changes something and comes from a web page must come from this server's own pages or from an
      origin that was allowed: where no login is needed, a browser on this machine is all a strange page would need.
    * A body larger than the limit is refused with 413, whether it says its length or not; one that does not end is not
      read to its end.

    Args:
        app: what comes behind.
        hosts: host names this server answers to, without port.
        origins: other origins whose pages may use it, such as ``http://localhost:3000``.
        max_body_bytes: largest body that is read.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], origins: Collection[str], max_body_bytes: int) -> None:
        self._app, self._hosts, self._origins = app, frozenset(hosts), frozenset(origins)
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        received_bytes = 0
        ended = "transfer-encoding" not in headers

        async def counted() -> Message:
            nonlocal received_bytes, ended
            message = await receive()
            if message["type"] == "http.request":
                ended = ended or not message.get("more_body", False)
                received_bytes += len(message.get("body", b""))
                if received_bytes > self._max_body_bytes:
                    await _drain(receive)
                    raise HTTPException(413, self._too_large(), {"Connection": "close"})
            return message

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not ended:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await self._app(scope, counted, closing)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if "*" not in self._hosts and _host_name(host) not in self._hosts:
            return JSONResponse({"detail": "This server does not answer to that host name."}, 400)
        origin = headers.get("origin")
        ours = origin in self._origins or (host and urlsplit(origin or "").netloc == host)
        if origin and method not in _READING and not ours:
            return JSONResponse({"detail": "Pages of that origin may not use this server."}, 403)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_body_bytes:
            return JSONResponse({"detail": self._too_large()}, 413)
        return None

    def _too_large(self) -> str:
        return f"An upload may have {self._max_body_bytes >> 20} MiB (HEPATIC_MAX_UPLOAD_MIB)."


async def _drain(receive: Receive) -> None:
    """Read on for a while: who has sent only a little too much gets to the answer, where a reset would hide it."""
    left = _DRAINED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
