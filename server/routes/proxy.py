"""``/proxy/dicom``: OHIF's way to the DICOMweb server, which browsers need not reach themselves."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import unquote_to_bytes

import httpx
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hepatic.errors import BadInputError
from hepatic.pacs.error import PacsError
from server.upstream import Upstream, none_configured

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/proxy", tags=["Viewer"])

_PREFIX = "/proxy/dicom/"
_SEGMENT = re.compile(rb"[A-Za-z0-9_~,:;=@+!$&'()*-][A-Za-z0-9._~,:;=@+!$&'()*-]*")
_STORES = re.compile(rb"(stow/)?studies(/[0-9]+(\.[0-9]+)*)?/?")
_OHIF_STORES = b"wado/studies"
"""Where OHIF sends files: it knows no root of its own for that, and takes that of WADO."""
_PASSED_BACK = frozenset({
    b"accept-ranges", b"cache-control", b"content-disposition", b"content-encoding", b"content-language",
    b"content-length", b"content-range", b"content-type", b"etag", b"expires", b"last-modified", b"retry-after",
    b"vary", b"warning",
})  # fmt: skip
_HARMLESS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),  # a report stored there as HTML runs nothing here
    (b"referrer-policy", b"no-referrer"),
]
_CLIENT_GONE = 499


@router.get("/dicom/{path:path}", summary="Ask the DICOMweb server", response_model=None)
async def get(request: Request, path: str) -> Response:
    """The path goes on to the DICOMweb server, the query string unchanged.

    ``wado/``, ``qido/`` and ``stow/`` before it choose the configured prefixes, as on MONAI Label's own server.
    """
    return await _passed_on(request, None)


@router.post("/dicom/{path:path}", summary="Send to the DICOMweb server", response_model=None)
async def post(request: Request, path: str) -> Response:
    """Only DICOM files to ``studies`` or one study, and only where ``HEPATIC_DICOMWEB_STOW`` allows it."""
    return await _passed_on(request, request.stream())


async def _passed_on(request: Request, body: AsyncIterator[bytes] | None) -> Response:
    upstream: Upstream | None = request.app.state.upstream
    if upstream is None:
        return JSONResponse(none_configured(), 404)
    if body is not None and not upstream.spec.takes_studies:
        raise HTTPException(403, "Nothing may be sent to the DICOM server from here (HEPATIC_DICOMWEB_STOW).")
    below = _raw_path(request)
    if body is not None and below == _OHIF_STORES:
        below = b"stow/studies"
    path = _path(below, upstream.spec.prefixes)
    if body is not None:
        _check_stores(below, request.headers.get("content-type", ""))
    sent = None if body is None else _Sent(body)
    try:
        answer = await upstream.ask(
            request.method,
            path,
            request.scope["query_string"],
            request.headers,
            None if sent is None else sent.chunks(),
        )
    except PacsError as failure:
        if sent is not None and sent.failure is not None:
            if isinstance(sent.failure, ClientDisconnect):
                return Response(status_code=_CLIENT_GONE)
            raise sent.failure from failure  # an upload that is too large
        logger.warning("the DICOM server did not answer %s: %r", request.method, failure.__cause__ or failure.told)
        headers = {"Retry-After": "5"} if failure.status == 503 else None
        return JSONResponse({"detail": failure.told}, failure.status, headers)
    return _Stream(answer)


def _raw_path(request: Request) -> bytes:
    """The path as it came, below ``/proxy/dicom/``."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    root = request.scope.get("root_path", "").encode()
    _, _, below = raw.removeprefix(root).partition(_PREFIX.encode())
    return below


def _path(below: bytes, prefixes: Mapping[str, str]) -> bytes:
    """Return the path for the DICOMweb server.

    Raises:
        BadInputError: it is not made of plain names.
    """
    *names, last = below.split(b"/")
    if last:
        names.append(last)
    if not names or not all(_SEGMENT.fullmatch(unquote_to_bytes(name)) for name in names):
        raise BadInputError(
            "the address",
            expected="plain names between slashes after /proxy/dicom/",
            came="something else",
            fix="Ask for example for /proxy/dicom/qido/studies.",
        )
    operation, rest = names[0].decode("latin-1"), b"/".join(names[1:])
    if operation not in ("wado", "qido", "stow") or not rest:
        return below
    if operation == "qido" and names[-1] == b"metadata":  # some OHIF versions ask for it so
        operation = "wado"
    return b"/".join(filter(None, (prefixes.get(operation, "").encode(), below.partition(b"/")[2])))


def _check_stores(below: bytes, content_type: str) -> None:
    """Refuse to send what is no DICOM files, or elsewhere than where DICOMweb stores them (PS3.18, 10.5)."""
    if not _STORES.fullmatch(below):
        raise HTTPException(403, "DICOM files are sent to studies or studies/{StudyInstanceUID}, and nowhere else.")
    if content_type.partition(";")[0].strip().lower() != "multipart/related":
        raise HTTPException(400, "DICOM files are sent as multipart/related.")


class _Sent:
    """A client's body on its way; remembers what kept it from arriving."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.failure: HTTPException | ClientDisconnect | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its parts, one after the other."""
        try:
            async for chunk in self._body:
                if chunk:
                    yield chunk
        except (HTTPException, ClientDisconnect) as failure:
            self.failure = failure
            raise httpx.WriteError("the client's body did not arrive") from failure


class _Stream(StreamingResponse):
    """An answer passed on as it comes, byte for byte; one that breaks off is broken off here, too."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.aiter_raw(), answer.status_code)
        self._answer = answer
        kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() in _PASSED_BACK]
        self.raw_headers = [*kept, *_HARMLESS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        try:
            await super().__call__(scope, receive, send)
        except httpx.HTTPError as failure:
            # the end is never sent, so uvicorn closes the connection and the client sees that something is missing
            logger.warning("the DICOM server broke off in the middle of an answer (%s)", type(failure).__name__)
        finally:
            await self._answer.aclose()
