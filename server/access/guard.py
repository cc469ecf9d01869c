"""What a request passes before a route reads it: who asks, may they, not too often; and what is noted of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.access import Access
from server.access.audit import AuditFailedError, Entry
from server.access.errors import LoginError, WrongLoginError
from server.access.roles import Role, needed
from server.access.session import COOKIE, HANDED_OUT
from server.access.token import PREFIX
from server.access.user import NOBODY, OPEN, User
from server.observe.request import request_id

logger = logging.getLogger(__name__)

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_UNCHANGING = frozenset({"POST /infer/{model}", "POST /auth/token", "POST /login", "POST /logout"})
"""Not changes: an inference changes nothing unless it says so; logins are noted as such."""

_IDS = ("image", "id", "label", "tag", "session_id", "output")
_IMAGE = "/datastore/image"
_OPEN_BODY_BYTES = 64 << 10
_LONGEST_ID = 200
_SECRET = re.compile(rf"{PREFIX}[\w-]+")
_PATIENCE_S = 60.0
"""How long a change waits for its entry: longer than the log itself waits for another process."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@dataclass(frozen=True)
class _Place:
    """Where a path leads.

    Args:
        template: the route's path, such as ``/infer/{model}``.
        methods: those it takes.
        params: what stands for the parameters.
    """

    template: str
    methods: frozenset[str]
    params: Mapping[str, str] = field(default_factory=dict)


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
        self._app, self._routes, self._access = app, routes, access
        self._table: list[tuple[re.Pattern[str], frozenset[str], str]] = []
        self._place = lru_cache(maxsize=4096)(self._look_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and take note."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # no route is one
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, headers = scope["method"], Headers(scope=scope)
        find = self._place if len(scope["path"]) <= _LONGEST_ID else self._look_up
        place = find(method, scope["path"])
        entry = _Noting(self._access, scope, place)
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

    def _look_up(self, method: str, path: str) -> _Place | None:
        """Return the route that will answer, as the application will choose it; any method's if none has this one."""
        if not self._table:
            for route in iter_route_contexts(self._routes.routes):
                if route.path is not None and route.methods:
                    pattern, template, _ = compile_path(route.path)
                    self._table.append((pattern, frozenset(route.methods), template))
        others: _Place | None = None
        for asked in (path, path.rstrip("/") if path.endswith("/") else f"{path}/"):
            for pattern, methods, template in self._table:
                if found := pattern.match(asked):
                    place = _Place(template, methods, found.groupdict())
                    if method in methods:
                        return place
                    others = others or place
            if others:
                return others
        return None

    def _local(self, headers: Headers) -> User:
        if any(name in headers for name in _FORWARDED):
            told = "A proxy forwards to this server, which asks for no login. Start it with --auth."
            raise _RefusedError(JSONResponse({"detail": told}, 403), user=OPEN)
        return OPEN

    async def _admitted(self, scope: Scope, headers: Headers, place: _Place | None) -> User:
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

    async def _known(self, scope: Scope, headers: Headers, place: _Place | None, address: str) -> User | None:
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
            await _on_disk(self._access.audit.retry())
        except AuditFailedError:
            told = "The audit log cannot be written, so nothing may be changed. Free some space and try again."
            raise _RefusedError(JSONResponse({"detail": told}, 507), "") from None

    def _is_noted(self, refused: _RefusedError, method: str, headers: Headers, address: str) -> bool:
        status = refused.response.status_code
        shown_nothing = status in (303, 401) and "authorization" not in headers and method in _READING
        return bool(refused.event) and not shown_nothing and self._access.limits.is_noted(address)


class _Noting:
    """The entry of one request in the audit log."""

    def __init__(self, access: Access, scope: Scope, place: _Place | None) -> None:
        self._access, self._scope = access, scope
        self._place = place
        self.what = f"{scope['method']} {place.template}" if place else f"{scope['method']} elsewhere"
        self.address = address_of(scope)
        self.user = NOBODY

    async def write(self, event: str, status: int, user: User | None = None) -> None:
        """Add it; what is wrong with the log is in the server's log, and stops the next change."""
        who = user or self.user
        entry = Entry(
            event=event,
            what=self.what,
            who=who.name,
            by=who.by,
            address=self.address,
            ids=self._ids(),
            status=status,
            request=request_id(),
        )
        try:
            await _on_disk(self._access.audit.add(entry))
        except AuditFailedError:
            return

    async def around(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, changes: bool) -> None:
        """Let the request be answered, and add the entry before the answer begins."""
        state: dict[str, Any] = scope["state"]
        noted = False

        async def sending(message: Message) -> None:
            nonlocal noted
            if message["type"] == "http.response.start" and not noted:
                noted = True
                event, user = state.get("audit", ("request" if changes else "", None))
                if event:
                    await self.write(event, message["status"], user)
            await send(message)

        try:
            await app(scope, receive, sending)
        finally:
            if changes and not noted:
                noted = True
                await self.write("request", 500)

    def _ids(self) -> dict[str, str]:
        query = QueryParams(self._scope["query_string"])
        params = dict(self._place.params) if self._place else {}
        ids = {**params, **{name: query[name] for name in _IDS if query.get(name)}}
        return {key: _SECRET.sub(f"{PREFIX}...", value)[:_LONGEST_ID] for key, value in ids.items()}


async def _on_disk(written: Future[None]) -> None:
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(written)), _PATIENCE_S)
    except TimeoutError:
        logger.error("the audit log takes longer than %.0f s", _PATIENCE_S)
        raise AuditFailedError("The audit log does not answer.") from None


def note(state: Any, event: str, user: User | None = None) -> None:
    """Let the request that is being served be noted in the audit log, though its route changes nothing as a rule.

    Args:
        state: ``request.state``.
        event: see ``Entry.event``.
        user: who, if the request itself has just found out.
    """
    state.audit = (event, user)


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
