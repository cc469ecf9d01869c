"""``/reload``: take over what was changed in the app, without a restart."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.services import ServicesDep

router = APIRouter(tags=["App"])


@router.post("/reload", summary="Load the app again")
def reload(services: ServicesDep) -> dict[str, Any]:
    """Requests under way are finished by the app as it was; if it cannot be loaded any more, it stays as it was."""
    services.reload()
    host = services.host
    return {"models": sorted(host.models), "trainers": sorted(host.trainers), "strategies": sorted(host.strategies)}
