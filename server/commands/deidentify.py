"""``hepatic deidentify``: images and folders without their patients, and who is who, for those who may know."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from hepatic.errors import BadInputError, NotFoundError
from hepatic.settings import is_url
from hepatic.store.label import FINAL
from server.commands.options import OUR_APP, Keep, Studies
from server.monai_app import AppSpec

if TYPE_CHECKING:
    from hepatic.release.files import Report
    from hepatic.store.store import Store

app = typer.Typer(
    help="Let images leave without their patients (PS3.15), and look up who is who.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

StudiesFolder = Annotated[
    Path, typer.Option("--studies", "-s", help="Folder of the studies; its data folder has the key.")
]
ReportFile = Annotated[Path | None, typer.Option("--report", help="CSV file: what was done to which attribute.")]


_SOMETHING_STAYED = 1
"""Exit code where the rest was written."""


@app.command("folder")
def folder(
    source: Annotated[Path, typer.Argument(help="Folder of DICOM files.")],
    target: Annotated[Path, typer.Argument(help="Folder to write into, as patient/study/series/object.dcm.")],
    studies: StudiesFolder,
    keep: Keep = None,
    report: ReportFile = None,
) -> None:
    """De-identify a folder of DICOM files: images, segmentations and structured reports.

    Everything else is left out, and so are pictures with text in their pixels: import these, approve them (hepatic
    quarantine) and export them from there. What is left out is listed, with exit code 1.

    [bold]Example[/]

    hepatic deidentify folder /media/cdrom out --studies studies --keep modified-dates --report report.csv
    """
    from hepatic.importers.folder import files_below
    from hepatic.release.deidentify import Deidentifier
    from hepatic.release.files import deidentify_folder
    from hepatic.release.pseudonyms import Pseudonyms
    from hepatic.settings import settings

    if source.is_file():
        raise BadInputError(
            "IN",
            expected="a folder of DICOM files",
            came="a file",
            fix="Unpack an archive first; of a server's dataset only images in DICOM leave so, without labels; ask "
            "the server for GET /datastore/dataset?deidentify=true, or use hepatic deidentify export, which keep them.",
        )
    for one in (source, studies):  # a key is not drawn for a mistyped name
        if not one.is_dir():
            raise NotFoundError("the folder", expected="a folder", came=str(one), fix="Correct the path.")
    pseudonyms = Pseudonyms.of(settings().data_dir(studies.absolute()))
    made = deidentify_folder(files_below(source), target, Deidentifier(pseudonyms, frozenset(keep or ())))
    _told(made, target, report)


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="Folder to write into, as patient/study/series.")],
    studies: Studies,
    image: Annotated[
        list[str] | None,
        typer.Option(help="Id of an image; may be repeated. All by default; of a PACS those with a label or review."),
    ] = None,
    keep: Keep = None,
    report: ReportFile = None,
) -> None:
    """Export images of the studies, with their final labels and what was reviewed beside them, without their patients.

    Pictures that are held stay until they are approved (hepatic quarantine). What stays is listed, with exit code 1.

    [bold]Example[/]

    hepatic deidentify export out --studies studies --keep modified-dates --keep descriptors

    hepatic deidentify export out --studies http://localhost:8042/dicom-web
    """
    from hepatic.pacs.error import PacsDownError, PacsError
    from hepatic.release.leaving import Leaving, Left
    from server.reviews_leaving import images_of, reviews_of, write_reviews

    target.mkdir(parents=True, exist_ok=True)
    with _store(studies) as store:
        leaving = Leaving(store, keep or ())
        labelled = store.labels.labelled(FINAL)
        reviews = reviews_of(store.data)
        reviewed = store.images.known([one for review in reviews for one in images_of(review)])
        wanted = dict.fromkeys([*labelled, *reviewed]) if is_url(studies) else store.images.ids()
        has_label = set(labelled)
        left: dict[str, Left] = {}
        for one in map(store.images.get, wanted if image is None else image):
            try:
                cases = store.labelled_cases(FINAL, only=[one.id]) if one.id in has_label else ()
                left[one.id] = leaving.export(one, target, label=next(iter(cases), None))
            except (BadInputError, PacsError) as reason:
                if isinstance(reason, PacsDownError):
                    store.check_reachable(one.id)
                leaving.report.left_out[one.id] = str(reason)
        write_reviews(reviews, left, leaving, store)
    _told(leaving.report, target, report)


@app.command("lookup")
def lookup(
    pseudonym: Annotated[str, typer.Argument(help="A PatientID or StudyInstanceUID of what left.")],
    studies: Studies,
) -> None:
    """Tell whom a pseudonym stands for; that it was asked is in the audit log.

    Only who may read the data folder can: the list is closed to others. On a server, an admin asks
    GET /deidentify/PSEUDONYM.

    [bold]Example[/]

    hepatic deidentify lookup HEP-QAZ2WSX3EDC4RFV5 --studies studies
    """
    from hepatic.release.pseudonyms import Pseudonyms
    from server.access.access import audit_dir
    from server.access.audit import AuditLog, Entry

    data = AppSpec(str(OUR_APP), studies).data_dir
    if not data.is_dir():
        raise NotFoundError(
            "--studies", expected="studies that were served here", came=studies, fix="Correct the path."
        )
    log = AuditLog(audit_dir(data))
    log.open()
    try:
        log.add(
            Entry(
                "command", "deidentify lookup", who=getpass.getuser(), by="command line", ids={"pseudonym": pseudonym}
            )
        ).result()
    finally:
        log.close()
    found = Pseudonyms.of(data).lookup(pseudonym)
    Console().print(f"{found.kind} {escape(found.original)}, since {found.at}", highlight=False)


def _told(made: Report, target: Path, report: Path | None) -> None:
    """Show what was done, and write it where that is asked for."""
    if report is not None:
        report.write_bytes(made.csv())
    table = Table("Attribute", "What was done", Column("Elements", justify="right"))
    for keyword, action, count in made.rows():
        table.add_row(keyword, action, str(count))
    console = Console()
    if made.done and report is None:
        console.print(table)
    for name, reason in made.left_out.items():
        console.print(f"[yellow]left out:[/] {escape(f'{name}: {reason}')}", highlight=False)
    console.print(
        f"{made.objects['written']} files are in {target}; left out: {len(made.left_out)}.",
        highlight=False,
        soft_wrap=True,
    )
    if made.left_out and not made.objects["written"]:
        raise BadInputError(
            "the export", expected="something that may leave", came="nothing", fix="See the lines above."
        )
    if made.left_out:
        raise typer.Exit(_SOMETHING_STAYED)


@contextmanager
def _store(studies: str) -> Iterator[Store]:
    from hepatic.io.header import header
    from hepatic.io.refusal import NotAnImageError
    from hepatic.store.folder import FolderStore

    store: Store
    if is_url(studies):
        from hepatic.adapters.datastore import HepaticDatastore

        store = HepaticDatastore(studies, auto_rescan_seconds=None).store
    elif Path(studies).is_dir():
        store = FolderStore(Path(studies), header=header, not_images=(NotAnImageError,))
        store.rescan()
    else:
        raise NotFoundError("--studies", expected="a folder, or a URL", came=studies, fix="Correct the path.")
    try:
        yield store
    finally:
        store.close()
