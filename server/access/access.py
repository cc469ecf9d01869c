"""Whether somebody may come in, and as whom: everything that knows is here, made and closed together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

from hepatic.errors import BadInputError, HepaticError
from hepatic.settings import Settings
from server.access.audit import AuditLog
from server.access.errors import IssuerDownError, NoRoleError, TooManyLoginsError, WrongLoginError
from server.access.limits import Limits
from server.access.oidc import Issuer
from server.access.roles import Role
from server.access.session import BrowserSessions, Passes
from server.access.token import PREFIX, Tokens
from server.access.user import User

logger = logging.getLogger(__name__)

_ACCOUNT_SESSION_S = 3600.0
_NOTE_USE_S = 60.0


@dataclass(frozen=True)
class Login:
    """Somebody logged in.

    Args:
        user: who.
        bearer: what their client sends from now on.
        token_id: the API token, if it was one.
        lasts_s: how long ``bearer`` is good for, where that is known.
    """

    user: User
    bearer: str
    token_id: str = ""
    lasts_s: int | None = None


class Access:
    """Tokens, the issuer, browser sessions, passes, limits, and the audit log of one data folder.

    Args:
        data_dir: folder for what the server writes.
        settings: what is set.
        required: whether a login is needed.
        behind_proxy: whether the addresses of clients are those that a trusted proxy says.

    Raises:
        BadInputError: a setting cannot be right.
    """

    def __init__(self, data_dir: Path, settings: Settings, *, required: bool, behind_proxy: bool = False) -> None:
        self.required, self.behind_proxy = required, behind_proxy
        self.tokens = Tokens(tokens_dir(data_dir))
        self.issuer = Issuer(settings) if required and settings.oidc_issuer else None
        self.sessions = BrowserSessions(self.tokens.holds)
        self.passes = Passes() if settings.slicer_downloads else None
        self.limits = Limits(requests=settings.request_limit, logins=settings.login_limit)
        self.audit = AuditLog(audit_dir(data_dir))
        self._session_s = settings.session_hours * 3600
        self._use_noted = time.monotonic()

    def close(self) -> None:
        """Write down what is not yet."""
        try:
            self.tokens.note_use()
        except HepaticError:
            logger.warning("it could not be noted when tokens were last used", exc_info=True)
        self.audit.close()

    async def by_bearer(self, secret: str, address: str) -> User:
        """Return whose token that is.

        Raises:
            LoginError: they are not let in, or it cannot be checked now. A wrong token counts against the address.
        """
        return (await self._counted(self._by_bearer(secret), address)).user

    async def log_in(self, username: str, password: str, address: str) -> Login:
        """Take an API token as the password, with any name, or a name and password of the issuer.

        Raises:
            LoginError: as above.
        """
        if self.issuer is None or password.startswith(PREFIX) or not username:
            return await self._counted(self._by_bearer(password), address)
        wait_s = self.limits.try_login(
            address
        )  # passwords can be guessed; API tokens cannot, and are never kept waiting
        if wait_s:
            raise TooManyLoginsError(wait_s)
        try:
            login = await self._log_in(self.issuer, username, password)
        except (IssuerDownError, NoRoleError):  # nothing was guessed wrongly
            self.limits.succeeded(address)
            raise
        self.limits.succeeded(address)
        return login

    def begin_session(self, login: Login) -> tuple[str, int]:
        """Return the id of a new browser session, and its length in seconds."""
        lasts_s = self._session_s if login.token_id else min(self._session_s, _ACCOUNT_SESSION_S)
        return self.sessions.begin(login.user, token_id=login.token_id, lasts_s=lasts_s), int(lasts_s)

    async def _counted(self, login: Coroutine[None, None, Login], address: str) -> Login:
        try:
            return await login
        except WrongLoginError:
            wait_s = self.limits.failed(address)
            if wait_s:
                raise TooManyLoginsError(wait_s) from None
            raise

    async def _log_in(self, issuer: Issuer, username: str, password: str) -> Login:
        told = await issuer.log_in(username, password)
        login = await self._by_bearer(told["access_token"])
        return Login(login.user, login.bearer, lasts_s=told.get("expires_in"))

    async def _by_bearer(self, secret: str) -> Login:
        token = self.tokens.find(secret)
        if token is not None:
            if time.monotonic() - self._use_noted > _NOTE_USE_S:
                self._use_noted = time.monotonic()
                asyncio.get_running_loop().run_in_executor(None, self.tokens.note_use)
            return Login(User(token.name, Role.named(token.role), f"token {token.id}"), secret, token.id)
        if self.issuer is None or secret.startswith(PREFIX):
            raise WrongLoginError("That token is not known here: it was mistyped, revoked, or is over.")
        name, role = await self.issuer.check(secret)
        if role is Role.NOBODY:
            raise NoRoleError("That account has no role here. Its issuer must give it one of those that are set.")
        return Login(User(name, role, "oidc"), secret)


def tokens_dir(data_dir: Path) -> Path:
    """Return the folder that holds the tokens."""
    return data_dir / "access"


def audit_dir(data_dir: Path) -> Path:
    """Return the folder that holds the audit log."""
    return data_dir / "audit"


def check_configured(tokens: Tokens, settings: Settings, *, studies: str, why: str) -> None:
    """Refuse to start a server that needs logins and has nobody who could log in.

    Raises:
        BadInputError: there is no token that can be used, and no issuer.
    """
    if not settings.oidc_issuer and not tokens.usable():
        raise BadInputError(
            why,
            expected="an API token or an issuer of logins (HEPATIC_OIDC_ISSUER), so that a login can be asked for",
            came="neither",
            fix=f"Make a token first: hepatic tokens create NAME --role admin --studies {studies}",
        )
