"""``/logs``: the server's log, and the graphics card."""

from __future__ import annotations

import html as markup
import shutil
import subprocess

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.responses import Response

from server.services import ServicesDep

router = APIRouter(prefix="/logs", tags=["Others"])

_MOST_LINES = 10_000
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>hepatic: log</title>{refresh}
<style>body{{background:#0f1417;color:#cfd8dc;font:13px/1.5 ui-monospace,monospace;margin:1.5rem}}
pre{{white-space:pre-wrap}}</style><pre>{text}</pre><script>scrollTo(0,document.body.scrollHeight)</script></html>"""


@router.get("/", summary="The last lines of the log", response_model=None)
def logs(services: ServicesDep, lines: int = 300, html: bool = True, text: bool = False, refresh: int = 0) -> Response:
    """As a page, or with ``text`` as plain text; ``refresh`` reloads the page every so many seconds."""
    tail = services.log.tail(min(lines, _MOST_LINES) if lines > 0 else _MOST_LINES)
    if text or not html:
        return PlainTextResponse(tail)
    again = f'<meta http-equiv="refresh" content="{max(3, refresh)}">' if refresh > 0 else ""
    return HTMLResponse(_PAGE.format(refresh=again, text=markup.escape(tail)))


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
