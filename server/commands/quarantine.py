"""``hepatic quarantine``: pictures with burnt-in text, and who lets them leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from hepatic.errors import BadInputError, NotFoundError
from server.commands.options import console_for_tables

if TYPE_CHECKING:
    from hepatic.release.quarantine import Held, Quarantine

app = typer.Typer(
    help="Black out burnt-in text, and let pictures leave in exports.", no_args_is_help=True, rich_markup_mode="rich"
)

StudiesFolder = Annotated[Path, typer.Option("--studies", "-s", help="Folder of the studies.")]
By = Annotated[str, typer.Option("--by", help="Who looked at it.")]


@app.command("list")
def list_held(
    studies: StudiesFolder,
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that are approved, too.")] = False,
) -> None:
    """List the pictures that may not leave yet: those that say YES to burnt-in text, or do not say.

    [bold]Example[/]

    hepatic quarantine list --studies demo/studies
    """
    image = Column("Image", overflow="fold")
    table = Table(image, "Series", "Burnt-in text", "State")
    with _quarantine(studies) as quarantine:
        for one in quarantine.held():
            if one.state == "held" or all_of_them:
                table.add_row(one.image_id, escape(one.description), one.said, escape(_state(one)))
    console_for_tables().print(table if table.row_count else "Nothing is held.")


@app.command("show")
def show(
    image: Annotated[str, typer.Argument(help="Id of the image.")],
    studies: StudiesFolder,
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("proposal.png"),
) -> None:
    """Draw what would be blacked out, in red over the brightest of all frames; look for names that are left.

    [bold]Example[/]

    hepatic quarantine show 1.2.840.113619.2.1 --studies demo/studies --out proposal.png
    """
    from server.cases.pictures import mask_png

    with _quarantine(studies) as quarantine:
        proposal = quarantine.propose(image)
    out.write_bytes(mask_png(proposal.picture, proposal.mask))
    Console().print(f"{out} is written: {proposal.mask.mean():.0%} would be black. It shows what is burnt in: keep it.")


@app.command("approve")
def approve(
    image: Annotated[list[str], typer.Argument(help="Ids of images; look at each before.")],
    studies: StudiesFolder,
    by: By,
    box: Annotated[
        list[str] | None, typer.Option(help="LEFT,TOP,RIGHT,BOTTOM in pixels: more to black out; may be repeated.")
    ] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Black out nothing: there is no text in it.")] = False,
) -> None:
    """Let pictures leave in exports, what was proposed (and the boxes) blacked out; the originals stay as they are.

    [bold]Examples[/]

    hepatic quarantine approve 1.2.840.113619.2.1 --studies demo/studies --by "Dr. K"

    hepatic quarantine approve 1.2.840.113619.2.1 --studies demo/studies --by "Dr. K" --box 200,150,290,170
    """
    boxes = [_box(text) for text in box or []]
    with _quarantine(studies) as quarantine:
        for image_id in image:
            made = quarantine.approve(image_id, by=by, boxes=boxes, as_is=as_is)
            black = "nothing" if as_is else f"{made.share:.0%}"
            Console().print(f"{image_id} may leave: {black} of it is black.", highlight=False)


@app.command("withdraw")
def withdraw(
    image: Annotated[list[str], typer.Argument(help="Ids of images.")], studies: StudiesFolder, by: By
) -> None:
    """Hold pictures again that were approved.

    [bold]Example[/]

    hepatic quarantine withdraw 1.2.840.113619.2.1 --studies demo/studies --by "Dr. K"
    """
    with _quarantine(studies) as quarantine:
        for image_id in image:
            quarantine.withdraw(image_id, by=by)
            Console().print(f"{image_id} is held again.", highlight=False)


def _state(one: Held) -> str:
    """Say whether a picture is held, or who let it leave with how much of it black."""
    if one.approval is None:
        return one.state
    black = "nothing" if one.approval.as_is else f"{one.approval.share:.0%}"
    return f"{one.state} by {one.approval.by}, {black} black"


def _box(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(
            "--box", expected="LEFT,TOP,RIGHT,BOTTOM", came=text[:40], fix="Write for example --box 0,0,300,24."
        ) from None
    return left, top, right, bottom


@contextmanager
def _quarantine(studies: Path) -> Iterator[Quarantine]:
    from hepatic.io.header import header
    from hepatic.io.refusal import NotAnImageError
    from hepatic.release.quarantine import Quarantine
    from hepatic.store.folder import FolderStore

    if not studies.is_dir():
        raise NotFoundError("--studies", expected="a folder", came=str(studies), fix="Correct the path.")
    store = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    try:
        store.rescan()
        yield Quarantine(store)
    finally:
        store.close()
