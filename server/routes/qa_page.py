"""``/qa``: the page on which candidates are judged, and ``/qa/dashboard``: what comes of it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from server.routes.pages import Pages

router = APIRouter(prefix="/qa", tags=["QA"])

_PAGES = Pages("qa")


@router.get("", summary="The page on which candidates are judged", response_class=HTMLResponse)
def page() -> HTMLResponse:
    """It works with the keyboard alone; ``?study=`` opens that one, ``?reader=`` names who reads if nobody logs in."""
    return _PAGES.page("index.html")


@router.get("/dashboard", summary="How far the review is and what it brought", response_class=HTMLResponse)
def dashboard() -> HTMLResponse:
    """Progress, time per click, agreement, each model's sensitivity against the minutes that were spent."""
    return _PAGES.page("dashboard.html")


@router.get("/web/{file}", summary="A script or style sheet of these pages", response_class=Response)
def part(request: Request, file: str) -> Response:
    """Nothing else is served from that folder than what lay in it when the server started."""
    return _PAGES.part(request, file)
