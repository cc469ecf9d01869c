"""What a client is told when something fails: a status, a sentence, the id under which the log says more."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from hepatic.adapters import compat
from hepatic.errors import BadInputError, ConflictError, HepaticError, NotFoundError
from hepatic.pacs.error import PacsError
from hepatic.store.disk import DiskFullError, StorageError, is_full
from server.executor import NoWorkerError, QueueFullError, WorkCancelledError
from server.hiding import without_paths
from server.jobs.table import JobRunningError
from server.observe.request import request_id
from server.observe.served import route_of
from server.slot import RemoteError, WorkerLostError, WorkTimeoutError
from server.worker import AppError

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFoundError, 404),
    (JobRunningError, 429),
    (ConflictError, 409),
    (BadInputError, 422),
    (QueueFullError, 503),
    (NoWorkerError, 503),
    (WorkCancelledError, 503),
    (CancelledError, 503),
    (WorkTimeoutError, 504),
    (WorkerLostError, 500),
    (AppError, 400),
    (RemoteError, 500),
    (DiskFullError, 507),
    (StorageError, 503),
    (HepaticError, 400),
)


class Refusal(BaseModel):
    """What is answered instead of what was asked for."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": told}
    for status, told in {
        400: "Not a request that can be read, or refused by the app",
        404: "Nothing has that name",
        409: "What is there already stands against it",
        413: "Larger than an upload may be",
        429: "Another is under way, or too many requests",
        422: "Not what was expected; nothing was changed",
        500: "It failed; the server's log says more under the number given",
        502: "The DICOM server does not answer as it should",
        503: "Not now; see Retry-After",
        504: "It took too long and was stopped",
        507: "The disk is full; nothing was written",
    }.items()
}
"""What any route may answer, for the OpenAPI schema."""


def install_handlers(app: FastAPI) -> None:
    """Answer every failure with ``{"detail": "..."}``; nothing of the server's insides goes out."""
    compat.install()
    from monailabel.interfaces.exception import MONAILabelException

    app.add_exception_handler(MONAILabelException, _on_failure)
    app.add_exception_handler(CancelledError, _on_failure)
    app.add_exception_handler(HepaticError, _on_failure)
    app.add_exception_handler(OSError, _on_failure)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_failure)


async def _on_invalid(_request: Request, failure: Exception) -> JSONResponse:
    errors = failure.errors() if isinstance(failure, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors)
    return JSONResponse({"detail": told or "The request cannot be understood."}, 422)


async def _on_failure(request: Request, failure: Exception) -> JSONResponse:
    return answer_to(failure, f"{request.method} {route_of(request.scope)}")


def answer_to(failure: Exception, during: str) -> JSONResponse:
    """Log a failure where it is ours, and return what the client is told."""
    if type(failure).__name__ in ("ImageNotFoundException", "LabelNotFoundException"):
        return JSONResponse({"detail": "There is no such image or label."}, 404)
    if type(failure).__name__ == "MONAILabelException":
        error = getattr(failure, "error", None)
        failure = AppError(str(getattr(error, "name", error)), str(getattr(failure, "msg", "")))
    if is_full(failure):
        failure = DiskFullError("The disk is full: free some space and try again.")
    status = next((code for kind, code in _STATUS if isinstance(failure, kind)), 500)
    if isinstance(failure, PacsError):
        status = failure.status
        logger.warning("%s", failure, extra={"route": during})
    elif status in (500, 504):
        logger.error("failed: %s", failure, exc_info=failure, extra={"route": during})
        if isinstance(failure, RemoteError):
            logger.error("in the worker:\n%s", failure.trace, extra={"route": during})
        kind = failure.kind if isinstance(failure, RemoteError) else type(failure).__name__
        told = without_paths(str(failure)) if isinstance(failure, WorkTimeoutError) else f"It failed ({kind})."
        return JSONResponse({"detail": f"{told} The server's log says more under {request_id()}."}, status)
    if status == 507:
        logger.error("%s", failure, extra={"route": during})
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if status == 503 else None
    return JSONResponse({"detail": without_paths(str(failure))}, status, headers)
