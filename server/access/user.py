"""Who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request

from server.access.roles import Role


@dataclass(frozen=True)
class User:
    """Somebody, as far as the server knows.

    Args:
        name: the name of the token or of the account; empty if nobody had to log in.
        role: what they may do.
        by: how they were known: ``open`` (no login is needed), ``token 1a2b3c4d``, ``oidc``, ``pass`` (see
            ``Passes``) or, of a browser, ``session`` with one of these.
    """

    name: str
    role: Role
    by: str

    @property
    def is_known(self) -> bool:
        """Whether somebody logged in."""
        return bool(self.name)

    def require(self, role: Role, what: str) -> None:
        """Refuse with 403 unless they have that role; for what a route does only if it is asked to."""
        if self.role < role:
            raise HTTPException(403, f"{what} takes the role {role.word}; yours is {self.role.word}.")


OPEN = User("", Role.ADMIN, "open")
"""Everybody, where no login is needed."""

NOBODY = User("", Role.NOBODY, "nobody")
"""Somebody who has not logged in, at a route that needs no login."""


def _user(request: Request) -> User:
    user: User = request.state.user
    return user


UserDep = Annotated[User, Depends(_user)]
"""What a route declares to be told who asks."""


def signed(user: User, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return params of a client with its author put right: who logged in, whatever the client says."""
    given = without_author(user, params)
    return {**given, "user": user.name} if user.is_known else given


def without_author(user: User, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return params of a client who logged in without what would change an author."""
    return {key: value for key, value in params.items() if not (user.is_known and key in ("author", "user"))}
