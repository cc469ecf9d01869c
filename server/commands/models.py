"""``hepatic models``: versions of trained models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from hepatic.errors import NotFoundError
from hepatic.settings import settings
from server.commands.options import App, app_dir

if TYPE_CHECKING:
    from hepatic.engine.weights import Registry

app = typer.Typer(
    help="List the versions of trained models, and choose which one is served.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

StudiesFolder = Annotated[Path, typer.Option("--studies", "-s", help="Folder of the studies.")]
Task = Annotated[str, typer.Argument(help="Name of the model, such as dsa_ltdnet.")]

_COLOURS = {"served": "green", "candidate": "yellow", "retired": "dim"}


@app.command("list")
def list_models(studies: StudiesFolder, app: App = Path("apps/hepatic")) -> None:
    """List all versions: which is served, which wait, which were.

    [bold]Example[/]

    hepatic models list --studies demo/studies
    """
    registry = _registry(studies, app)
    table = Table("Model", Column("Version", no_wrap=True), "State", "Created", "Judged by", "From")
    for task in registry.tasks():
        for one in registry.versions(task):
            metric = one.card.key_metric
            judged = f"{metric} {one.metrics[metric]:.3f}" if metric in one.metrics else ""
            colour = _COLOURS.get(one.state, "default")
            parent = (one.parent or "").partition("-")[0]
            table.add_row(task, one.version, f"[{colour}]{one.state}[/]", one.created[:10], judged, parent)
    Console().print(table if table.row_count else "No versions yet: train a model first.")


@app.command("show")
def show(
    task: Task,
    studies: StudiesFolder,
    version: Annotated[str | None, typer.Argument(help="The version; the served one unless given.")] = None,
    app: App = Path("apps/hepatic"),
) -> None:
    """Show the card of a version: its data, metrics, parent and what made it.

    [bold]Example[/]

    hepatic models show dsa_ltdnet --studies demo/studies
    """
    registry = _registry(studies, app)
    chosen = registry.version(task, version) if version else registry.served(task)
    if chosen is None:
        raise NotFoundError(f"model '{task}'", expected="a trained version", came="none", fix="Train it first.")
    Console().print_json(chosen.card.model_dump_json())


@app.command("promote")
def promote(
    task: Task,
    version: Annotated[str, typer.Argument(help="The version, as `hepatic models list` shows it.")],
    studies: StudiesFolder,
    app: App = Path("apps/hepatic"),
) -> None:
    """Serve a version from the next request on.

    [bold]Example[/]

    hepatic models promote dsa_ltdnet v0003-1a2b3c4d --studies demo/studies
    """
    now = _registry(studies, app).promote(task, version)
    Console().print(f"{task}: {now.version} is served", highlight=False)


@app.command("rollback")
def rollback(task: Task, studies: StudiesFolder, app: App = Path("apps/hepatic")) -> None:
    """Serve the version again that was served before.

    [bold]Example[/]

    hepatic models rollback dsa_ltdnet --studies demo/studies
    """
    now = _registry(studies, app).rollback(task)
    Console().print(f"{task}: {now.version} is served", highlight=False)


def _registry(studies: Path, app: Path) -> Registry:
    from hepatic.engine.weights import Registry

    return Registry(settings().data_dir(studies) / "models", shipped=app_dir(app) / "models")
