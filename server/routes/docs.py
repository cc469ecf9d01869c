"""``/docs``: the API as a page, without a script and without anything from elsewhere: it works behind any wall."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from server.access.headers import PAGE_POLICY

router = APIRouter(include_in_schema=False)

PAGE_HEADERS = {"Content-Security-Policy": PAGE_POLICY}
"""Sent with our own pages."""

_CODE = re.compile(r"``(.+?)``")
_PAGE = Template((Path(__file__).parent.parent / "web" / "docs.html").read_text("utf-8"))


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Made from ``/openapi.json``."""
    schema: dict[str, Any] = request.app.openapi()
    sections: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            sections.setdefault(about.get("tags", ["Others"])[0], []).append(_row(path, method, about, schema))
    body = "".join(f"<h2>{escape(tag)}</h2><table>{''.join(rows)}</table>" for tag, rows in sections.items())
    return HTMLResponse(_PAGE.substitute(title=escape(schema["info"]["title"]), body=body), headers=PAGE_HEADERS)


def _row(path: str, method: str, about: dict[str, Any], schema: dict[str, Any]) -> str:
    query = [parameter["name"] for parameter in about.get("parameters", []) if parameter["in"] == "query"]
    fields = [
        name
        for content in about.get("requestBody", {}).get("content", {}).values()
        for name in _resolved(content.get("schema", {}), schema).get("properties", {})
    ]
    takes = [f"query: {', '.join(query)}"] * bool(query) + [f"form: {', '.join(fields)}"] * bool(fields)
    told = [
        f"<b>{escape(about.get('summary', ''))}</b>",
        _CODE.sub(r"<code>\1</code>", escape(about.get("description", ""))),
        f'<span class="dim">{escape(" · ".join(takes))}</span>' if takes else "",
    ]
    return (
        f'<tr><td><code class="method">{method.upper()}</code></td><td><code>{escape(path)}</code></td>'
        f"<td>{'<br>'.join(filter(None, told))}</td></tr>"
    )


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    found: dict[str, Any] = schema["components"]["schemas"][reference.rpartition("/")[2]] if reference else part
    return found
