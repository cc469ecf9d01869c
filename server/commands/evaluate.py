"""``hepatic evaluate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hepatic.errors import BadInputError
from server.commands.evaluate_phantoms import RARE
from server.commands.options import App, Conf, app_dir, log_to_terminal, pairs

if TYPE_CHECKING:
    from hepatic.engine.trial_images import Source
    from hepatic.tasks.spec import ClassificationTask


def evaluate(
    model: Annotated[str, typer.Argument(help="us_bmode, us_ceus or us_fll.")],
    studies: Annotated[
        str, typer.Option("--studies", "-s", help="Folder of labelled studies. Without it patients are simulated.")
    ] = "",
    out: Annotated[
        Path, typer.Option(help="Folder of results; what is there already of the same patients is not done again.")
    ] = Path("evaluation"),
    phantoms: Annotated[int, typer.Option(min=20, help="Simulated patients, without --studies.")] = 240,
    rare: Annotated[
        float,
        typer.Option(min=0.02, max=0.5, help="Share of them without HCC (us_bmode, us_ceus); paper 002 has 16/116."),
    ] = RARE,
    presets: Annotated[
        str, typer.Option(help="Presets of the model, with commas. The small ones unless given.", show_default=False)
    ] = "",
    repeats: Annotated[int, typer.Option(min=1, help="Shuffles: of three folds each (us_fll), or 7 : 1 : 2.")] = 3,
    expansion: Annotated[
        str,
        typer.Option(
            help="How the rarer class is expanded (us_bmode, us_ceus), with commas: off (first preset only), training "
            "(patients who train), paper (before the split, which flatters)."
        ),
    ] = "training,off",
    paper: Annotated[
        bool,
        typer.Option(
            help="Do as the papers do where it flatters: expand before the split; choose weights on who judges."
        ),
    ] = False,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of a training; 0 takes the recipe's own.")] = 0,
    imagenet: Annotated[
        str, typer.Option(help="File or folder of torchvision's ImageNet weights to begin with (larger presets).")
    ] = "",
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for prepared images.", show_default="simulated ones: prepared/ below the results"),
    ] = None,
    app: App = Path("apps/hepatic"),
    conf: Conf = None,
) -> None:
    """Train and judge an ultrasound classifier on split after split, and print the tables of papers 002 and 004.

    No model that is served changes. A run that was stopped goes on from its results.

    [bold]Examples[/]

    hepatic evaluate us_fll --phantoms 360

    hepatic evaluate us_bmode && hepatic evaluate us_ceus

    hepatic evaluate us_fll --studies demo/studies --presets paper,resnet50_480,densenet121 --out results
    """
    import train_tasks
    from hepatic.engine.device import choose_device
    from hepatic.engine.start import begin_with_imagenet, imagenet_file
    from hepatic.engine.trial import measures, run_cell
    from hepatic.engine.trial_images import prepare_images
    from hepatic.engine.trial_plan import cells, default_presets
    from hepatic.engine.trial_results import Results, digest
    from hepatic.engine.trial_split import expansions_of
    from hepatic.settings import settings
    from hepatic.tasks.discover import discover_recipes
    from server.commands.evaluate_phantoms import phantoms as simulated
    from server.commands.evaluate_report import report

    log_to_terminal()
    recipes = {
        n: r
        for n, r in discover_recipes(train_tasks).items()
        if r.task.type == "classification" and r.task.modality == "US"
    }
    if model not in recipes:
        raise BadInputError("the model", expected=" or ".join(sorted(recipes)), came=model, fix="Choose one of these.")
    recipe = recipes[model]
    task = cast("ClassificationTask", recipe.task)
    chosen = [name.strip() for name in presets.split(",")] if presets else default_presets(task)
    expansions = expansions_of(expansion)
    for preset in chosen:
        imagenet_file(recipe.preset(preset), imagenet)  # before anything takes long
    several = [preset for preset in chosen if cast("ClassificationTask", recipe.preset(preset).task).members]
    if several:
        raise BadInputError(
            "--presets",
            expected="presets of one network; their copies and ensembles are rows of the table anyway",
            came=several[0],
            fix="Name the members.",
        )
    sources = _labelled(task, studies, app, conf) if studies else simulated(task, phantoms, rare=rare)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    device = choose_device(settings().device)
    with Progress(*columns, console=console) as bar:
        images = {}
        for preset in chosen:
            own = recipe.preset(preset)
            if own.task.pre_fingerprint not in images:
                preparing = bar.add_task(f"images ({preset})", total=len(sources))
                images[own.task.pre_fingerprint] = prepare_images(
                    own,
                    sources,
                    cache=cache or (None if studies else out / "prepared"),
                    progress=lambda: bar.advance(preparing),  # noqa: B023
                )
        first, *others = images.values()
        if any([seen.patient_id for seen in other] != [seen.patient_id for seen in first] for other in others):
            raise BadInputError(
                "the evaluation",
                expected="presets that take the same images",
                came="others",
                fix="Evaluate one preset.",
            )
        results = Results(
            out / f"{model}.json",
            settings={
                "phantoms": not studies,
                "images": digest([source.key for source in sources]),
                "epochs": epochs,
                "imagenet": imagenet,
            },
            patients=[seen.patient_id for seen in first],
            truth=[seen.truth for seen in first],
        )
        plan = list(cells(task, first, presets=chosen, repeats=repeats, expansions=expansions, paper=paper))
        training = bar.add_task("trainings", total=len(plan))
        for cell in plan:
            if cell.name not in results.cells:
                own = recipe.preset(cell.preset)
                epoch = bar.add_task(cell.name, total=None)
                told = run_cell(
                    own,
                    images[own.task.pre_fingerprint],
                    cell.split,
                    seed=cell.seed,
                    epochs=epochs,
                    device=device,
                    begin=partial(begin_with_imagenet, own, place=imagenet),
                    progress=lambda now: bar.update(epoch, total=now.epochs, completed=now.epoch),  # noqa: B023
                )
                bar.remove_task(epoch)
                results.keep(cell.name, told)
            bar.advance(training)
    report(recipe, results, out, measure=lambda truth, told: measures(recipe, truth, told))


def _labelled(task: ClassificationTask, studies: str, app: Path, conf: list[str] | None) -> list[Source]:
    """Final labels and notes of a folder, as they are trained on."""
    from hepatic.adapters.training_cases import cases_for
    from hepatic.engine.cases import ClassCase
    from hepatic.engine.trial_images import Source
    from server.host import Host
    from server.monai_app import AppSpec

    host = Host(AppSpec(str(app_dir(app)), studies, pairs(conf, "--conf")), "training")
    cases = [case for case in cases_for(task, host.datastore) if isinstance(case, ClassCase)]

    def source(case: ClassCase) -> Source:
        return Source(case.content(), case.patient_id, case.truth, lambda _: case)

    return sorted((source(case) for case in cases), key=lambda one: (one.patient_id, one.key))
