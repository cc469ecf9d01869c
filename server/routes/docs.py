"""``/docs``: the API as a page, without a script and without anything from elsewhere: it works behind any wall."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"}
"""Sent with our own pages: nothing is loaded from anywhere, and nothing on them runs."""

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
    told = escape(about.get("summary", ""))
    more = escape(about.get("description", ""))
    return (
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td><b>{told}</b><br>{more}<br><span class='dim'>{escape(' · '.join(takes))}</span></td></tr>"
    )


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    found: dict[str, Any] = schema["components"]["schemas"][reference.rpartition("/")[2]] if reference else part
    return found
