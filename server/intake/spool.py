"""Multipart requests, whose files wait in the scratch folder and not in the system's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from fastapi import HTTPException
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from hepatic.store.disk import is_full

_MOST_FILES = 500
"""Each may be an open file of this process; a longer series comes as an archive."""


class SpoolingRoute(APIRoute):
    """A route whose uploads are spooled below the server's own data: on the same disk, and refused when that is full.

    What is smaller than 1 MiB stays in memory.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand requests on as ``_SpoolingRequest``."""
        handler = super().get_route_handler()

        async def spooling(request: Request) -> Response:
            return await handler(_SpoolingRequest(request.scope, request.receive))

        return spooling


class _SpoolingRequest(Request):
    async def _get_form(
        self, *, max_files: int | float = 1000, max_fields: int | float = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        if self._form is None and self.headers.get("content-type", "").startswith("multipart/form-data"):
            folder = str(self.app.state.services.scratch.dir)
            try:
                async with aclosing(self.stream()) as stream:
                    parser = _Parser(
                        self.headers,
                        stream,
                        folder,
                        max_files=_MOST_FILES,
                        max_fields=max_fields,
                        max_part_size=max_part_size,
                    )
                    self._form = await parser.parse()
            except MultiPartException as error:
                raise HTTPException(400, error.message) from error
            except OSError as error:  # which FastAPI would call a body that cannot be parsed
                if is_full(error):
                    raise HTTPException(507, "The disk is full: free some space and try again.") from error
                raise
        return await super()._get_form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)


class _Parser(MultiPartParser):
    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], folder: str, **limits: Any) -> None:
        super().__init__(headers, stream, **limits)
        self._folder = folder

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        upload = self._current_part.file
        if upload is not None:
            upload.file.close()
            spooled = SpooledTemporaryFile(max_size=self.spool_max_size, dir=self._folder)  # noqa: SIM115
            upload.file = cast(BinaryIO, spooled)
            self._files_to_close_on_error[-1] = spooled
