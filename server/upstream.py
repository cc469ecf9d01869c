"""The one DICOMweb server that ``/proxy/dicom`` leads to."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx

from hepatic.adapters import compat
from hepatic.errors import BadInputError
from hepatic.pacs.error import PacsError, elsewhere, nonsense, refuses, silent, unreachable
from hepatic.pacs.spec import PacsSpec, pacs_spec
from hepatic.settings import settings
from server.monai_app import AppSpec

logger = logging.getLogger(__name__)

_CONNECT_S = 5.0
_CONNECTIONS = 64
_PRINTABLE = re.compile(rb"[\x21-\x7e]*")

_SENT_ALONG = ("content-length", "content-type")
_ASKED_ALONG = (
    "accept-charset", "accept-language", "if-match", "if-modified-since", "if-none-match", "if-range",
    "if-unmodified-since", "range",
)  # fmt: skip
"""Of a client's headers; above all not its authorization and cookies, which are for this server."""


def upstream_spec(spec: AppSpec) -> PacsSpec | None:
    """Return the DICOMweb server of the settings, or the one that is served; None where there is none.

    Raises:
        BadInputError: its URL cannot be used.
    """
    compat.install()
    from monailabel.config import settings as stock

    is_dicomweb = spec.is_remote and stock.MONAI_LABEL_DATASTORE.lower() not in ("xnat", "dsa")
    url = settings().dicomweb_url or (spec.studies if is_dicomweb else "")
    return pacs_spec(url) if url else None


class Upstream:
    """Asks the DICOMweb server, and nobody else: no redirect is followed, no proxy or password of this machine used.

    Args:
        spec: which server.
    """

    def __init__(self, spec: PacsSpec) -> None:
        self.spec = spec
        auth = None if spec.token or not spec.username else httpx.BasicAuth(spec.username, spec.password)
        self._root = urlsplit(spec.url).path.encode("ascii", "strict")
        self._client = httpx.AsyncClient(
            auth=auth,
            headers={"Authorization": f"Bearer {spec.token}"} if spec.token else {},
            timeout=httpx.Timeout(spec.silence_s, connect=min(_CONNECT_S, spec.silence_s)),
            limits=httpx.Limits(max_connections=_CONNECTIONS),
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # one would be shared by all clients
            trust_env=False,
            verify=ssl.create_default_context(),  # this machine's certificates, where a hospital adds its own
        )

    async def ask(
        self,
        method: str,
        path: bytes,
        query: bytes,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None,
    ) -> httpx.Response:
        """Ask, and return the answer with its body still to be read; the caller closes it.

        Args:
            method: GET or POST.
            path: path below the root, as it goes over the wire.
            query: the same of the query string.
            headers: the client's; few of them are passed on.
            body: what to send.

        Raises:
            PacsError: there is no answer, or none of use.
            BadInputError: path or query hold what no URL may.
        """
        target = self._root + b"/" + path + (b"?" + query if query else b"")
        if not _PRINTABLE.fullmatch(target):
            raise BadInputError(
                "the address", expected="printable ASCII", came="something else", fix="Encode it as %XX."
            )
        along = _ASKED_ALONG if body is None else (*_ASKED_ALONG, *_SENT_ALONG)
        request = self._client.build_request(
            method,
            self.spec.url,
            headers={
                **{name: headers[name] for name in along if name in headers},
                "Accept": headers.get("accept", "*/*"),
                "Accept-Encoding": headers.get("accept-encoding", "identity"),
                "User-Agent": "hepatic",
            },
            content=body,
            extensions={"target": target},  # as it came: httpx would encode it its own way
        )
        try:
            answer = await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as failure:
            raise told(failure, self.spec.silence_s) from failure
        refused = _of_no_use(answer)
        if refused is not None:
            await answer.aclose()
            raise refused
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


@asynccontextmanager
async def connected(spec: PacsSpec | None) -> AsyncIterator[Upstream | None]:
    """Yield the DICOMweb server where there is one, and close its connections at the end."""
    upstream = None if spec is None else Upstream(spec)
    try:
        yield upstream
    finally:
        if upstream is not None:
            await upstream.close()


def told(failure: Exception, silence_s: float) -> PacsError:
    """What a client is told of a failed exchange; no address in it."""
    if isinstance(failure, httpx.PoolTimeout):
        return PacsError(503, "The DICOM server is being asked too much already; try again in a moment.")
    if isinstance(failure, httpx.ConnectTimeout | httpx.ConnectError):
        return unreachable()
    if isinstance(failure, httpx.TimeoutException):
        return silent(silence_s)
    return nonsense(type(failure).__name__)


def _of_no_use(answer: httpx.Response) -> PacsError | None:
    status = answer.status_code
    if status in (401, 403, 407):
        return refuses(status)
    if status < 200 or (300 <= status < 400 and status != 304):
        return elsewhere(status)
    return None


def none_configured() -> dict[str, Any]:
    """What a client is told where there is no DICOMweb server."""
    return {
        "detail": "This server serves a folder and has no DICOM server behind it. "
        "Set HEPATIC_DICOMWEB_URL, or serve a DICOMweb URL with --studies."
    }
