"""``/auth``: there is no login yet, and clients are told so."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

router = APIRouter(prefix="/auth", tags=["Auth"])


@router.get("/", summary="Whether a login is needed")
async def enabled() -> dict[str, Any]:
    """Every viewer asks this before every call."""
    return {"enabled": False, "client_id": "hepatic", "realm": ""}


@router.post("/token", summary="A token, where a login is needed")
async def token() -> dict[str, Any]:
    """There is nothing to log in to."""
    return {"access_token": "", "token_type": "bearer"}


@router.get("/token/valid", summary="Who the token belongs to")
async def valid() -> dict[str, Any]:
    """Everybody is the same user."""
    return {"username": "anonymous", "email": None, "name": None, "roles": []}
