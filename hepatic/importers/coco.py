"""Boxes in COCO's format, on volumes beside the file or on images that are in the studies already.

An image of COCO is a slice of a volume: ``file_name`` is a NIfTI or NRRD file or a folder of DICOM slices below the
JSON file's folder, or the id of an image in the studies; ``slice`` is the index, from 0. ``bbox`` is a box on that
slice; boxes of one ``track_id`` (or ``tracking_uid``) on several slices are one lesion. Where an annotation has
``box_lps_mm``, as hepatic writes it, that is the box.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hepatic.boxes import Boxes, from_voxels
from hepatic.engine.label_boxes import is_anatomy
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import Case, DataSet
from hepatic.importers.folder import below, files_below, nothing_found
from hepatic.io.image import Modality
from hepatic.io.refusal import refusing
from hepatic.store.names import stem_of

DATA_SET = DataSet("COCO", "as its publisher states it", "not stated")
SHAPE = "a COCO file (.json), or a folder with one, and the volumes it names"
_LARGEST_BYTES = 256 << 20
_VOLUMES = (".nii.gz", ".nii", ".nrrd")

_Entry = Mapping[str, Any]


def cases(root: Path) -> Sequence[Case]:
    """Return the volumes that a COCO file names, with their boxes.

    Raises:
        BadInputError: there is no such file, or several, or it is broken.
    """
    path, content = _read(root)
    with refusing(path, expected="a COCO file"):
        return _cases(path, content) or nothing_found(root, SHAPE)


def _cases(path: Path, content: Mapping[str, Any]) -> list[Case]:
    licences = {one.get("id"): str(one.get("name") or "") for one in _list(content, "licenses")}
    named = {one["id"]: str(one.get("name") or "") for one in _list(content, "categories")}
    lesions = {key for key, name in named.items() if not is_anatomy(name)}
    complete = {str(one.get("reference_image")): one.get("complete") is True for one in _list(content, "studies")}
    slices: dict[str, dict[Any, _Entry]] = defaultdict(dict)
    for image in _list(content, "images"):
        slices[str(image["file_name"])][image["id"]] = image
    notes: dict[Any, list[_Entry]] = defaultdict(list)
    for note in _list(content, "annotations"):
        if note.get("category_id") in lesions and not note.get("iscrowd"):
            notes[note.get("image_id")].append(note)
    about = content.get("info")
    said = about.get("modality") if isinstance(about, dict) else None
    made = []
    for name, images in slices.items():
        first = next(iter(images.values()))
        found = [(image, note) for key, image in images.items() for note in notes[key]]
        licence = licences.get(first.get("license"), "")
        is_complete = complete.get(name, not complete)
        made.append(
            Case(
                name=name if below(path.parent, name) is None else f"{path.stem}-{stem_of(name)}",
                origin=name,
                patient_id=str(first.get("patient_id") or f"{path.stem}-{stem_of(name)}"),
                study_uid=str(first.get("study_uid") or ""),
                modality=_modality(first.get("modality", said)),
                image=_image(path.parent, name),
                boxes=_boxes(name, found),
                known="complete" if is_complete else "positives_only",
                said=sorted({named[note["category_id"]] for _, note in found}),
                facts={"licence": licence} if licence else {},
            )
        )
    return made


def _modality(said: object) -> Modality:
    """Return DICOM's modality if it is one; OT, other, where the file does not say."""
    return next((known for known in get_args(Modality) if known == said), "OT")


def _read(root: Path) -> tuple[Path, dict[str, Any]]:
    if root.is_file():
        path = root
    else:
        found = sorted(root.glob("*.json"))
        if len(found) != 1:
            raise BadInputError(
                root.name or str(root), expected=SHAPE, came=f"{len(found)} JSON files", fix="Give the file itself."
            )
        path = found[0]
    with refusing(path, expected="a COCO file"):
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadInputError(path.name, expected="a COCO file", came="a very large file", fix="Split it.")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict) or any(
            not isinstance(one, dict) or "id" not in one for one in _needed(content)
        ):
            raise BadInputError(
                path.name, expected="a COCO file with images and categories", came="something else", fix="Check it."
            )
        if any(not isinstance(image.get("file_name"), str) for image in content["images"]):
            raise BadInputError(path.name, expected="a file_name for each image", came="none", fix="Check it.")
    return path, content


def _needed(content: Mapping[str, Any]) -> list[Any]:
    return [*content["images"], *content["categories"]]


def _list(content: Mapping[str, Any], key: str) -> list[_Entry]:
    value = content.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _image(folder: Path, name: str) -> Callable[[Path], Sequence[Path]]:
    def find(_scratch: Path) -> Sequence[Path]:
        path = below(folder, name)
        if path is None:
            return []  # it should be in the studies
        if path.is_dir():
            return list(files_below(path))
        if not path.name.lower().endswith((*_VOLUMES, ".dcm")):
            raise BadInputError(
                path.name,
                expected="a volume (.nii, .nii.gz, .nrrd, DICOM), slices of which the boxes lie on",
                came="a picture",
                fix="Give the volumes the pictures were made from.",
            )
        return [path]

    return find


def _boxes(name: str, found: Sequence[tuple[_Entry, _Entry]]) -> Callable[[Grid], Boxes]:
    def read(grid: Grid) -> Boxes:
        placed: list[NDArray[np.float64]] = []
        drawn: dict[Any, list[list[float]]] = defaultdict(list)
        for number, (image, note) in enumerate(found):
            if "box_lps_mm" in note:
                placed.append(np.array(_numbers(name, note["box_lps_mm"], 6)))
                continue
            k = _slice(name, image, grid)
            x, y, width, height = _numbers(name, note.get("bbox"), 4)
            lesion = note.get("track_id", note.get("tracking_uid", f"only on this slice {number}"))
            drawn[str(lesion)].append([k, y, x, k + 1, y + height, x + width])
        around = [[*np.min(one, axis=0)[:3], *np.max(one, axis=0)[3:]] for one in map(np.array, drawn.values())]
        boxes = from_voxels(np.array(around, np.float64).reshape(-1, 6), grid)
        return np.concatenate([np.array(placed, np.float64).reshape(-1, 6), boxes])

    return read


def _slice(name: str, image: _Entry, grid: Grid) -> int:
    k = image.get("slice", 0 if grid.size[2] == 1 else None)
    if not isinstance(k, int) or not 0 <= k < grid.size[2]:
        raise BadInputError(
            f"an image of {name}",
            expected=f"a slice from 0 to {grid.size[2] - 1}",
            came=ascii(k)[:40],
            fix="Add 'slice' to the images of the COCO file.",
        )
    return k


def _numbers(name: str, value: Any, count: int) -> list[float]:
    sound = isinstance(value, list) and len(value) == count and all(_is_number(one) for one in value)
    if not sound:
        raise BadInputError(
            f"a box of {name}", expected=f"{count} numbers", came=ascii(value)[:80], fix="Check the COCO file."
        )
    return [float(one) for one in value]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
