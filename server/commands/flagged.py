"""Tells which ultrasound images of an import paper 002 would not learn from, and why; nothing is left out for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from hepatic.errors import HepaticError
from hepatic.store.store import Store

_CLASSIFIED = "US"


def tell_flags(store: Store, image_ids: Sequence[str], console: Console, *, file: Path | None = None) -> None:
    """Print the flags of the ultrasound images among some, and write all that was found as JSON.

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
    table = Table("patient", "image", "flag", "why", "paper 002")
    for image in images:
        for flag in found[image.id]["flags"]:
            table.add_row(image.patient_id, image.description or image.id, flag["flag"], flag["why"], flag["criterion"])
    fit = sum(one["eligible"] for one in found.values())
    if table.row_count:
        console.print(table)
    console.print(f"{fit} of {len(images)} ultrasound images are eligible by the lists of paper 002", highlight=False)
    if file is not None:
        file.write_text(json.dumps(found, indent=1))
