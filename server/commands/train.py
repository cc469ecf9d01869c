"""``hepatic train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hepatic.errors import NotFoundError
from server.commands.options import App, Conf, Params, Studies, app_dir, log_to_terminal, pairs, values_for


def train(
    model: Annotated[str, typer.Argument(help="Name of the trainer.")],
    studies: Studies,
    app: App = Path("apps/hepatic"),
    conf: Conf = None,
    param: Params = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="File or folder of torchvision's ImageNet weights to begin with, from scratch.")
    ] = None,
) -> None:
    """Train a model on the finished labels, without a server.

    Options for the model: max_epochs, warm_up_epochs, seed, start=scratch (begin anew, not with the version that is
    served), preset, snapshot (SHA-256), and for classifiers of a lesion flagged.

    [bold]Examples[/]

    hepatic train dsa_ltdnet --studies demo/studies

    hepatic train dsa_ltdnet --studies demo/studies -p max_epochs=20 -p seed=1

    hepatic train us_fll --studies demo/studies -p preset=paper --imagenet resnet50-11ad3fa6.pth
    """
    from server.host import Host
    from server.monai_app import AppSpec
    from server.plain import plain

    log_to_terminal()
    host = Host(AppSpec(str(app_dir(app)), studies, pairs(conf, "--conf")), "training")
    if model not in host.trainers:
        raise NotFoundError(
            "the trainer", expected=" or ".join(sorted(host.trainers)), came=model, fix="Choose one of these."
        )
    begun = {} if imagenet is None else {"imagenet": str(imagenet.absolute())}
    result = plain(host.app.train({**values_for(host.trainers[model], param), **begun, "model": model}))
    table = Table("", "", show_header=False, box=None)
    for key, value in (result or {}).items():
        table.add_row(str(key), str(value))
    Console().print(table)
