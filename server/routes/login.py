"""``/login`` and ``/logout``: for people who open the server's pages in a browser."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from server.access.access import Access
from server.access.errors import LoginError
from server.access.guard import address_of
from server.access.headers import PAGE_POLICY
from server.access.noting import note
from server.access.session import COOKIE

router = APIRouter(include_in_schema=False)

_PAGE = Template((Path(__file__).parent.parent / "web" / "login.html").read_text("utf-8"))
_NAME_FIELD = """<label for="username">User name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false">"""


@router.get("/login")
def show(request: Request, next: str = "/") -> Response:
    """The page that asks for a token."""
    access: Access = request.app.state.access
    if not access.required:
        return RedirectResponse(_inside(next), 303)
    return _page(access, next)


@router.post("/login")
async def log_in(
    request: Request,
    password: Annotated[str, Form()] = "",
    username: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a session: the browser gets a random id in a cookie that no script can read, and never the token."""
    access: Access = request.app.state.access
    if not access.required:
        return RedirectResponse(_inside(next), 303)
    try:
        login = await access.log_in(username.strip(), password.strip(), address_of(request.scope))
    except LoginError as failed:
        note(request.state, "login failed")
        return _page(access, next, failed)
    session_id, lasts_s = access.begin_session(login)
    note(request.state, "login", login.user)
    response = RedirectResponse(_inside(next), 303)
    response.set_cookie(
        COOKIE,
        session_id,
        max_age=lasts_s,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session."""
    access: Access = request.app.state.access
    session_id = request.cookies.get(COOKIE, "")
    user = access.sessions.find(session_id)
    if user is not None:
        access.sessions.end(session_id)
        note(request.state, "logout", user)
    response = RedirectResponse("/login" if access.required else "/", 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


def _page(access: Access, next: str, failed: LoginError | None = None) -> HTMLResponse:
    return HTMLResponse(
        _PAGE.substitute(
            name=_NAME_FIELD if access.issuer else "",
            secret="Password, or API token" if access.issuer else "API token",
            next=escape(_inside(next)),
            problem=f'<p class="problem" role="alert">{escape(str(failed))}</p>' if failed else "",
        ),
        failed.status if failed else 200,
        headers={"Content-Security-Policy": PAGE_POLICY, **(failed.headers if failed else {})},
    )


def _inside(url: str) -> str:
    """Return a path of this server; the first page for anything that leads elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    plain = url.startswith("/") and not url.startswith("//") and "\\" not in url and url.isprintable()
    return url if plain and not parts.scheme and not parts.netloc else "/"
