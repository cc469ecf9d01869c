"""The answer to an inference as 3D Slicer reads it: two parts, one file among them, its length known beforehand."""

from __future__ import annotations

import json
import mimetypes
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES = 1 << 20

NO_IMAGE = json.dumps(
    {
        "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
        "markups-schema-v1.0.3.json#",
        "markups": [],
    }
).encode()
"""The file sent for a model without a result file: 3D Slicer fails on an answer that has none."""


class MultipartResponse(Response):
    """``multipart/form-data`` with the parts ``params`` (JSON) and ``image`` (a file), streamed with a Content-Length.

    3D Slicer's client reads by Content-Length and cannot read a chunked answer.

    Args:
        params: the result's JSON.
        file: the result file; without one, ``result.json`` with no markups in it is sent.
        cleanup: called when the file is no longer needed.
    """

    def __init__(self, params: dict[str, Any], file: Path | None, cleanup: Callable[[], None] | None = None) -> None:
        boundary = uuid.uuid4().hex
        name = "result.json" if file is None else sent_name(file)
        self._file = file
        self.status_code = 200
        self.background = None if cleanup is None else BackgroundTask(cleanup)
        self._head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="params"\r\n'
            "Content-Type: application/json\r\n\r\n"
            f"{json.dumps(params, allow_nan=False)}\r\n"
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'
            f"Content-Type: {media_type_of(name)}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file_bytes = 0 if file is None else file.stat().st_size
        if file is None:
            self._head += NO_IMAGE
        elif self._file_bytes <= _CHUNK_BYTES:  # as most are: one piece, without a thread for each step
            self._head += file.read_bytes()
            self._file, self._file_bytes, self.background = None, 0, None
            if cleanup is not None:
                cleanup()
        self.body = b""
        length = len(self._head) + self._file_bytes + len(self._tail)
        self.init_headers({"content-length": str(length), "content-type": f"multipart/form-data; boundary={boundary}"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head, file and tail."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self._file is None:
            await send({"type": "http.response.body", "body": self._head + self._tail, "more_body": False})
        else:
            await send({"type": "http.response.body", "body": self._head, "more_body": True})
            await self._send_file(self._file, send)
            await send({"type": "http.response.body", "body": self._tail, "more_body": False})
        if self.background is not None:
            await self.background()

    async def _send_file(self, path: Path, send: Send) -> None:
        file = await run_in_threadpool(path.open, "rb")
        try:
            left = self._file_bytes
            while left > 0:
                chunk = await run_in_threadpool(file.read, min(_CHUNK_BYTES, left))
                if not chunk:
                    break
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await run_in_threadpool(file.close)


def sent_name(file: Path) -> str:
    """Return a harmless file name for a client, with the file's suffix: it picks the reader there."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", file.name)[-120:]


def media_type_of(name: str) -> str:
    """Return the media type of a file by its name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
