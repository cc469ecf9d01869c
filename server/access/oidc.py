"""OpenID Connect: bearer tokens of an issuer such as Keycloak, checked with the keys it publishes."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from hepatic.errors import BadInputError
from hepatic.settings import Settings
from server.access.errors import IssuerDownError, WrongLoginError
from server.access.roles import Role

logger = logging.getLogger(__name__)

SAFE_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Those with a private key. With HS256 the published key would be the secret; ``none`` is no signature."""

_LEEWAY_S = 30.0
_KEYS_S = 3600.0
_UNKNOWN_KEY_S = 60.0
_DOWN_S = 5.0
_MOST_BYTES = 1 << 20


class Issuer:
    """Checks an issuer's tokens. Its addresses and keys are found by discovery, kept, and looked at again.

    A key that is not known is asked for at most once a minute, so that made-up tokens cost the issuer nothing; while
    it is down, tokens of keys that are known go on being accepted.

    Args:
        settings: issuer, audience, client, claims, roles.
        clock: seconds that only go up.

    Raises:
        BadInputError: a setting cannot be right.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = settings.oidc_issuer.rstrip("/")
        self.client_id = settings.oidc_client_id
        self._settings, self._clock = settings, clock
        self._audience = settings.oidc_audience or settings.oidc_client_id
        self._algorithms = _algorithms(settings.oidc_algorithms)
        self._roles = {
            settings.oidc_role_admin: Role.ADMIN,
            settings.oidc_role_reviewer: Role.REVIEWER,
            settings.oidc_role_annotator: Role.ANNOTATOR,
            settings.oidc_role_reader: Role.READER,
        }
        _check_url(self.url, "HEPATIC_OIDC_ISSUER")
        if urlsplit(self.url).scheme == "http" and not _is_here(self.url):
            logger.warning("the issuer of logins is asked over plain http: anybody in between can log in as anybody")
        self._asking = asyncio.Lock()
        self._found: Mapping[str, Any] = {}
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = self._failed = float("-inf")

    async def check(self, token: str) -> tuple[str, Role]:
        """Return the name and the role a token stands for.

        Raises:
            WrongLoginError: it is not of this issuer, not for this server, not of this time, or says no name.
            IssuerDownError: the keys to check it cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise WrongLoginError("It is neither an API token of this server nor a token of its issuer.") from None
        if header.get("alg") not in self._algorithms:
            raise WrongLoginError("Its signature is of a kind that is not accepted.")
        key = await self._key(header.get("kid"))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=sorted(self._algorithms),
                audience=self._audience,
                issuer=self._found["issuer"],
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise WrongLoginError("It has expired.") from None
        except jwt.ImmatureSignatureError:
            raise WrongLoginError("It is not valid yet.") from None
        except jwt.InvalidAudienceError:
            raise WrongLoginError("It is not meant for this server (aud).") from None
        except jwt.InvalidIssuerError:
            raise WrongLoginError("It is of another issuer (iss).") from None
        except jwt.PyJWTError:
            raise WrongLoginError("Its signature or its claims are wrong.") from None
        name = claims.get(self._settings.oidc_user_claim)
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise WrongLoginError(f"It has no name ({self._settings.oidc_user_claim}).")
        return name.strip()[:128], self._role(claims)

    async def log_in(self, username: str, password: str) -> dict[str, Any]:
        """Ask the issuer for a token for a name and a password.

        Returns:
            ``access_token``, ``token_type`` and, where the issuer says it, ``expires_in`` (seconds).

        Raises:
            WrongLoginError: the issuer refuses.
            IssuerDownError: it does not answer.
        """
        await self._look()
        asked = {
            "grant_type": "password",
            "client_id": self.client_id,
            "username": username,
            "password": password,
            "scope": "openid",
        }
        secret = self._settings.oidc_client_secret.get_secret_value()
        if secret:
            asked["client_secret"] = secret
        told, status = await self._ask("POST", _address(self._found, "token_endpoint", self.url), asked)
        if status in (400, 401, 403):
            raise WrongLoginError("The issuer of logins does not accept that name and password.")
        if status != 200 or not isinstance(told.get("access_token"), str):
            raise IssuerDownError(f"The issuer of logins answered with {status}.")
        kept = {"access_token": told["access_token"], "token_type": "bearer"}
        return {**kept, "expires_in": told["expires_in"]} if isinstance(told.get("expires_in"), int) else kept

    def _role(self, claims: Mapping[str, Any]) -> Role:
        value: Any = claims
        for part in self._settings.oidc_roles_claim.split("#"):
            value = value.get(part) if isinstance(value, Mapping) else None
        words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        return max((self._roles.get(word, Role.NOBODY) for word in words if isinstance(word, str)), default=Role.NOBODY)

    async def _key(self, key_id: object) -> jwt.PyJWK:
        """Return the key a token names, or the only one there is if it names none."""
        await self._look()
        key = self._chosen(key_id)
        if key is None and self._clock() - self._fetched > _UNKNOWN_KEY_S:
            await self._look(older_than_s=_UNKNOWN_KEY_S)
            key = self._chosen(key_id)
        if key is None and self._failed > self._fetched:
            raise IssuerDownError("The issuer of logins does not answer, and the token's key is not known yet.")
        if key is None:
            raise WrongLoginError("It is signed with a key that the issuer does not publish.")
        return key

    def _chosen(self, key_id: object) -> jwt.PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id) if isinstance(key_id, str) else None

    async def _look(self, *, older_than_s: float = _KEYS_S) -> None:
        """Fetch what the issuer publishes, if what is known is older than that, and nobody has just failed to."""
        if self._clock() - self._fetched <= older_than_s:
            return
        async with self._asking:
            if self._clock() - self._fetched <= older_than_s:
                return
            if self._clock() - self._failed <= (_UNKNOWN_KEY_S if self._keys else _DOWN_S):
                if self._keys:
                    return
                raise IssuerDownError("The issuer of logins does not answer.")
            try:
                await self._fetch()
            except IssuerDownError as down:
                logger.warning("%s", down)
                self._failed = self._clock()
                if not self._keys:
                    raise

    async def _fetch(self) -> None:
        found, status = await self._ask("GET", f"{self.url}/.well-known/openid-configuration")
        if status != 200 or str(found.get("issuer", "")).rstrip("/") != self.url:
            raise IssuerDownError("The issuer of logins does not answer as the issuer that is set.")
        published, status = await self._ask("GET", _address(found, "jwks_uri", self.url))
        if status != 200 or not isinstance(published.get("keys"), list):
            raise IssuerDownError("The issuer of logins does not publish its keys.")
        self._found, self._keys, self._fetched = found, self._usable(published["keys"]), self._clock()

    def _usable(self, published: list[Any]) -> dict[str, jwt.PyJWK]:
        keys = {}
        for about in published:
            if not isinstance(about, dict) or about.get("use", "sig") != "sig":
                continue
            try:
                key = jwt.PyJWK(about)
            except jwt.PyJWTError:
                continue
            if key.algorithm_name in self._algorithms:
                keys[key.key_id or ""] = key
        return keys

    async def _ask(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[dict[str, Any], int]:
        limit_s = self._settings.oidc_timeout_s
        try:
            async with (
                asyncio.timeout(limit_s),
                httpx.AsyncClient(timeout=limit_s) as client,
                client.stream(method, url, data=form) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise IssuerDownError("The issuer of logins answered with too much.")
            told = httpx.Response(200, content=body).json() if body else {}
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
            raise IssuerDownError(f"The issuer of logins does not answer ({type(failure).__name__}).") from None
        except ValueError:
            told = {}
        return (told if isinstance(told, dict) else {}), answer.status_code


def _address(found: Mapping[str, Any], name: str, issuer: str) -> str:
    address = str(found.get(name, ""))
    if urlsplit(address).scheme not in {"https", urlsplit(issuer).scheme}:
        raise IssuerDownError(f"The issuer of logins gives no safe address for its {name}.")
    return address


def _algorithms(text: str) -> frozenset[str]:
    asked = frozenset(text.replace(",", " ").split())
    if not asked or asked - SAFE_ALGORITHMS:
        raise BadInputError(
            "HEPATIC_OIDC_ALGORITHMS",
            expected=f"some of {', '.join(sorted(SAFE_ALGORITHMS))}",
            came=", ".join(sorted(asked - SAFE_ALGORITHMS)) or "none",
            fix="Leave it out for all of them.",
        )
    return asked


def _check_url(url: str, setting: str) -> None:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise BadInputError(
            setting,
            expected="the issuer's URL",
            came=url[:80],
            fix="Write for example https://login.example.org/realms/x.",
        )


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
