"""``hepatic pacs``: what a running server sends to the PACS."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hepatic.pacs.inbox import UNREAD
from hepatic.store.label import FINAL
from server.commands.client import HERE, Server, asked, connected

app = typer.Typer(
    help="Results on their way to the PACS: what waits, what was sent, what was refused and why.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_COLOURS = {"sent": "green", "waiting": "yellow", "refused": "red", "left_out": "dim"}


@app.command("status")
def status(
    server: Server = HERE,
    state: Annotated[str, typer.Option(help="Only: waiting, sent, refused, left_out.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show how many results wait, were sent, refused or left out, and those whose state changed last.

    Segmentations and reports of others that were found and are no labels come after them, with the reason.

    [bold]Examples[/]

    hepatic pacs status

    hepatic pacs status --state refused

    HEPATIC_TOKEN=... hepatic pacs status --server https://labels.example.org --json
    """
    query: dict[str, Any] = {"limit": limit, **({"state": state} if state else {})}
    with connected(server) as client:
        told = asked(client, "GET", "pacs/", params=query)
    if as_json:
        print(json.dumps(told, indent=1))
        return
    console = Console()
    if not told["pacs"]:
        console.print("There is no PACS behind this server: set HEPATIC_DICOMWEB_URL, or serve its URL.")
    else:
        _show_results(console, told)
    _show_unread(console, told["unread"])


def _show_results(console: Console, told: dict[str, Any]) -> None:
    console.print(f"Sent by itself: {', '.join(told['sends']) or 'nothing (HEPATIC_DICOMWEB_RESULTS)'}")
    console.print(", ".join(f"{count} {_words(name)}" for name, count in told["counts"].items()), highlight=False)
    if told["trouble"]:
        console.print(f"[yellow]{escape(told['trouble'])}[/]", highlight=False)
    table = Table("result", "state", "since", "why")
    for one in told["results"]:
        name = f"[{_COLOURS[one['state']]}]{_words(one['state'])}[/]"
        table.add_row(escape(one["about"]), name, _since(one), escape(one["reason"]))
    if table.row_count:
        console.print(table)


def _show_unread(console: Console, unread: dict[str, Any]) -> None:
    if not any(unread["counts"].values()):
        return
    found = ", ".join(f"{count} {UNREAD[name]}" for name, count in unread["counts"].items() if count)
    console.print(f"Segmentations and reports of others that are no labels: {found}", highlight=False)
    table = Table("object", "state", "since", "why")
    for one in unread["objects"]:
        table.add_row(escape(one["object"]), UNREAD[one["state"]], _since(one), escape(one["reason"]))
    console.print(table)


@app.command("retry")
def retry(
    result: Annotated[str, typer.Argument(help="Only this one, as --json names it.")] = "", server: Server = HERE
) -> None:
    """Try again now what the PACS refused, what was left out, and what waits for a PACS that was down.

    [bold]Example[/]

    hepatic pacs retry
    """
    with connected(server) as client:
        told = asked(client, "POST", "pacs/retry", params={"result": result})
    Console().print(f"{told['tried_again']} are tried again.", highlight=False)


@app.command("send")
def send(
    image: Annotated[list[str], typer.Argument(help="Ids of images.")],
    server: Server = HERE,
    tag: Annotated[str, typer.Option(help="Which of their labels.")] = FINAL,
) -> None:
    """Send the labels of images, whatever is sent by itself.

    [bold]Examples[/]

    hepatic pacs send 1.2.840.113619.2.1

    hepatic pacs send 1.2.840.113619.2.1 --tag original
    """
    with connected(server) as client:
        for one in image:
            asked(client, "POST", "pacs/send", json={"image": one, "tag": tag})
            Console().print(f"The label '{tag}' of {one} is being sent.", highlight=False)


def _since(one: dict[str, Any]) -> str:
    return datetime.fromisoformat(one["at"]).astimezone().strftime("%Y-%m-%d %H:%M")


def _words(state: str) -> str:
    return state.replace("_", " ")
