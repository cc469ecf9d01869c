"""The id of a request: in its answer, on every line logged for it, and in the worker that does its work."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from asgi_correlation_id.context import correlation_id
from starlette.types import ASGIApp

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"(?=.*[A-Fa-f])(?:[0-9A-Fa-f]-?){16,64}")
"""A UUID or a trace id. No name of a person is one, and no number of a patient."""


def identified(app: ASGIApp) -> ASGIApp:
    """Give every request an id, the one a proxy or client sent if it is well-formed, and every answer its request's."""
    return CorrelationIdMiddleware(
        app,
        header_name=HEADER,
        generator=lambda: secrets.token_hex(8),
        validator=lambda sent: _WELL_FORMED.fullmatch(sent) is not None,
    )


def request_id() -> str:
    """Return the id of the request that is being served, empty outside of one."""
    return correlation_id.get() or ""


def carried(work: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return work for another process that is done under this request's id there."""
    return (for_request, (request_id(), work, *args)) if request_id() else (work, args)


def for_request(id: str, work: Callable[..., Any], *args: Any) -> Any:
    """Do work under a request's id."""
    token = correlation_id.set(id)
    try:
        return work(*args)
    finally:
        correlation_id.reset(token)
