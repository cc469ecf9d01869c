"""``hepatic jobs``: look at the jobs of a running server, and stop them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from hepatic.errors import HepaticError, NotFoundError
from server.commands.client import GONE, HERE, Server, asked, check, connected

app = typer.Typer(
    help="Look at the jobs of a running server: trainings, batch inferences, rounds of scoring; stop them."
)

FAILED = 1
"""Exit code of ``watch`` where the job did not succeed."""

_COLOURS = {"running": "cyan", "succeeded": "green", "failed": "red", "cancelled": "dim", "queued": "yellow"}
_QUIET_S = 60.0
"""A stream says something every 15 s."""
_AGAIN_S = 1.0
"""Before a stream that ended is asked for again."""

Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id, or the beginning of it.")]


@app.command("list")
def list_(
    server: Server = HERE,
    kind: Annotated[str, typer.Option(help="Only of this kind: train, batch_infer, scoring, propose, know.")] = "",
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state: queued, running, succeeded, failed, cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List jobs, newest first.

    [bold]Examples[/]

    hepatic jobs list

    hepatic jobs list --kind train --state running --state queued

    HEPATIC_TOKEN=... hepatic jobs list --server https://labels.example.org
    """
    query: dict[str, Any] = {"kind": kind, "limit": limit, "state": state or []}
    with connected(server) as client:
        told = asked(client, "GET", "jobs", params=query)
    if as_json:
        print(json.dumps(told["jobs"], indent=1))
        return
    table = Table("id", "job", "state", "progress", "asked for", "note")
    for job in told["jobs"]:
        table.add_row(
            job["id"][:8], _name(job), _state(job), _progress(job), _local(job["created"]), escape(job["error"])
        )
    Console().print(table)
    if (more := told["total"] - len(told["jobs"])) > 0:
        Console().print(f"[dim]and {more} older ones (--limit)[/]")


@app.command("show")
def show(
    id: Id,
    server: Server = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show one job, with the end of its output.

    [bold]Example[/]

    hepatic jobs show 3f2a91c0
    """
    with connected(server) as client:
        job = asked(client, "GET", f"jobs/{_plain(id)}")
    if as_json:
        print(json.dumps(job, indent=1))
        return
    table = Table("", "", show_header=False, box=None)
    facts = {
        "id": job["id"],
        "job": _name(job),
        "state": _state(job),
        "progress": _progress(job),
        "device": job["device"],
        "attempt": f"{job['attempt']} of {job['max_attempts']}",
        "asked for": f"{_local(job['created'])} {escape(job['asked_by'])}",
        "began": _local(job["started"]),
        "ended": _local(job["ended"]),
        "request": escape(json.dumps(job["request"])),
        "result": "" if job["result"] is None else escape(json.dumps(job["result"])),
        "error": escape(job["error"]),
    }
    for key, value in facts.items():
        if value:
            table.add_row(f"[dim]{key}[/]", value)
    console = Console()
    console.print(table)
    for line in job["log"]:
        console.print(f"  {escape(line)}", highlight=False)


@app.command("cancel")
def cancel(id: Id, server: Server = HERE) -> None:
    """Stop a job that waits or runs.

    [bold]Example[/]

    hepatic jobs cancel 3f2a91c0
    """
    with connected(server) as client:
        job = asked(client, "DELETE", f"jobs/{_plain(id)}")
    if job["cancelling"]:
        Console().print(f"{_name(job)} is being stopped.")
    elif job["state"] == "cancelled":
        Console().print(f"{_name(job)} was stopped.")
    else:
        Console().print(f"{_name(job)} had ended already: {_state(job)}.")


@app.command("watch")
def watch(id: Id, server: Server = HERE) -> None:
    """Follow a job until it ends; exit code 1 if it does not succeed. Ctrl-C stops watching, not the job.

    [bold]Example[/]

    hepatic jobs watch 3f2a91c0
    """
    console = Console()
    job: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    with connected(server) as client, Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=1.0, left="")
        for name, data in _followed(client, f"jobs/{_plain(id)}/events"):
            if name == "log":
                for line in data:
                    bar.console.print(escape(line), highlight=False)
            elif name == "job":
                job = data
                left = "" if job["seconds_left"] is None else f"{job['seconds_left']:.0f} s left"
                bar.update(task, description=f"{_name(job)} {_state(job)}", completed=job["progress"], left=left)
    if not job.get("ended"):
        raise HepaticError(GONE)
    if job["error"]:
        console.print(f"[red]{escape(job['error'])}[/]", highlight=False)
    if job["state"] != "succeeded":
        raise typer.Exit(FAILED)


def _followed(client: httpx.Client, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the names and data of a job's events until it has ended; a stream that ends before is asked for again."""
    last = ""
    while True:
        for name, data, id in _events(client, path, last):
            last = id
            yield name, data
            if name == "job" and data.get("ended"):
                return
        time.sleep(_AGAIN_S)


def _events(client: httpx.Client, path: str, last: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the names, data and ids of server-sent events after the one with the id ``last``, until they end."""
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", path, timeout=httpx.Timeout(10.0, read=_QUIET_S), headers=headers) as answer:
        if answer.is_error:
            answer.read()
        check(answer)
        name, id = "message", ""
        data: list[str] = []
        for line in answer.iter_lines():
            if not line:
                if data:
                    yield name, json.loads("\n".join(data)), id
                name, data = "message", []
            field, _, value = line.partition(":")
            if field == "event":
                name = value.removeprefix(" ")
            elif field == "id":
                id = value.removeprefix(" ")
            elif field == "data":
                data.append(value.removeprefix(" "))


def _plain(id: str) -> str:
    if not all(character.isalnum() or character == "-" for character in id) or not id:
        raise NotFoundError("the job", expected="an id", came=ascii(id)[:40], fix="`hepatic jobs list` shows them.")
    return id


def _name(job: dict[str, Any]) -> str:
    return escape(f"{job['kind']} {job['subject']}".strip())


def _state(job: dict[str, Any]) -> str:
    state = "stopping" if job["cancelling"] else job["state"]
    return f"[{_COLOURS.get(job['state'], 'default')}]{escape(state)}[/]"


def _progress(job: dict[str, Any]) -> str:
    parts = [] if job["state"] == "queued" else [f"{100 * job['progress']:.0f} %"]
    if job["items"]:
        parts.append(f"{job['items']['done']} of {job['items']['total']}")
        if job["items"]["failed"]:
            parts.append(f"[red]{job['items']['failed']} failed[/]")
    if job["seconds_left"] is not None:
        parts.append(f"{job['seconds_left']:.0f} s left")
    return ", ".join(parts)


def _local(time: str | None) -> str:
    return "" if time is None else datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
