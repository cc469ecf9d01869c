"""The page of jobs, for people: how far each is, what it says, and a button that stops it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from fastapi.responses import HTMLResponse

_PAGE = (Path(__file__).parent.parent / "web" / "jobs.html").read_text("utf-8")
_SCRIPT = re.search(r"<script>(.*?)</script>", _PAGE, re.DOTALL)
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT[1].encode() if _SCRIPT else b"").digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; connect-src 'self'; "
    f"script-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Vary": "Accept",
}


def jobs_page() -> HTMLResponse:
    """Return the page; only its own script runs on it, and it asks this server only."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
