"""``/quarantine``: the page on which somebody looks at burnt-in text before a picture leaves."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from server.routes.pages import Pages

router = APIRouter(prefix="/quarantine", tags=["Quarantine"])

_PAGES = Pages("quarantine")


@router.get("", summary="The page on which burnt-in text is looked at", response_class=HTMLResponse)
def page() -> HTMLResponse:
    """It works with the keyboard alone; ``?reader=`` names who looks if nobody logs in."""
    return _PAGES.page("index.html")


@router.get("/web/{file}", summary="A script or style sheet of this page", response_class=Response)
def part(request: Request, file: str) -> Response:
    """Nothing else is served from that folder than what lay in it when the server started."""
    return _PAGES.part(request, file)
