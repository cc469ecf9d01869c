"""``hepatic models make-demo``: the small weights that come with hepatic, made again from nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

NOTES = (
    "Trained and judged on simulated patients (phantoms). They show that the method "
    "works and say nothing about patients. "
    "Made by: hepatic models make-demo {task} --runs {runs} --first-seed {first_seed} --epochs {epochs} --seed {seed}"
)


def make_demo(
    task: Annotated[str, typer.Argument(help="Name of the model, such as dsa_ltdnet.")],
    out: Annotated[Path, typer.Option(help="Folder of models; the version is added to it.")] = Path(
        "apps/hepatic/models"
    ),
    runs: Annotated[int, typer.Option(min=8, help="Simulated patients, one angiography or CT study each.")] = 320,
    first_seed: Annotated[
        int, typer.Option(help="Seed of the first; no sample data of yours may use the same.")
    ] = 300_000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 9,
    seed: Annotated[int, typer.Option(help="Seed of the training run.")] = 0,
) -> None:
    """Simulate patients, train a model on them from scratch, and keep its weights and card.

    Takes about ten minutes on one CPU core.

    [bold]Example[/]

    hepatic models make-demo dsa_ltdnet --out apps/hepatic/models
    """
    import train_tasks
    from hepatic.engine.fit import FitSettings, fit
    from hepatic.engine.train_network import Progress as Epoch
    from hepatic.engine.weights import Registry
    from hepatic.tasks.discover import discover_recipes
    from server.commands.demo_cases import demo_cases

    recipe = discover_recipes(train_tasks)[task]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with tempfile.TemporaryDirectory(prefix="hepatic-demo-") as folder, Progress(*columns) as bar:
        work = Path(folder)
        simulating = bar.add_task("simulating", total=runs)
        cases = demo_cases(recipe.task, work, runs, first_seed=first_seed, progress=lambda: bar.advance(simulating))
        training = bar.add_task("training", total=None)

        def advance(epoch: Epoch) -> None:
            judged = "" if epoch.value is None else f", tuning {epoch.metric} {epoch.value:.3f}"
            text = f"training ({epoch.stage}): loss {epoch.loss:.3f}{judged}"
            bar.update(training, total=epoch.epochs, completed=epoch.epoch, description=text)

        notes = NOTES.format(task=task, runs=runs, first_seed=first_seed, epochs=epochs, seed=seed)
        result = fit(
            recipe,
            cases,
            registry=Registry(work / "models"),
            runs=work / "runs",
            settings=FitSettings(seed=seed, epochs=epochs, from_scratch=True, notes=notes),
            progress=advance,
        )
        place = out / task / result.version.version
        shutil.copytree(result.version.folder, place)
    console = Console()
    size_mb = (place / "model.safetensors").stat().st_size / 1e6
    console.print(f"{place} ({size_mb:.1f} MB)", highlight=False)
    console.print(
        "On held-out phantoms: " + ", ".join(f"{k} {v:g}" for k, v in result.metrics.items()), highlight=False
    )
