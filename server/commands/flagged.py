"""Tells which ultrasound images of an import paper 002 would not learn from, and why; nothing is left out for it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from hepatic.errors import HepaticError
from hepatic.store.store import Store

_CLASSIFIED = "US"


def tell_flags(store: Store, image_ids: Sequence[str], console: Console, *, file: Path | None = None) -> None:
    """Print how many ultrasound images among some have which flag, and write all that was found as JSON.

    Args:
        store: of the images.
        image_ids: those that were imported.
        console: to print on.
        file: for the JSON, by image: ``eligible``, ``said`` and ``flags``, or ``error``.
    """
    images = store.images.all(image_ids, modality=_CLASSIFIED)
    if not images:
        return  # saves loading the tasks

    from hepatic.harvest.noted_class import examined
    from hepatic.tasks.spec import ClassificationTask
    from server.commands.noted import tasks

    classifiers = [task for task in tasks() if isinstance(task, ClassificationTask) and task.modality == _CLASSIFIED]
    notes = {task.note: task.absent for task in classifiers}
    found = {}
    for image in track(images, "flags", console=console):
        try:
            found[image.id] = examined(store, image.id, notes).as_json()
        except HepaticError as refused:
            found[image.id] = {"eligible": False, "said": "", "flags": [], "error": str(refused)}
    whys: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in found.values():
        for flag in one["flags"]:
            whys[flag["flag"], flag["criterion"]].append(flag["why"])
        if "error" in one:
            whys["cannot be examined", ""].append(one["error"])
    table = Table("flag", "images", "for example", "paper 002")
    for (name, criterion), said in whys.items():
        table.add_row(name, str(len(said)), escape(said[0]), criterion)
    fit = sum(one["eligible"] for one in found.values())
    if table.row_count:
        console.print(table)
    more = "; --flags FILE names the others" if file is None and fit < len(images) else ""
    console.print(
        f"{fit} of {len(images)} ultrasound images are eligible by the lists of paper 002, "
        f"which only presets of us_ceus ask for (docs/ultrasound.md){more}",
        highlight=False,
    )
    if file is not None:
        file.write_text(json.dumps(found, indent=1))
