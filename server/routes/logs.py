"""``/logs``: the server's log, and the graphics card."""

from __future__ import annotations

import html as markup
import re
import shutil
import subprocess
from pathlib import Path
from string import Template

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.responses import Response

from server.routes.docs import PAGE_HEADERS
from server.services import ServicesDep

router = APIRouter(prefix="/logs", tags=["Others"])

_MOST_LINES = 10_000
_PAGE = Template((Path(__file__).parent.parent / "web" / "log.html").read_text("utf-8"))
_REFRESH_S = 5
_LEVEL = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")


@router.get("/", summary="The last lines of the log", response_model=None)
def logs(services: ServicesDep, lines: int = 300, html: bool = True, text: bool = False, refresh: int = 0) -> Response:
    """As a page, or with ``text`` as plain text; ``refresh`` reloads the page every so many seconds."""
    tail = services.log.tail(min(lines, _MOST_LINES) if lines > 0 else _MOST_LINES)
    if text or not html:
        return PlainTextResponse(tail)
    again = f'<meta http-equiv="refresh" content="{max(3, refresh)}">' if refresh > 0 else ""
    follow = f'<a href="?refresh={_REFRESH_S}">Follow</a>' if refresh <= 0 else '<a href="?">Stop following</a>'
    shown = "".join(map(_line, tail.splitlines(keepends=True))) or '<span class="dim">Nothing yet.</span>'
    return HTMLResponse(_PAGE.substitute(refresh=again, switch=follow, lines=shown), headers=PAGE_HEADERS)


@router.get("/gpu", summary="The graphics card (nvidia-smi)")
def gpu() -> PlainTextResponse:
    """Answer with what the driver's own tool says."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return PlainTextResponse("This server has no NVIDIA driver.\n")
    try:
        told = subprocess.run([tool], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return PlainTextResponse("nvidia-smi did not answer in 20 s.\n")
    return PlainTextResponse(told.stdout)


def _line(line: str) -> str:
    level = _LEVEL.match(line)
    if level is None:
        return markup.escape(line)
    return f'<span class="{"warning" if level[1] == "WARNING" else "error"}">{markup.escape(line)}</span>'
