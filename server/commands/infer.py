"""``hepatic infer``."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hepatic.errors import NotFoundError
from hepatic.store.names import LABEL_SUFFIXES, safe_id, stem_of
from server.cases.warnings import warnings_of
from server.commands.options import App, Conf, Params, app_dir, pairs, values_for


def infer(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files, or ids of images in the studies.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(),
    app: App = Path("apps/hepatic"),
    studies: Annotated[
        str, typer.Option("--studies", "-s", help="Studies whose images and trained models are used; none by default.")
    ] = "",
    conf: Conf = None,
    param: Params = None,
) -> None:
    """Run a model on images, without a server.

    Writes the result file and what is known about it as JSON, named for image and model. Boxes are written as markups
    of 3D Slicer (.mrk.json), or as a labelmap with -p result_extension=.nii.gz. Of a classifier the class, how probable
    it is and what speaks against it are printed; it looks at the box of the label of an image of the studies.
    An option that the model does not take is refused, and those that it takes are named.

    [bold]Examples[/]

    hepatic infer dsa_ltdnet run.dcm --out results

    hepatic infer dsa_ltdnet run1.dcm run2.dcm -o results --studies demo/studies -p key_frame=12
    """
    from server.host import Host
    from server.monai_app import AppSpec
    from server.names import suffix_of
    from server.worker import run_inference

    out.mkdir(parents=True, exist_ok=True)
    with _scratch() as scratch:
        host = Host(AppSpec(str(app_dir(app)), studies or f"{scratch}/studies", pairs(conf, "--conf")), "training")
        if model not in host.models:
            raise NotFoundError(
                "the model", expected=" or ".join(sorted(host.models)), came=model, fix="Choose one of these."
            )
        options = values_for(host.models[model], param)
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(model, total=len(images))
            for image in images:
                path = Path(image)
                if not path.exists() and not studies:
                    raise NotFoundError(
                        path.name, expected="a file that exists", came="none", fix="Correct it, or name the --studies."
                    )
                known = {} if path.exists() else {"image_id": host.image_id(image)}
                if known:
                    path = host.image_path(known["image_id"])
                request = {"image": str(path.absolute()), "result_extension": ".nrrd", **known, **options}
                result = run_inference(host.app, {**request, "model": model})
                stem = safe_id(f"{stem_of(Path(image).name)}_{model}")
                (out / f"{stem}.json").write_text(json.dumps(result["params"], indent=1), "utf-8")
                file = result["file"]
                if file is not None:
                    suffix = suffix_of(file, LABEL_SUFFIXES, "the result")
                    target = out / (stem + (".mrk.json" if suffix == ".json" else suffix))  # STEM.json is said above
                    shutil.move(file, target)
                    console.print(f"{image} → {target}", highlight=False)
                else:
                    console.print(f"{image} → {out / stem}.json", highlight=False)
                _tell(host.models[model], result["params"], console)
                progress.advance(task)


def _tell(model: Any, params: Mapping[str, Any], console: Console) -> None:
    """Print what a classifier says of an image, and what speaks against it."""
    from hepatic.tasks.spec import ClassificationTask

    task = getattr(model, "task", None)
    if isinstance(task, ClassificationTask):
        probability = task.by_class(params["probabilities"])[params["result"]]
        console.print(f"  {params['result']}: {probability:.0%}", highlight=False)
        for warning in warnings_of(params, absent=task.absent):
            console.print(f"  [yellow]{warning}[/]", highlight=False)


@contextmanager
def _scratch() -> Iterator[str]:
    """Let temporary files, which models write results to, go to a folder that is deleted."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="hepatic-") as folder:
        tempfile.tempdir = folder
        try:
            yield folder
        finally:
            tempfile.tempdir = before
