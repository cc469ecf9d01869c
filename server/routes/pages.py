"""Pages of ours that run scripts: HTML, and the parts it loads, from one folder."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from server.routes.static import Tree, is_plain, missing, sent

_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}
"""Scripts and styles come from this server alone; none are written into a page."""

_WEB = Path(__file__).parent.parent / "web"


class Pages:
    """What lies in a folder of ``server/web``.

    Args:
        name: of the folder.
    """

    def __init__(self, name: str) -> None:
        self._folder = _WEB / name

    def page(self, name: str) -> HTMLResponse:
        """Return a page: a template of the folder, made with those beside the folder."""
        return HTMLResponse(_templates().get_template(f"{self._folder.name}/{name}").render(), headers=_POLICY)

    def part(self, request: Request, file: str) -> Response:
        """Return a script or style sheet; nothing else than what lay there when it was first asked for.

        Raises:
            NotFoundError: there is no such part.
        """
        found = self._tree.find(file) if is_plain(file) else None
        if found is None or found.suffix == ".html":
            raise missing("the part of the page")
        return sent(request, found, _POLICY)

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self._folder)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, auto_reload=False
    )
