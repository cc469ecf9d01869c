"""``/qa``: the page on which readers judge candidates, and ``/qa/dashboard``: what comes of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from server.routes.static import Tree, is_plain, missing, sent

router = APIRouter(prefix="/qa", tags=["QA"])

_FOLDER = Path(__file__).parent.parent / "web" / "qa"
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}
"""Scripts and styles come from this server alone; none are written into a page."""


@router.get("", summary="The page on which candidates are judged", response_class=HTMLResponse)
def page() -> HTMLResponse:
    """It works with the keyboard alone; ``?study=`` opens that one, ``?reader=`` names who reads if nobody logs in."""
    return _page("index.html")


@router.get("/dashboard", summary="How far the review is and what it brought", response_class=HTMLResponse)
def dashboard() -> HTMLResponse:
    """Progress, time per click, agreement, each model's sensitivity against the minutes that were spent."""
    return _page("dashboard.html")


@router.get("/web/{file}", summary="A script or style sheet of these pages", response_class=Response)
def part(request: Request, file: str) -> Response:
    """Nothing else is served from that folder than what lay in it when the server started."""
    found = _tree().find(file) if is_plain(file) else None
    if found is None or found.suffix == ".html":
        raise missing("the part of the page")
    return sent(request, found, _POLICY)


def _page(name: str) -> HTMLResponse:
    return HTMLResponse((_FOLDER / name).read_text("utf-8"), headers=_POLICY)


@cache
def _tree() -> Tree:
    return Tree(_FOLDER)
