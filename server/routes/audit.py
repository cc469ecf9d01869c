"""``/audit``: what was done, by whom."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any

from fastapi import APIRouter, Query

from server.access.access import audit_dir
from server.access.trail import entries, moment
from server.services import ServicesDep

router = APIRouter(tags=["Others"])


@router.get("/audit", summary="The audit log: who did what, when, from where")
def audit(
    services: ServicesDep,
    since: Annotated[str, Query(description="a date or a time, ISO 8601")] = "",
    until: Annotated[str, Query(description="a date or a time, ISO 8601")] = "",
    user: Annotated[str, Query(description="whose entries only")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[dict[str, Any]]:
    """The last entries, oldest first; ``hepatic audit`` exports all of them, and checks that none was changed."""
    chosen = entries(
        audit_dir(services.spec.data_dir),
        since=moment(since, "since") if since else None,
        until=moment(until, "until", end=True) if until else None,
        user=user,
    )
    return list(deque(chosen, maxlen=limit))
