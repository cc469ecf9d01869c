"""What a request passes before a route reads it: who asks, may they, not too often; and what is noted of it."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.access import Access
from server.access.audit import AuditFailedError
from server.access.errors import LoginError, WrongLoginError
from server.access.noting import Noting, on_disk
from server.access.places import Place, Places
from server.access.roles import Role, needed
from server.access.session import COOKIE, HANDED_OUT
from server.access.user import NOBODY, OPEN, User

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_UNCHANGING = frozenset({"POST /infer/{model}", "POST /auth/token", "POST /login", "POST /logout"})
"""Not changes: an inference changes nothing unless it says so; logins are noted as such."""

_IMAGE = "/datastore/image"
_OPEN_BODY_BYTES = 64 << 10
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class _RefusedError(Exception):
    def __init__(self, response: Response, event: str = "refused", user: User = NOBODY) -> None:
        super().__init__()
        self.response, self.event, self.user = response, event, user


class Guard:
    """ASGI middleware in front of the routes. Puts who asks into ``request.state.user``.

    With a login required: nothing but the routes that are open to nobody answers without one; the role each route
    takes is in ``server.access.roles``; a browser's cookie changes things only for pages of this server. Without one,
    everybody is an admin, unless a proxy is seen to forward strangers to this machine's own address.

    A request that changes something is answered when its entry in the audit log is on the disk.

    Args:
        app: what comes behind.
        routes: the application whose routes those are.
        access: tokens, sessions, limits, log.
    """

    def __init__(self, app: ASGIApp, *, routes: Starlette, access: Access) -> None:
        self._app, self._places, self._access = app, Places(routes), access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and take note."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # no route is one
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, headers = scope["method"], Headers(scope=scope)
        place = self._places.find(method, scope["path"])
        entry = Noting(self._access, scope, place, address_of(scope))
        try:
            user = await self._admitted(scope, headers, place) if self._access.required else self._local(headers)
            changes = (method not in _READING and entry.what not in _UNCHANGING) or user.by == HANDED_OUT
            if changes and not self._access.audit.works:
                await self._repaired()
        except _RefusedError as refused:
            entry.user = refused.user
            if self._is_noted(refused, method, headers, entry.address):
                await entry.write(refused.event, refused.response.status_code)
            await refused.response(scope, receive, send)
            return
        entry.user = scope.setdefault("state", {})["user"] = user
        if user is NOBODY:
            receive = _small(receive)
        await entry.around(self._app, scope, receive, send, changes)

    def _local(self, headers: Headers) -> User:
        if any(name in headers for name in _FORWARDED):
            told = "A proxy forwards to this server, which asks for no login. Start it with --auth."
            raise _RefusedError(JSONResponse({"detail": told}, 403), user=OPEN)
        return OPEN

    async def _admitted(self, scope: Scope, headers: Headers, place: Place | None) -> User:
        method, address = scope["method"], address_of(scope)
        role = needed(method, place.template) if place else Role.READER
        if role is Role.NOBODY:
            self._take(address)
            return NOBODY
        user = await self._known(scope, headers, place, address)
        if user is None:
            self._take(address)
            raise _RefusedError(_login_first(scope, headers))
        self._take(f"{user.by} {user.name}")
        if place is None:
            raise _RefusedError(JSONResponse({"detail": "Not Found"}, 404), "", user)
        if method not in place.methods:
            allowed = {"Allow": ", ".join(sorted(place.methods))}
            raise _RefusedError(JSONResponse({"detail": "Method Not Allowed"}, 405, allowed), "", user)
        if user.role < role:
            told = f"This takes the role {role.word}; yours is {user.role.word}."
            raise _RefusedError(JSONResponse({"detail": told}, 403), user=user)
        return user

    async def _known(self, scope: Scope, headers: Headers, place: Place | None, address: str) -> User | None:
        """Return who asks; ``None`` if they show nothing, or a session that is over."""
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind:
            return await self._by_bearer(secret.strip() if kind.lower() == "bearer" else "", address)
        session_id = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        user = self._access.sessions.find(session_id) if session_id else None
        if user is not None:
            if scope["method"] not in _READING and not is_same_origin(headers):
                told = "A page of another origin cannot change anything in your name."
                raise _RefusedError(JSONResponse({"detail": told}, 403), user=user)
            return user
        passes = self._access.passes
        if passes and place and place.template == _IMAGE and scope["method"] == "GET":
            images = QueryParams(scope["query_string"]).getlist("image")
            return passes.use(address, headers.get("host", ""), images[0]) if len(images) == 1 else None
        return None

    async def _by_bearer(self, secret: str, address: str) -> User:
        try:
            return await self._access.by_bearer(secret, address)
        except LoginError as failed:
            raise _RefusedError(answer_to(failed), "login failed") from None

    def _take(self, who: str) -> None:
        wait_s = self._access.limits.take(who)
        if wait_s:
            told = f"Too many requests. Come again in {wait_s} s."
            raise _RefusedError(JSONResponse({"detail": told}, 429, {"Retry-After": str(wait_s)}))

    async def _repaired(self) -> None:
        try:
            await on_disk(self._access.audit.retry())
        except AuditFailedError:
            told = "The audit log cannot be written, so nothing may be changed. Free some space and try again."
            raise _RefusedError(JSONResponse({"detail": told}, 507), "") from None

    def _is_noted(self, refused: _RefusedError, method: str, headers: Headers, address: str) -> bool:
        status = refused.response.status_code
        shown_nothing = status in (303, 401) and "authorization" not in headers and method in _READING
        return bool(refused.event) and not shown_nothing and self._access.limits.is_noted(address)


def give_pass(request: Request, image: str) -> None:
    """Let 3D Slicer fetch an image it was given to label; see ``Passes``. Not where clients' addresses are unknown."""
    access: Access = request.app.state.access
    forwarded = any(name in request.headers for name in _FORWARDED)
    if access.passes and "authorization" in request.headers and (access.behind_proxy or not forwarded):
        access.passes.give(request.state.user, address_of(request.scope), request.headers.get("host", ""), image)


def answer_to(failed: LoginError) -> Response:
    """Return what is told to who is not let in."""
    return JSONResponse({"detail": str(failed)}, failed.status, dict(failed.headers))


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the request comes from a page of this server."""
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None:
        return bool(host) and urlsplit(origin).netloc == host
    return headers.get("sec-fetch-site") == "same-origin"


def _login_first(scope: Scope, headers: Headers) -> Response:
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        query = scope["query_string"].decode("latin-1")
        wanted = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)
    return answer_to(WrongLoginError("Log in first: send a token (Authorization: Bearer ...)."))


def address_of(scope: Scope) -> str:
    """Return where a request comes from."""
    return str((scope.get("client") or ("",))[0])


def _small(receive: Receive) -> Receive:
    """Let somebody who has not logged in send no more than a form."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > _OPEN_BODY_BYTES:
                raise HTTPException(413, "Log in before you send that much.")
        return message

    return counted
