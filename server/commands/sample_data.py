"""``hepatic sample-data``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hepatic.errors import BadInputError

CEUS_SEEDS = 50_000
"""What the seeds of patients with contrast cines begin at: of one seed, the liver is that of a patient without."""


def sample_data(
    out: Annotated[Path, typer.Argument(help="Folder to write to: studies/ and truth/ below it.")],
    dsa: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many DSA runs, one patient each.", show_default="12, or 0 with --ct, --us, --ceus"
        ),
    ] = None,
    ct: Annotated[
        int | None, typer.Option(min=0, help="How many patients with four-phase CT; some have two studies.")
    ] = None,
    us: Annotated[int | None, typer.Option(min=0, help="How many B-mode ultrasound stills, one patient each.")] = None,
    ceus: Annotated[
        int | None,
        typer.Option(min=0, help="How many patients with a contrast-enhanced ultrasound cine and a B-mode still."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first; the others follow.")] = 0,
    size: Annotated[
        Literal["small", "full"],
        typer.Option(
            help="DSA: small 510 x 394, full 1021 x 788 pixels. CT: small 24 x 72 x 96, full 40 x 512 x 512. "
            "Ultrasound: height of the fan, small 336 (cine 208), full 560 (400)."
        ),
    ] = "small",
    variant: Annotated[
        Literal["subtracted", "unsubtracted", "both"], typer.Option(help="With the mask subtracted, without, or both.")
    ] = "subtracted",
    missing: Annotated[float, typer.Option(min=0, max=1, help="Share of CT studies that lack a phase.")] = 0.1,
    swapped: Annotated[float, typer.Option(min=0, max=1, help="Share of CT studies numbered out of order.")] = 0.1,
    misnamed: Annotated[float, typer.Option(min=0, max=1, help="Share of CT studies with badly named phases.")] = 0.1,
) -> None:
    """Write simulated angiographies, CT studies and ultrasound as DICOM, with their truth. No patient is in them.

    [bold]Examples[/]

    hepatic sample-data demo

    hepatic sample-data demo --dsa 40 --seed 100 --size full

    hepatic sample-data demo --ct 20

    hepatic sample-data demo --ct 5 --size full --missing 0 --swapped 0 --misnamed 0

    hepatic sample-data demo --us 30 --ceus 20 --seed 110
    """
    from sample_data.ceus import write_ceus
    from sample_data.ct import Odds, write_ct
    from sample_data.us import write_us
    from sample_data.write import write_dsa

    runs = 12 if (dsa, ct, us, ceus) == (None,) * 4 else dsa
    if not any((runs, ct, us, ceus)):
        asked = "--dsa, --ct, --us and --ceus"
        raise BadInputError(asked, expected="at least one of them", came="0", fix="Ask for --ct 5.")

    console, written = Console(stderr=True), list[str]()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        if runs:
            task = progress.add_task("DSA runs", total=runs)
            ran = partial(progress.advance, task)
            series = write_dsa(out, runs, seed=seed, size=size, variant=variant, progress=ran)
            written.append(f"{len(series)} DSA series")
        if ct:
            patients = progress.add_task("CT patients", total=ct)
            odds = Odds(missing=missing, swapped=swapped, misnamed=misnamed)
            studies = write_ct(out, ct, seed=seed, size=size, odds=odds, progress=partial(progress.advance, patients))
            written.append(f"{len(studies)} CT studies")
        if us:
            stills = progress.add_task("B-mode stills", total=us)
            pictures = write_us(out, us, seed=seed, size=size, progress=partial(progress.advance, stills))
            written.append(f"{len(pictures)} B-mode stills")
        if ceus:
            cines = progress.add_task("CEUS patients", total=ceus)
            ran = partial(progress.advance, cines)
            pairs = write_ceus(out, ceus, seed=seed + CEUS_SEEDS, size=size, progress=ran)
            written.append(f"{len(pairs)} contrast cines, each with a still")
    console.print(f"{' and '.join(written)} in {out / 'studies'}, their truth in {out / 'truth'}", highlight=False)
