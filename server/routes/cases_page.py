"""``/cases``: pages on which readers see what models say of ultrasound, and correct it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from server.routes.pages import Pages

router = APIRouter(prefix="/cases", tags=["Cases"])

_PAGES = Pages("cases")


@router.get("", summary="The ultrasound images, to be gone through", response_class=HTMLResponse)
def listing() -> HTMLResponse:
    """It works with the keyboard alone; ``?reader=`` names who reads if nobody logs in."""
    return _PAGES.page("index.html")


@router.get("/{image}", summary="One ultrasound image, and what models say of it", response_class=HTMLResponse)
def page(image: str) -> HTMLResponse:
    """Picture or cine, classes with their probabilities, where the model looked, time-intensity curve, corrections."""
    return _PAGES.page("case.html")


@router.get("/web/{file}", summary="A script or style sheet of these pages", response_class=Response)
def part(request: Request, file: str) -> Response:
    """Nothing else is served from that folder than what lay in it when the server started."""
    return _PAGES.part(request, file)
