"""Asking a running server, for commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer

from hepatic.errors import BadInputError, HepaticError

TOKEN = "HEPATIC_TOKEN"  # noqa: S105 - the name of the variable
GONE = "The server has stopped. What was running goes on when it is started again."
HERE = "http://127.0.0.1:8000"

Server = Annotated[
    str, typer.Option("--server", envvar="HEPATIC_SERVER", help="The server's address.", show_default=True)
]


@contextmanager
def connected(server: str) -> Iterator[httpx.Client]:
    """Lend a client of a server, with the token of ``HEPATIC_TOKEN``; what goes wrong is said in one sentence."""
    token = os.environ.get(TOKEN, "")
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        with httpx.Client(base_url=server.rstrip("/") + "/", headers=headers, timeout=30.0) as client:
            yield client
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise BadInputError(
            "--server", expected=f"an address such as {HERE}", came=server[:80], fix="Correct it."
        ) from None
    except httpx.TimeoutException:
        raise HepaticError(f"The server at {server} does not answer in time.") from None
    except httpx.RemoteProtocolError:
        raise HepaticError(GONE) from None
    except httpx.TransportError:
        raise HepaticError(
            f"No server answers at {server}. Start one with `hepatic serve`, or name another with --server."
        ) from None


def asked(client: httpx.Client, method: str, path: str, **options: Any) -> Any:
    """Return the JSON that a server answers with; HepaticError with its own words where it refuses."""
    answer = client.request(method, path, **options)
    check(answer)
    try:
        return answer.json()
    except ValueError:
        raise HepaticError(f"What answers at {client.base_url} is no hepatic server.") from None


def check(answer: httpx.Response) -> None:
    """Raise HepaticError with the server's own words if it refused."""
    if answer.is_success:
        return
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered with {answer.status_code}"
    if answer.status_code in (401, 403):
        raise HepaticError(f"The server refuses: {detail} Put a token that may do this into {TOKEN}.")
    raise HepaticError(detail)
