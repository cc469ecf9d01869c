"""``hepatic tokens``: who may use a server."""

from __future__ import annotations

import getpass
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from hepatic.settings import is_url
from hepatic.store.disk import make_private_folder
from server.access.access import audit_dir, tokens_dir
from server.access.audit import AuditLog, Entry
from server.access.roles import Role
from server.access.token import Token, Tokens, age
from server.commands.options import OUR_APP, Studies
from server.monai_app import AppSpec

app = typer.Typer(
    help="Make, list and revoke the API tokens that a server takes for logins.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is; the author of the labels saved with it.")],
    studies: Studies,
    role: Annotated[
        str,
        typer.Option(
            help="What it allows: [bold]reader[/] (look, infer), [bold]annotator[/] (also label and upload), "
            "[bold]reviewer[/] (also train, score, remove labels), [bold]admin[/] (everything)."
        ),
    ] = "annotator",
    expires: Annotated[str, typer.Option(help="After how long it ends: 12h, 90d, 4w, 1y or never.")] = "90d",
) -> None:
    """Make a token and show its secret, once: it is kept only as a hash.

    A running server takes it at once. In 3D Slicer it is typed as the password, with any user name; programs send it as
    `Authorization: Bearer hep_...`.

    [bold]Examples[/]

    hepatic tokens create "Dr. K" --role annotator --expires 90d --studies demo/studies

    hepatic tokens create prometheus --role reader --expires never --studies demo/studies
    """
    data_dir = _data_dir(studies)
    wanted = Role.named(role)
    if is_url(studies):
        make_private_folder(data_dir)
    token, secret = Tokens(tokens_dir(data_dir)).create(name, wanted, expires=age(expires))
    _noted(data_dir, "tokens create", token)
    told = Console(stderr=True)
    told.print(f"Token [bold]{token.id}[/] for {token.name}: {token.role}, {_until(token)}.", highlight=False)
    told.print("Its secret is shown this once:", highlight=False)
    Console(soft_wrap=True).print(secret, highlight=False, markup=False)


@app.command("list")
def list_tokens(studies: Studies) -> None:
    """List the tokens: whose, for what, until when, last used when.

    [bold]Example[/]

    hepatic tokens list --studies demo/studies
    """
    table = Table(Column("Id", no_wrap=True), "Name", "Role", "Created", "Expires", "Last used")
    for token in Tokens(tokens_dir(_data_dir(studies))).all():
        over = token.has_expired()
        expires = f"[red]{token.expires[:10]} (over)[/]" if over else token.expires[:10] or "never"
        used = token.used[:16].replace("T", " ") or "never"
        table.add_row(
            token.id, token.name, token.role, token.created[:10], expires, used, style="dim" if over else None
        )
    Console().print(table if table.row_count else "No tokens yet: hepatic tokens create --help")


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(help="Its id, as the list shows it, or its name if only one has it.")],
    studies: Studies,
) -> None:
    """Take a token away; a running server refuses it from the next request on.

    [bold]Example[/]

    hepatic tokens revoke "Dr. K" --studies demo/studies
    """
    data_dir = _data_dir(studies)
    gone = Tokens(tokens_dir(data_dir)).revoke(token)
    _noted(data_dir, "tokens revoke", gone)
    Console().print(f"Token {gone.id} for {gone.name} is revoked.", highlight=False)


def _data_dir(studies: str) -> Path:
    return AppSpec(str(OUR_APP), studies).data_dir


def _until(token: Token) -> str:
    if not token.expires:
        return "never ends"
    until = datetime.fromisoformat(token.expires)
    return f"ends {until:%Y-%m-%d %H:%M} UTC, in {(until - datetime.now(UTC)).days + 1} days"


def _noted(data_dir: Path, command: str, token: Token) -> None:
    log = AuditLog(audit_dir(data_dir))
    log.open()
    ids = {"token": token.id, "name": token.name, "role": token.role}
    written: Future[None] = log.add(Entry("command", command, who=getpass.getuser(), by="command line", ids=ids))
    log.close()
    written.result()
