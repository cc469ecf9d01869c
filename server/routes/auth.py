"""``/auth``: how 3D Slicer finds out that a login is needed, and logs in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from server.access.access import Access
from server.access.errors import LoginError
from server.access.guard import address_of, answer_to
from server.access.noting import note
from server.access.roles import Role
from server.access.user import UserDep

router = APIRouter(prefix="/auth", tags=["Auth"])


@router.get("/", summary="Whether a login is needed")
async def enabled(request: Request) -> dict[str, Any]:
    """Every viewer asks this before every call."""
    access: Access = request.app.state.access
    issuer = access.issuer
    return {
        "enabled": access.required,
        "client_id": issuer.client_id if issuer else "hepatic",
        "realm": issuer.url if issuer else "",
    }


@router.post("/token", summary="A token to send from now on, for a name and a password", response_model=None)
async def token(
    request: Request,
    password: Annotated[str, Form(description="an API token, or the password at the issuer of logins")] = "",
    username: Annotated[str, Form(description="any name, or the one at the issuer of logins")] = "",
) -> dict[str, Any] | Response:
    """3D Slicer shows a dialog for these: paste an API token as the password."""
    access: Access = request.app.state.access
    if not access.required:
        return {"access_token": "", "token_type": "bearer"}
    try:
        login = await access.log_in(username, password, address_of(request.scope))
    except LoginError as failed:
        note(request.state, "login failed")
        return answer_to(failed)
    note(request.state, "login", login.user)
    told = {"access_token": login.bearer, "token_type": "bearer"}
    return {**told, "expires_in": login.lasts_s} if login.lasts_s is not None else told


@router.get("/token/valid", summary="Who the token belongs to")
async def valid(user: UserDep) -> dict[str, Any]:
    """Name and roles; answers 401 where a login is needed and there is none."""
    roles = [role.word for role in Role if role and role <= user.role] if user.is_known else []
    return {"username": user.name or "anonymous", "email": None, "name": user.name or None, "roles": roles}
