"""Labelled images of a store as one zip, with or without their patients."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hepatic.errors import BadInputError
from hepatic.release.finished import Finished
from hepatic.release.leaving import Leaving
from hepatic.release.quarantine import HeldError, Quarantine
from hepatic.store.archive import KEEP_SECONDS, write_archive
from hepatic.store.case import LabelledCase
from hepatic.store.disk import TEMPORARY, make_folder, remove_stale

_HELD = "held: text may be burnt in, and nobody has approved it"
_UNFIT = "image or label cannot be read, or is of a kind that does not leave; its own site can tell why"
_MISSING = "not to be had: its files have gone, or the PACS does not give them"


def write_with_patients(quarantine: Quarantine, finished: Finished, folder: Path, *, metadata: str) -> Path:
    """Write a zip as ``hepatic.store.archive`` does, of images and labels as they are, and return its path.

    ``left_out.json`` in it names what stays, and why.

    Args:
        quarantine: of the store; what it holds stays.
        finished: the images with their labels.
        folder: for the zip.
        metadata: for ``metadata.json``.

    Raises:
        BadInputError: no image may leave; why the first one does not.
        StorageError: the disk is full or cannot be written.
    """
    left_out, leave = dict(finished.missing), list[LabelledCase]()
    for case in finished.cases:
        try:
            leave.append(replace(case, files=tuple(quarantine.files(case.image_id))))
        except BadInputError as reason:
            left_out[case.image_id] = reason
    if not leave:
        raise next(iter(left_out.values()))
    told = {image_id: str(reason) for image_id, reason in left_out.items()}
    return write_archive(leave, folder, metadata=metadata, left_out=told)


def write_dataset(
    leaving: Leaving, cases: Iterable[LabelledCase], folder: Path, *, missing: Iterable[str] = ()
) -> Path:
    """Write a zip as ``hepatic.store.archive`` does, of images and labels without their patients, and return its path.

    ``deidentification.csv`` in it says what was done; ``left_out.json`` names by their new ids what stays, and why.

    Args:
        leaving: writes the copies.
        cases: the images with their labels.
        folder: for the zip.
        missing: ids of images that are not to be had.

    Raises:
        BadInputError: no image can be read or may leave; why the first one does not.
        StorageError: the disk is full or cannot be written.
    """
    left_out = {leaving.by.pseudonyms.image(image_id): _MISSING for image_id in missing}
    first: BadInputError | None = None
    leave: list[LabelledCase] = []
    told: dict[str, Any] = {}
    make_folder(folder)
    remove_stale(folder, older_than_s=KEEP_SECONDS)
    with TemporaryDirectory(dir=folder, prefix=TEMPORARY) as made:
        for number, case in enumerate(cases):
            new_id = leaving.by.pseudonyms.image(case.image_id)
            place = Path(made) / str(number)
            (place / "image").mkdir(parents=True)
            try:
                files = leaving.image(case.image_id, place / "image")
                label = leaving.label(case, place)
                told[new_id] = leaving.about(case)
            except BadInputError as reason:  # its words may quote what a client or a file said
                first = first or reason
                left_out[new_id] = _HELD if isinstance(reason, HeldError) else _UNFIT
            else:
                leave.append(replace(case, image_id=new_id, files=tuple(files), label=label))
        if not leave and first is not None:
            raise first
        report = {"deidentification.csv": leaving.report.csv()}
        return write_archive(leave, folder, metadata=json.dumps({"objects": told}), left_out=left_out, beside=report)
