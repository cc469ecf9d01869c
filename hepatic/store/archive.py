"""A zip of labelled cases, for download."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hepatic.store.case import LabelledCase
from hepatic.store.disk import TEMPORARY, make_folder, storage
from hepatic.store.names import label_suffix, split_suffix

KEEP_SECONDS = 3600.0


def write_archive(
    cases: Sequence[LabelledCase],
    folder: Path,
    *,
    metadata: str,
    left_out: Mapping[str, str] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Path:
    """Write images, labels and metadata into a new zip in the folder, and return its path.

    ``image/<id><suffix>``, or ``image/<id>/<file>`` for a series; ``label/<id><suffix>``; ``metadata.json``; where
    something is left out, ``left_out.json`` with the reason by image; and the files ``beside`` by name.
    Archives older than an hour are removed: a download that is still under way keeps its open file.

    Raises:
        StorageError: the disk is full or cannot be written; nothing is left of the archive.
    """
    stamp = f"{time.time_ns()}-{os.getpid()}"
    temporary, path = folder / f"{TEMPORARY}{stamp}", folder / f"dataset-{stamp}.zip"
    with storage("write the dataset archive"):
        make_folder(folder)
        for old in folder.iterdir():
            if old.is_file() and time.time() - old.stat().st_mtime > KEEP_SECONDS:
                old.unlink(missing_ok=True)
        try:
            with zipfile.ZipFile(temporary, "w", strict_timestamps=False) as archive:
                for case in cases:
                    for file, name in _image_names(case):
                        archive.write(file, f"image/{name}")
                    archive.write(case.label, f"label/{case.image_id}{label_suffix(case.label.name)}")
                archive.writestr("metadata.json", metadata)
                for name, data in (beside or {}).items():
                    archive.writestr(name, data)
                if left_out:
                    archive.writestr("left_out.json", json.dumps(left_out, indent=1))
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def _image_names(case: LabelledCase) -> list[tuple[Path, str]]:
    """Name the files of an image in the archive; two of one name in a series scattered over folders get a number."""
    if len(case.files) == 1:
        return [(case.files[0], case.image_id + split_suffix(case.files[0].name)[1])]
    unique = len({file.name for file in case.files}) == len(case.files)
    names = [file.name if unique else f"{number:05d}-{file.name}" for number, file in enumerate(case.files)]
    return [(file, f"{case.image_id}/{name}") for file, name in zip(case.files, names, strict=True)]
