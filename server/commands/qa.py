"""``hepatic qa``: propose studies to readers, see how they get on, train on what they said, take it away as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.console import Console

from hepatic.errors import BadInputError
from hepatic.store.disk import put_in_place
from server.commands.client import HERE, Server, asked, check, connected
from server.commands.options import Keep, values
from server.commands.qa_status import tables

app = typer.Typer(help="Click QA on a running server: propose studies, see progress, train on verdicts, export them.")

_API = "qa/api/v1"
_LONG_S = 600.0

Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="KEY=VALUE", help="Option for the training; may be repeated."),
]


@app.command("propose")
def propose(
    study: Annotated[list[str] | None, typer.Argument(help="StudyInstanceUIDs; all CT studies by default.")] = None,
    model: Annotated[str, typer.Option(help="Detector or classifier; ct_centernet3d by default.")] = "",
    server: Server = HERE,
) -> None:
    """Let the detector look at studies, and put them before the readers at /qa.

    [bold]Examples[/]

    hepatic qa propose

    hepatic qa propose 1.2.840.113619.2.1 --model ct_centernet2d
    """
    body = {**({"studies": study} if study else {}), **({"model": model} if model else {})}
    with connected(server) as client:
        job = asked(client, "POST", f"{_API}/propose", json=body)
    _follow(job, f"{job['items']['total']} studies are looked at")


@app.command("known")
def known(
    study: Annotated[
        str, typer.Argument(help="A study whose images are classified; final labels of CT studies without it.")
    ] = "",
    classes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLASS]...", help="The class of all its images, or IMAGE=CLASS of each."),
    ] = None,
    forget: Annotated[bool, typer.Option(help="What is known of the study counts no more.")] = False,
    server: Server = HERE,
) -> None:
    """Say which classes the images of a study truly show, or take final labels of CT studies for the truth.

    Known cases measure readers from then on, who are not told which they are.

    [bold]Examples[/]

    hepatic qa known

    hepatic qa known 1.2.840.113619.2.7 hcc

    hepatic qa known 1.2.840.113619.2.7 still.dcm=hcc cine.dcm=non_hcc
    """
    with connected(server) as client:
        if study:
            body = {"classes": None if forget else _classes(classes or [])}
            told = asked(client, "PUT", f"{_API}/known/{quote(study, safe='')}", json=body)
            Console().print(f"{told['study']}: {'known' if told['known'] else 'not known any more'}.", highlight=False)
            return
        job = asked(client, "POST", f"{_API}/known")
    _follow(job, f"{job['items']['total']} labels are read")


@app.command("status")
def status(server: Server = HERE, as_json: Json = False) -> None:
    """Tell how the harvest goes: studies, minutes, agreement, and what models made of it; lesions, then classes.

    [bold]Example[/]

    hepatic qa status
    """
    with connected(server) as client:
        told = asked(client, "GET", f"{_API}/progress", timeout=_LONG_S)
    if as_json:
        print(json.dumps(told, indent=1))
        return
    for table in tables(told):
        Console().print(table)


@app.command("snapshot")
def snapshot(server: Server = HERE, as_json: Json = False) -> None:
    """Write down what is finished by now; it is what a training learns from, and is final from then on.

    [bold]Example[/]

    hepatic qa snapshot
    """
    with connected(server) as client:
        told = asked(client, "POST", f"{_API}/snapshots", timeout=_LONG_S)
    if as_json:
        print(json.dumps(told, indent=1))
        return
    Console().print(
        f"Snapshot {told['sha256'][:12]}: {told['studies']} studies of {told['patients']} patients "
        f"({told['test']} studies test), "
        f"{told['boxes']} boxes, {told['negatives']} hard negatives, {told['minutes']:.1f} minutes of reading"
        + "".join(f"; classes of {count} images ({note})" for note, count in told.get("labels", {}).items())
        + ".",
        highlight=False,
        soft_wrap=True,
    )


@app.command("train")
def train(
    model: Annotated[str, typer.Option(help="Detector or classifier; ct_centernet3d by default.")] = "",
    param: Params = None,
    server: Server = HERE,
) -> None:
    """Train the detector, or a classifier, on what readers said; it is served if it is not worse.

    [bold]Examples[/]

    hepatic qa train

    hepatic qa train --model us_fll

    hepatic qa train -p max_epochs=20
    """
    body = {**values(param), **({"model": model} if model else {})}
    with connected(server) as client:
        job = asked(client, "POST", f"{_API}/train", json=body, timeout=_LONG_S)
    _follow(job, f"{model or 'The detector'} is trained")


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    format: Annotated[str, typer.Option(help="csv, json, coco, markups, nifti, nnunet, sr or seg (DICOM).")] = "csv",
    study: Annotated[list[str] | None, typer.Option(help="Only this study; may be repeated.")] = None,
    deidentify: Annotated[bool, typer.Option("--deidentify", help="Without names of patients and readers.")] = False,
    keep: Keep = None,
    server: Server = HERE,
) -> None:
    """Take away what was reviewed.

    [bold]Examples[/]

    hepatic qa export verdicts.csv

    hepatic qa export reports.zip --format sr --study 1.2.840.113619.2.1

    hepatic qa export verdicts.csv --deidentify
    """
    query: dict[str, Any] = {"format": format, "study": study or []}
    if deidentify or keep:
        query |= {"deidentify": deidentify, "keep": [option.value for option in keep or ()]}
    temporary = target.with_name(f".{target.name}.part")
    try:
        with (
            connected(server) as client,
            client.stream("GET", f"{_API}/export", params=query, timeout=httpx.Timeout(_LONG_S)) as answer,
        ):
            if answer.is_error:
                answer.read()
            check(answer)
            with temporary.open("wb") as file:
                for part in answer.iter_bytes():
                    file.write(part)
        put_in_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    Console().print(f"{target} is written.", highlight=False)


def _classes(given: list[str]) -> str | dict[str, str]:
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    found = {image: name for image, equals, name in (text.rpartition("=") for text in given) if image and equals}
    if not found or len(found) < len(given):
        raise BadInputError(
            "the classes", expected="one CLASS, or IMAGE=CLASS of each image", came=" ".join(given) or "none",
            fix="Write for example hepatic qa known STUDY hcc.",
        )  # fmt: skip
    return found


def _follow(job: dict[str, Any], what: str) -> None:
    Console().print(
        f"{what}: follow it with [bold]hepatic jobs watch {job['id'][:8]}[/]", highlight=False, soft_wrap=True
    )
