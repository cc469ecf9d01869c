"""``hepatic import-dir``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hepatic.errors import BadInputError, HepaticError, NotFoundError
from hepatic.store.disk import sha256_of
from hepatic.store.label import FINAL, Label
from hepatic.store.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, check_tag, split_suffix, stem_of

if TYPE_CHECKING:
    from hepatic.adapters.datastore import HepaticDatastore

_SEGMENTATION = ".seg.nrrd"
_LABELMAPS = tuple(suffix for suffix in LABEL_SUFFIXES if not suffix.endswith(".json"))


def import_dir(
    source: Annotated[Path, typer.Argument(help="Folder with images, and with labels as *.seg.nrrd.")],
    studies: Annotated[Path, typer.Option("--studies", "-s", help="Folder of the studies to import into.")],
    labels: Annotated[Path | None, typer.Option(help="Folder whose files are all labels.")] = None,
    tag: Annotated[str, typer.Option(help="Tag of the labels.")] = FINAL,
    author: Annotated[str, typer.Option(help="Who made the labels.")] = "",
    first: Annotated[int | None, typer.Option(min=1, help="Take only so many labels, in the order of names.")] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Save a new version of labels that are there, which may hide readers' corrections."
        ),
    ] = False,
) -> None:
    """Copy images and labels from elsewhere into the studies.

    Names of classes in the labels of ultrasound images are noted, which classifiers are trained on.
    A label belongs to the image whose id, or whose file name without suffix, is its own file name without suffix.
    What is there already is left as it is: an image that has or had a label with this tag gets none, unless you ask
    for it with --replace.

    [bold]Examples[/]

    hepatic import-dir demo/truth --studies demo/studies --first 4 --author "phantom truth"

    hepatic import-dir images --labels masks --studies studies --author "Dr. K"
    """
    from hepatic.adapters.datastore import HepaticDatastore

    for folder in (source, labels):
        if folder is not None and not folder.is_dir():
            raise NotFoundError("the folder to import", expected="a folder", came=str(folder), fix="Correct the path.")
    check_tag(tag)
    files = list(_files(source, IMAGE_SUFFIXES, bare=True))
    masks = [file for file in files if file.name.endswith(_SEGMENTATION)]
    pictures = [file for file in files if file not in set(masks)]
    if labels is not None:
        masks += _files(labels, _LABELMAPS)
    studies.mkdir(parents=True, exist_ok=True)
    datastore = HepaticDatastore(studies, auto_rescan_seconds=None)
    console = Console(stderr=True)
    by_stem = {stem_of(info["name"]): image_id for image_id, info in _infos(datastore)}
    images = kept = left = noted = 0
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console) as progress:
        task = progress.add_task("images", total=len(pictures))
        for file in pictures:
            image_id = _add_image(datastore, file, console)
            if image_id is not None:
                by_stem[stem_of(file.name)] = image_id
                images += 1
            progress.advance(task)
        known = set(datastore.list_images())
        wanted = [(mask, name if (name := stem_of(mask.name)) in known else by_stem.get(name)) for mask in masks]
        matched = [(mask, image_id) for mask, image_id in wanted if image_id is not None][:first]
        task = progress.add_task("labels", total=len(matched))
        for mask, image_id in matched:
            versions = datastore.label_versions(image_id, tag)
            if versions and not replace:
                left += 1
                noted += tag == FINAL and _note_unsaid(datastore, mask, versions)
            else:
                kept += _add_label(datastore, mask, image_id, tag, author)
            progress.advance(task)
    strays = [mask.name for mask, image_id in wanted if image_id is None]
    if strays:
        console.print(f"[yellow]{len(strays)} labels belong to no image here, for example {strays[0]}[/]")
    if noted:
        console.print(f"classes of {noted} labels that were there already were noted", highlight=False)
    if left:
        console.print(f"{left} labels were there already and were left as they are (see --replace)", highlight=False)
    console.print(f"{images} images and {kept} labels were imported into {studies}", highlight=False)


def _files(folder: Path, suffixes: tuple[str, ...], *, bare: bool = False) -> Iterator[Path]:
    """Yield the files with one of these suffixes, and with ``bare`` those without any, as DICOM files often are."""
    for file in sorted(folder.rglob("*")):
        fits = file.name.lower().endswith(suffixes) or (bare and not split_suffix(file.name)[1])
        if file.is_file() and fits and not file.name.startswith("."):
            yield file


def _infos(datastore: HepaticDatastore) -> list[tuple[str, dict[str, Any]]]:
    return [(image_id, datastore.get_image_info(image_id)) for image_id in datastore.list_images()]


def _add_image(datastore: HepaticDatastore, file: Path, console: Console) -> str | None:
    try:
        return datastore.add_image(stem_of(file.name), str(file), {})
    except HepaticError as refused:
        console.print(f"[yellow]left out:[/] {file.name}: {refused}", highlight=False)
        return None


def _note_unsaid(datastore: HepaticDatastore, mask: Path, versions: Sequence[Label]) -> bool:
    """Note the classes of a label that is there already, if this very file was imported as one of its versions."""
    from server.commands.noted import note_unsaid

    sha256 = sha256_of(mask)
    own = [one.version for one in versions if one.sha256 == sha256]
    return note_unsaid(datastore.store, versions[0].image_id, max(own, default=0))


def _add_label(datastore: HepaticDatastore, mask: Path, image_id: str, tag: str, author: str) -> int:
    """Save a label unless the same file is there already; return how many were saved."""
    from hepatic.io.labelmap import read_labelmap
    from server.commands.noted import note_classes

    if datastore.get_labels_by_image_id(image_id).get(tag):
        present = Path(datastore.get_label_uri(image_id, tag))
        if present.is_file() and present.read_bytes() == mask.read_bytes():
            return 0
    info: dict[str, Any] = {"author": author} if author else {}
    try:
        names = read_labelmap(mask).names
    except BadInputError as unreadable:
        raise BadInputError(mask.name, expected="a label", came=unreadable.came, fix=unreadable.fix) from unreadable
    info["label_info"] = [
        {"name": name, "idx": value} for name, value in sorted(names.items(), key=lambda entry: entry[1])
    ]
    datastore.save_label(image_id, str(mask), tag, info)
    if tag == FINAL:
        note_classes(datastore.store, image_id)
    return 1
