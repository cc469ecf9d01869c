"""``hepatic import``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hepatic.errors import BadInputError, NotFoundError
from hepatic.release.option import Option
from server.commands.options import Keep

if TYPE_CHECKING:
    from hepatic.store.folder import FolderStore

KINDS = (
    "lits",
    "msd-liver",
    "deeplesion",
    "hcc-tace",
    "waw-tace",
    "mct-ltdiag",
    "dicom",
    "nnunet",
    "coco",
    "video",
    "labelme",
    "aul",
)

_DICOM = ("dicom", "hcc-tace")


def import_data(
    kind: Annotated[str, typer.Argument(help=f"What it is: {', '.join(KINDS)}.", metavar="KIND")],
    source: Annotated[
        Path, typer.Argument(help="Folder of the data set, unpacked; for coco and video also the file.", metavar="PATH")
    ],
    studies: Annotated[Path, typer.Option("--studies", "-s", help="Folder of the studies to import into.")],
    first: Annotated[int | None, typer.Option(min=1, help="Take only so many images, in the order of names.")] = None,
    licence: Annotated[str, typer.Option(help="Licence to record, where you know better.")] = "",
    modality: Annotated[
        str, typer.Option(help="CT, MR, ... of images nothing says it of, such as NIfTI beside a coco file.")
    ] = "",
    url: Annotated[str, typer.Option(help="Source to record, likewise.")] = "",
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Take patients out of DICOM before it is kept (PS3.15).")
    ] = False,
    keep_of_them: Keep = None,
    flags: Annotated[
        Path | None, typer.Option(help="JSON file to write: which ultrasound images paper 002 would not learn from.")
    ] = None,
) -> None:
    """Copy a public data set, with patients, masks, boxes and licence, into the studies.

    Nothing is downloaded: get the data set from its publisher, under its licence. What is there already is left as it
    is, so an import that was cut off goes on when it is called again. Masks and boxes become final labels, which
    models are trained on; names of classes in them are noted, which classifiers are trained on. Of ultrasound images it
    is told what paper 002 would not learn from; they are imported all the same.

    [bold]Examples[/]

    hepatic import lits "LITS/Training Batch 1" --studies studies

    hepatic import msd-liver Task03_Liver --studies studies --first 20

    hepatic import dicom /media/cdrom --studies studies --licence "with consent, internal use"

    hepatic import dicom export --studies studies --deidentify --keep modified-dates

    hepatic import video clips --studies studies
    """
    from hepatic.importers.keep import keep
    from hepatic.importers.kinds import IMPORTERS
    from hepatic.io.header import header
    from hepatic.io.image import Modality
    from hepatic.io.refusal import NotAnImageError
    from hepatic.store.folder import FolderStore
    from server.commands.flagged import tell_flags
    from server.commands.noted import note_classes, note_unsaid

    if kind not in IMPORTERS:
        raise BadInputError("KIND", expected=f"one of {', '.join(IMPORTERS)}", came=ascii(kind), fix="See --help.")
    if modality not in ("", *(known := get_args(Modality))):
        raise BadInputError(
            "--modality", expected=f"one of {', '.join(known)}", came=ascii(modality), fix="See --help."
        )
    if not source.exists():
        raise NotFoundError("PATH", expected="a folder", came=str(source), fix="Correct the path.")
    if keep_of_them and not deidentify:
        raise BadInputError("--keep", expected="--deidentify with it", came="--keep alone", fix="Add --deidentify.")
    importer = IMPORTERS[kind]
    data_set = replace(
        importer.data_set, licence=licence or importer.data_set.licence, url=url or importer.data_set.url
    )
    console = Console(stderr=True)
    studies.mkdir(parents=True, exist_ok=True)
    store = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    store.rescan()
    folder = source
    with ExitStack() as closing:
        closing.callback(store.close)
        if deidentify:
            folder = closing.enter_context(_without_patients(source, store, kind, keep_of_them or (), console))
        found = importer.cases(folder)[:first]
        if modality:
            found = [
                replace(case, modality=cast(Modality, modality)) if case.modality == "OT" else case for case in found
            ]
        console.print(f"{data_set.name}: {len(found)} images, {data_set.licence} ({data_set.url})", highlight=False)
        images = labels = boxes = there = refused = noted = 0
        imported: list[str] = []
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("images", total=len(found))
            for case in found:
                outcome = keep(store, data_set, case)
                imported += [outcome.image_id] if outcome.image_id else []
                why = outcome.why
                if outcome.label == "added":
                    try:
                        note_classes(store, outcome.image_id, words=case.said, classes=outcome.classes)
                    except BadInputError as unknown:
                        why = str(unknown)
                elif outcome.label == "there":
                    said, classes = case.said, outcome.classes
                    noted += note_unsaid(store, outcome.image_id, outcome.version, words=said, classes=classes)
                images += outcome.image == "added"
                there += outcome.image == "there"
                labels += outcome.label == "added"
                boxes += outcome.boxes
                if why:
                    refused += 1
                    what = "report left out" if outcome.label in ("added", "there") else "label left out"
                    what = "left out" if outcome.image == "refused" else what
                    console.print(f"[yellow]{what}:[/] {escape(f'{case.origin}: {why}')}", highlight=False)
                progress.advance(task)
        tell_flags(store, imported, console, file=flags)
    if noted:
        console.print(f"classes of {noted} labels that were there already were noted", highlight=False)
    if there:
        console.print(f"{there} images were there already and were left as they are", highlight=False)
    console.print(
        f"{images} images and {labels} labels with {boxes} lesions were imported into {studies}", highlight=False
    )
    if refused and not images and not there:
        raise BadInputError(
            str(source), expected=f"{data_set.name} as published: {importer.shape}", came="images that cannot be used",
            fix="See the lines above.",
        )  # fmt: skip


@contextmanager
def _without_patients(
    source: Path, store: FolderStore, kind: str, options: Collection[Option], console: Console
) -> Iterator[Path]:
    """Yield a folder with the DICOM files of another, their patients taken out; it is gone afterwards."""
    from hepatic.importers.folder import files_below
    from hepatic.release.deidentify import Deidentifier
    from hepatic.release.files import deidentify_folder
    from hepatic.release.pseudonyms import Pseudonyms
    from hepatic.store.disk import TEMPORARY, make_folder

    if kind not in _DICOM:
        raise BadInputError(
            "--deidentify", expected=f"a data set in DICOM ({', '.join(_DICOM)})", came=kind,
            fix="Leave it out: no header of the other data sets names a patient.",
        )  # fmt: skip
    make_folder(store.data / "incoming")
    with TemporaryDirectory(dir=store.data / "incoming", prefix=TEMPORARY) as made:
        by = Deidentifier(Pseudonyms.of(store.data), frozenset(options))
        report = deidentify_folder(files_below(source), Path(made), by, header_only=True)
        for file, why in report.left_out.items():
            console.print(f"[yellow]left out:[/] {escape(f'{file}: {why}')}", highlight=False)
        yield Path(made)
