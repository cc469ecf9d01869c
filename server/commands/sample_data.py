"""``hepatic sample-data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def sample_data(
    out: Annotated[Path, typer.Argument(help="Folder to write to: studies/ and truth/ below it.")],
    dsa: Annotated[int, typer.Option(min=1, help="How many DSA runs, one patient each.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first; the others follow.")] = 0,
    size: Annotated[
        Literal["small", "full"], typer.Option(help="small: 510 x 394 pixels. full: 1021 x 788.")
    ] = "small",
    variant: Annotated[
        Literal["subtracted", "unsubtracted", "both"], typer.Option(help="With the mask subtracted, without, or both.")
    ] = "subtracted",
) -> None:
    """Write simulated angiographies as DICOM, with their truth. No patient is in them.

    [bold]Examples[/]

    hepatic sample-data demo

    hepatic sample-data demo --dsa 40 --seed 100 --size full
    """
    from sample_data.write import write_dsa

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("DSA runs", total=dsa)
        written = write_dsa(out, dsa, seed=seed, size=size, variant=variant, progress=lambda: progress.advance(task))
    console.print(f"{len(written)} series in {out / 'studies'}, their truth in {out / 'truth'}", highlight=False)
