"""``hepatic audit``: the log of who did what."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from server.access.access import audit_dir
from server.access.trail import entries, moment, verify, write_csv, write_jsonl
from server.commands.options import OUR_APP, Studies
from server.monai_app import AppSpec

app = typer.Typer(
    help="Export the audit log of a server, and check that nothing was changed in it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_BROKEN = 1


class Format(StrEnum):
    """How entries are written."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command("export")
def export(
    studies: Studies,
    format: Annotated[Format, typer.Option(help="csv for a spreadsheet, jsonl as it is kept.")] = Format.CSV,
    since: Annotated[str, typer.Option(help="From this date or time on.")] = "",
    until: Annotated[str, typer.Option(help="Until this date (included) or time.")] = "",
    user: Annotated[str, typer.Option(help="Only what this user did.")] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; the terminal unless given.")] = None,
) -> None:
    """Write entries of the audit log.

    [bold]Examples[/]

    hepatic audit export --studies demo/studies --format csv --since 2026-11-01 --out audit.csv

    hepatic audit export --studies demo/studies --format jsonl --user "Dr. K"
    """
    chosen = entries(
        _folder(studies),
        since=moment(since, "--since") if since else None,
        until=moment(until, "--until", end=True) if until else None,
        user=user,
    )
    write = write_csv if format is Format.CSV else write_jsonl
    if out is None:
        write(chosen, sys.stdout)
        return
    with out.open("w", encoding="utf-8", newline="") as stream:
        count = write(chosen, stream)
    Console(stderr=True).print(f"{count} entries written to {escape(out.name)}", highlight=False)


@app.command("verify")
def check(
    studies: Studies,
    contains: Annotated[
        str, typer.Option(metavar="HASH", help="A hash that an earlier check showed; it must still be in the log.")
    ] = "",
) -> None:
    """Check that no entry was changed, taken out or put in; exit code 1 if one was.

    Note the hash it shows somewhere else: with it, a later check finds out, too, if the end was cut off or everything
    was written anew.

    [bold]Examples[/]

    hepatic audit verify --studies demo/studies

    hepatic audit verify --studies demo/studies --contains 5f2b0c...
    """
    verdict = verify(_folder(studies), contains=contains)
    told = Console(soft_wrap=True)
    for problem in verdict.problems:
        told.print(f"[red]{escape(problem)}[/]", highlight=False)
    if verdict.problems:
        raise typer.Exit(_BROKEN)
    told.print(f"{verdict.entries} entries, none changed. The last has the hash {verdict.hash}", highlight=False)


def _folder(studies: str) -> Path:
    return audit_dir(AppSpec(str(OUR_APP), studies).data_dir)
