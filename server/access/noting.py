"""The entry of one request in the audit log."""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import Future
from typing import Any

from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.access import Access
from server.access.audit import AuditFailedError, Entry
from server.access.places import Place
from server.access.token import PREFIX
from server.access.user import NOBODY, User
from server.observe.request import request_id

logger = logging.getLogger(__name__)

_IDS = ("image", "id", "label", "tag", "session_id", "output")
_LONGEST_ID = 200
_SECRET = re.compile(rf"{PREFIX}[\w-]+")
_PATIENCE_S = 60.0
"""How long a change waits for its entry: longer than the log itself waits for another process."""


class Noting:
    """Notes one request.

    Args:
        access: with the log.
        scope: of the request.
        place: where it leads; None where nothing is.
        address: where it comes from.

    Attributes:
        what: method and route.
        user: who asks, once that is known.
    """

    def __init__(self, access: Access, scope: Scope, place: Place | None, address: str) -> None:
        self._access, self._scope = access, scope
        self._place = place
        self.what = f"{scope['method']} {place.template}" if place else f"{scope['method']} elsewhere"
        self.address = address
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
            await on_disk(self._access.audit.add(entry))
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


async def on_disk(written: Future[None]) -> None:
    """Wait until an entry is on the disk; AuditFailedError if it cannot be, or takes too long."""
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
