"""``/static``: the few files that MONAI Label's own server has there; and how a folder of files is served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.responses import Response

from hepatic.errors import NotFoundError
from server.routes.docs import PAGE_HEADERS

router = APIRouter(prefix="/static", tags=["Viewer"])

# Not mimetypes: what that says depends on the machine, and a browser runs no module or wasm of a wrong type.
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_HASHED = re.compile(r"(^|[.-])[0-9a-f]{20,64}\.")


class Tree:
    """The files below a folder, listed once: what is not on the list is not served, whatever a path says.

    Args:
        root: the folder; it may be missing, then there are none.
        without: a folder inside it to leave out.
    """

    def __init__(self, root: Path, *, without: str | None = None) -> None:
        real = root.resolve()
        self._files = {
            found.relative_to(root).as_posix(): found
            for found in root.rglob("*")
            if found.is_file()
            and found.resolve().is_relative_to(real)
            and found.relative_to(root).parts[0] != without
            and not found.name.startswith((".", "_"))
        }

    def find(self, path: str) -> Path | None:
        """The file of that path, or ``None``."""
        return self._files.get(path)


def is_plain(path: str) -> bool:
    """Whether a path of a URL is nothing but names: no dot segment, nothing encoded twice, no other system's path."""
    names = path.removesuffix("/").split("/") if path else []
    return path.isprintable() and not any(
        not name or name.startswith(".") or re.search(r"[\\:%]", name) for name in names
    )


def is_asset(path: str) -> bool:
    """Whether a path names a file that pages load, by its suffix."""
    return Path(path).suffix.lower() in _MEDIA_TYPES


def sent(request: Request, file: Path, headers: Mapping[str, str]) -> Response:
    """The file, or 304 where the client has it; kept for good where its name carries its hash."""
    response = FileResponse(
        file,
        media_type=_MEDIA_TYPES.get(file.suffix.lower(), "application/octet-stream"),
        stat_result=file.stat(),
        headers={
            "Cache-Control": "public, max-age=31536000, immutable" if _HASHED.search(file.name) else "no-cache",
            **headers,
        },
    )
    if request.headers.get("if-none-match") == response.headers["etag"]:
        kept = {name: response.headers[name] for name in ("etag", "cache-control", *headers)}
        return Response(status_code=304, headers=kept)
    return response


def missing(what: str) -> NotFoundError:
    """The error for a path that leads nowhere."""
    return NotFoundError(what, expected="a file of the viewer", came="none", fix="Check the address.")


def monailabel_static() -> Path | None:
    """The folder in the installed monailabel package, which is not imported for it."""
    spec = find_spec("monailabel")
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) / "endpoints" / "static" if places else None


@cache
def _tree() -> Tree | None:
    root = monailabel_static()
    return Tree(root, without="ohif") if root else None


@router.head("/{path:path}", include_in_schema=False)
@router.get("/{path:path}", summary="A static file of MONAI Label", response_model=None)
def static(request: Request, path: str) -> Response:
    """The viewer's files are under ``/ohif/``."""
    tree = _tree()
    file = tree.find(path) if tree and is_plain(path) else None
    if file is None:
        raise missing("the static file")
    return sent(request, file, PAGE_HEADERS)
