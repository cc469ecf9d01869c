"""An HTTP session with one DICOMweb server, and with nobody else."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from hepatic.errors import NotFoundError
from hepatic.pacs.error import PacsError, elsewhere, failed, nonsense, refuses, silent, unreachable
from hepatic.pacs.spec import PacsSpec

_CONNECT_S = 5.0
_CONNECTIONS = 16
_CHUNK_BYTES = 1 << 18
_SLOWEST_BYTES_PER_S = 64
_LARGEST_TEXT_BYTES = 256 << 20
_PLAIN = {"%2A": "*", "%3F": "?", "%2C": ",", "%3A": ":"}
"""What a query may hold as it is (RFC 3986, section 3.4): Orthanc 1.10 does not decode a wildcard."""


class PacsSession(requests.Session):
    """Asks as the spec says: no redirect is followed, no proxy or password of this machine used, no cookie kept.

    An answer that is not streamed is read here, up to a bound in bytes and at a pace. Threads may share it.
    """

    def __init__(self, spec: PacsSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.update({"User-Agent": "hepatic", "Accept-Encoding": "identity"})
        if spec.token:
            self.auth = _Bearer(spec.token)
        elif spec.username:
            self.auth = HTTPBasicAuth(spec.username.encode(), spec.password.encode())
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(pool_maxsize=_CONNECTIONS))

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Ask, and return an answer that is good; that to a POST whatever it says.

        Raises:
            NotFoundError: it says that there is no such thing (404, 410).
            PacsError: there is no answer, or none of use.
        """
        stream = kwargs.pop("stream", False)
        silence_s = self.spec.silence_s
        path, mark, query = str(url).partition("?")
        for code, character in _PLAIN.items():
            query = query.replace(code, character)
        kwargs |= {
            "headers": {name: value for name, value in (kwargs.get("headers") or {}).items() if name != "Host"},
            "stream": True,
            "allow_redirects": False,
            "timeout": (min(_CONNECT_S, silence_s), silence_s),
        }
        try:
            answer = super().request(method, path + mark + query, **kwargs)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as failure:
            raise told(failure, silence_s) from failure
        try:
            _check(answer, any_of_post=method == "POST")
            if not stream:
                whole = b"".join(chunks(answer, at_most_bytes=_LARGEST_TEXT_BYTES, silence_s=silence_s))
                answer.close()
                answer.raw = io.BytesIO(whole)
        except BaseException:
            answer.close()
            raise
        return answer


def chunks(answer: requests.Response, *, at_most_bytes: int, silence_s: float) -> Iterator[bytes]:
    """Yield the body of a streamed answer as it comes.

    Raises:
        PacsError: it is larger than that, breaks off, or trickles.
    """
    taken, since, lately = 0, time.monotonic(), 0
    while True:
        try:
            chunk: bytes = answer.raw.read1(_CHUNK_BYTES, decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as failure:
            raise told(failure, silence_s) from failure
        if not chunk:
            return
        taken += len(chunk)
        lately += len(chunk)
        if taken > at_most_bytes:
            raise nonsense(f"it is larger than {at_most_bytes >> 20} MiB")
        passed_s = time.monotonic() - since
        if passed_s > silence_s:
            if lately < _SLOWEST_BYTES_PER_S * passed_s:
                raise silent(silence_s)
            since, lately = time.monotonic(), 0
        yield chunk


def told(failure: Exception, silence_s: float) -> PacsError:
    """What a client is told of a failed exchange; no address in it."""
    inner: BaseException | None = failure
    while inner is not None:
        if isinstance(inner, requests.ConnectTimeout | urllib3.exceptions.ConnectTimeoutError):
            return unreachable()
        if isinstance(inner, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            return silent(silence_s)
        if isinstance(inner, urllib3.exceptions.IncompleteRead):
            return nonsense("it breaks off")
        inner = inner.args[0] if inner.args and isinstance(inner.args[0], BaseException) else inner.__cause__
    if isinstance(failure, requests.ConnectionError | OSError) and not isinstance(failure, _NOT_HTTP):
        return unreachable()
    return nonsense(type(failure).__name__)


_NOT_HTTP = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError, ValueError)


def _check(answer: requests.Response, *, any_of_post: bool) -> None:
    status = answer.status_code
    if status in (401, 403, 407):
        raise refuses(status)
    if status < 200 or 300 <= status < 400:
        raise elsewhere(status)
    if status in (404, 410):
        raise NotFoundError(
            "the DICOM server's answer",
            expected="what was asked for",
            came=f"that it is not there ({status})",
            fix="It may have been moved or deleted in the PACS; or HEPATIC_DICOMWEB_URL is not its DICOMweb root.",
        )
    if status >= 400 and not any_of_post:
        raise failed(status)


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Adapter(HTTPAdapter):
    """Trusts this machine's certificates, where a hospital adds its own."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **kwargs)
