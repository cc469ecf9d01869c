"""Why somebody is not let in."""

from __future__ import annotations

from collections.abc import Mapping

from hepatic.errors import HepaticError


class LoginError(HepaticError):
    """Somebody is not let in; the text says why, and never shows what they showed.

    Attributes:
        status: what is answered.
        headers: what is answered with it.
    """

    status = 401
    headers: Mapping[str, str] = {}


class WrongLoginError(LoginError):
    """A token, or a name and a password, that is not accepted."""

    headers = {"WWW-Authenticate": 'Bearer realm="hepatic"'}  # noqa: RUF012


class NoRoleError(LoginError):
    """Somebody has an account at the issuer, and no role here."""

    status = 403


class TooManyLoginsError(LoginError):
    """Too many logins failed from that address.

    Args:
        wait_s: seconds until the next may be tried.
    """

    status = 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many logins failed. Come again in {wait_s} s.")
        self.headers = {"Retry-After": str(wait_s)}


class IssuerDownError(LoginError):
    """The issuer of logins does not answer, or not as an issuer does."""

    status = 503
    headers = {"Retry-After": "5"}  # noqa: RUF012
