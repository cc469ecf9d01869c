"""``hepatic qa``: propose studies to readers, see how they get on, train on what they said, take it away as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from hepatic.store.disk import put_in_place
from server.commands.client import HERE, Server, asked, check, connected
from server.commands.options import Keep, values

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
def known(server: Server = HERE) -> None:
    """Take final labels of studies under review for the truth: they measure readers from then on.

    [bold]Example[/]

    hepatic qa known
    """
    with connected(server) as client:
        job = asked(client, "POST", f"{_API}/known")
    _follow(job, f"{job['items']['total']} labels are read")


@app.command("status")
def status(server: Server = HERE, as_json: Json = False) -> None:
    """Tell how the harvest goes: studies, minutes, agreement, and what the detector made of it.

    [bold]Example[/]

    hepatic qa status
    """
    with connected(server) as client:
        told = asked(client, "GET", f"{_API}/progress", timeout=_LONG_S)
    if as_json:
        print(json.dumps(told, indent=1))
        return
    table = Table("", "", show_header=False, box=None)
    for name, value in _facts(told).items():
        table.add_row(f"[dim]{name}[/]", value)
    Console().print(table)
    if told["versions"]:
        versions = Table("version", "minutes reviewed", "P1TD-1", "P1TD-10", "FROC", "")
        for one in told["versions"]:
            measures = [_measure(one[name]) for name in ("p1td_1", "p1td_10", "froc")]
            versions.add_row(one["version"], f"{one['minutes']:.1f}", *measures, one["state"])
        Console().print(versions)


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
    format: Annotated[str, typer.Option(help="csv, coco, markups, nifti, nnunet, sr or seg (DICOM).")] = "csv",
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


def _follow(job: dict[str, Any], what: str) -> None:
    Console().print(
        f"{what}: follow it with [bold]hepatic jobs watch {job['id'][:8]}[/]", highlight=False, soft_wrap=True
    )


def _facts(told: dict[str, Any]) -> dict[str, str]:
    studies, effort, clicks, agreement = told["studies"], told["effort"], told["clicks"], told["agreement"]
    m = effort["m"]["value"]
    facts = {
        "studies": ", ".join(f"{count} {state}" for state, count in studies.items() if count),
        "sent to boxing": "" if m is None else f"{m:.0%} of {effort['studies_read']}",
        "minutes per study": _number(effort["minutes_per_study"]),
        "minutes spent": ", ".join(f"{_number(value)} {what}" for what, value in effort["spent"].items()),
        "minutes saved": _number(effort["minutes_saved"]),
        "seconds per click": _number(clicks["median_s"]),
        "readers agree": "" if agreement["raw"] is None else f"{agreement['raw']:.0%} of {agreement['candidates']}",
        "hard negatives": "{mined} mined, {used} used, {still_fires} still fire".format(**told["negatives"]),
        "left to do": f"{told['outlook']['minutes']:.0f} minutes, {told['outlook']['studies']} studies",
    }
    return {name: text for name, text in facts.items() if text}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _measure(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return ""
    if value["low"] is None or value["high"] is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
