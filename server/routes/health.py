"""``/health`` and ``/ready``: what a supervisor or a load balancer asks."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from server.services import Services


def _not_stored(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(tags=["Health"], dependencies=[Depends(_not_stored)])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether work can be taken, and if not, what is missing."""

    status: Literal["ready", "not ready"]
    missing: list[str]


def _services_if_any(request: Request) -> Services | None:
    return getattr(request.app.state, "services", None)


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Is the process alive?")
async def health() -> Alive:
    """Asks neither the app nor a worker: it answers while everything else is busy."""
    return Alive()


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    summary="Can it take work?",
    responses={503: {"model": Readiness, "description": "Not now; ``missing`` says why"}},
)
def ready(
    request: Request, services: Annotated[Services | None, Depends(_services_if_any)], response: Response
) -> Readiness:
    """The app is loaded, a worker is warm, and the audit log can be written.

    A worker that was lost and is being replaced keeps no work away.
    """
    missing = services.missing() if services else ["the app: it is not loaded"]
    audit = request.app.state.access.audit
    if not audit.works:
        audit.retry()
        missing = [*missing, "the audit log: it cannot be written, so nothing may be changed"]
    if missing:
        response.status_code = 503
    return Readiness(status="not ready" if missing else "ready", missing=missing)
