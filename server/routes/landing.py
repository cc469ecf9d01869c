"""``/``: a page for people who open the server's address in a browser."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from server.routes.docs import PAGE_HEADERS
from server.routes.info import described
from server.services import ServicesDep

router = APIRouter(include_in_schema=False)

_PAGE = Template((Path(__file__).parent.parent / "web" / "landing.html").read_text("utf-8"))
_ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<rect width="16" height="16" rx="3" fill="#4db6ac"/>'
    b'<path d="M2 6q6-5 12 0-1 6-5 7-3-4-7-7z" fill="#0f1417"/></svg>'
)


@router.get("/")
def landing(request: Request, services: ServicesDep) -> HTMLResponse:
    """What is served, how much is labelled, how to connect."""
    info = described(services.host)
    counts = info["datastore"]
    total, completed = int(counts.get("total", 0)), int(counts.get("completed", 0))
    rows = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(str(model['type']))}</td>"
        f"<td>{escape(str(model['description']))}</td></tr>"
        for name, model in info["models"].items()
    )
    return HTMLResponse(
        _PAGE.substitute(
            name=escape(str(info.get("name") or "hepatic")),
            description=escape(str(info.get("description") or "")),
            address=escape(str(request.base_url).rstrip("/")),
            models=rows or '<tr><td colspan="3">none</td></tr>',
            trainers=escape(", ".join(info["trainers"]) or "none"),
            strategies=escape(", ".join(info["strategies"]) or "none"),
            total=total,
            completed=completed,
            percent=round(100 * completed / max(1, total)),
        ),
        headers=PAGE_HEADERS,
    )


@router.get("/favicon.ico")
def icon() -> Response:
    """A small liver."""
    return Response(_ICON, media_type="image/svg+xml")
