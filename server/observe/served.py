"""A line in the log and numbers in the metrics for every request that was served."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.observe.metrics import Metrics

logger = logging.getLogger(__name__)

_KEY = "observed"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_POLLED = ("/health", "/ready", "/metrics", "/logs/", "/static/{path:path}", "/favicon.ico")


class Served:
    """ASGI middleware that notes what was asked for, how it was answered, and how long that took.

    Args:
        app: what comes behind.
        metrics: where the numbers go.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        started, answering = time.perf_counter(), 0.0
        status, received, sent = 500, 0, 0

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            nonlocal status, sent, answering
            if message["type"] == "http.response.start":
                status, answering = message["status"], time.perf_counter()
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            now = time.perf_counter()
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = route_of(scope)
            self._metrics.served(method, route, status, now - started, received, sent)
            told = dict(scope["state"].get(_KEY) or {})
            if stages := told.get("stages_ms"):
                stages["send"] = round(1000 * (now - answering), 2) if answering else 0.0
                self._metrics.inferred(told["model"], stages)
            about = {
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round(1000 * (now - started), 2),
            }
            level = logging.DEBUG if route in _POLLED and status < 500 else logging.INFO
            logger.log(level, "served", extra={**about, **told})


def observed(request: Request, **fields: Any) -> None:
    """Have something told with the request's line; ``model`` and ``stages_ms`` make metrics, too."""
    scope_state: dict[str, Any] = request.scope.setdefault("state", {})
    scope_state[_KEY] = {**(scope_state.get(_KEY) or {}), **fields}


def route_of(scope: Mapping[str, Any]) -> str:
    """Return the template of the route that took a request: never what a client wrote."""
    return str(getattr(scope.get("route"), "path", "none"))
