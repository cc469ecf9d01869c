"""labelme: a JSON file beside each picture (or with it inside), with polygons, rectangles and circles."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import Case, DataSet, study_uid_of
from hepatic.importers.folder import below, files_below, nothing_found, patient_of
from hepatic.importers.outlines import Points, filled, points_of
from hepatic.importers.stills import JPEG, GreyDepth, as_still
from hepatic.importers.us_dicom import Origin, series_uid_of
from hepatic.io.image import Labelmap
from hepatic.io.refusal import refusing

DATA_SET = DataSet("labelme", "not stated", "not stated")
SHAPE = (
    "JSON files of labelme, and the pictures they name beside them, in a folder for each patient if there are several"
)

_LARGEST_BYTES = 128 << 20
_SIDES = 64  # of the polygon that is drawn for a circle


def cases(root: Path) -> Sequence[Case]:
    """Return the pictures below a folder that labelme wrote a file about; other JSON files are passed over.

    Raises:
        BadInputError: there is none.
    """
    made, depth = [], GreyDepth()
    for path in files_below(root):
        if path.suffix.lower() == ".json":
            content = _read(path)
            if content is not None:
                made.append(_case(root, path, content, depth))
    return made or nothing_found(root, SHAPE)


def _read(path: Path) -> Mapping[str, Any] | None:
    with refusing(path, expected="a labelme file"):
        if path.stat().st_size > _LARGEST_BYTES:
            return None
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return None
    known = isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content
    return content if known else None


def _case(root: Path, path: Path, content: Mapping[str, Any], depth: GreyDepth) -> Case:
    where, patient = path.relative_to(root).as_posix(), patient_of(root, path)
    uid, study = series_uid_of("labelme", root.name, where), study_uid_of("labelme", root.name, patient)
    named = str(content["imagePath"])
    origin = Origin(patient, study, uid, path.stem, JPEG if named.lower().endswith((".jpg", ".jpeg")) else None)
    flags, shapes = content.get("flags"), content["shapes"]
    said = [key for key, value in flags.items() if value is True] if isinstance(flags, dict) else []
    classes = {_name(one) for one in shapes if isinstance(one, dict)}.union(said)
    return Case(
        name=uid,
        origin=where,
        patient_id=patient,
        study_uid=study,
        description=path.stem,
        modality="US",
        image=as_still(partial(_picture, path, named, content), path.name, origin, depth),
        label=_label(where, shapes),
        said=said,
        facts={"classes": sorted(classes), "file": where},
    )


def _picture(path: Path, named: str, content: Mapping[str, Any]) -> Path | bytes:
    """Return the picture a file of labelme is about: beside it, else in it."""
    picture = below(path.parent, Path(named.replace("\\", "/")).as_posix())
    if picture is not None and picture.is_file():
        return picture
    inside = content.get("imageData")
    try:
        data = base64.b64decode(inside, validate=True) if isinstance(inside, str) else b""
    except binascii.Error:
        data = b""
    if not data:
        raise BadInputError(
            path.name, expected="its picture beside it or in it", came="neither", fix="Put the picture beside it."
        )
    return data


def _label(where: str, shapes: Sequence[Any]) -> Callable[[Grid], Labelmap]:
    def read(grid: Grid) -> Labelmap:
        with refusing(Path(where), expected="a labelme file"):
            return filled(where, [(_name(one), _outline(where, one)) for one in shapes], grid)

    return read


def _name(shape: Any) -> str:
    label = shape.get("label")
    return str(label or "lesion").encode(errors="replace").decode().strip().lower()[:64]


def _outline(where: str, shape: Any) -> Points:
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind in ("rectangle", "circle") and isinstance(points, list) and len(points) == 2:
        a, b = points_of(where, [*points, points[0]])[:2]
        if kind == "rectangle":
            return np.array([a, [b[0], a[1]], b, [a[0], b[1]]])
        angles = np.linspace(0, 2 * math.pi, _SIDES, endpoint=False)
        return np.asarray(a + math.dist(a, b) * np.stack([np.cos(angles), np.sin(angles)], 1))
    if kind == "polygon":
        return points_of(where, points)
    raise BadInputError(
        where, expected="polygons, rectangles and circles", came=ascii(kind)[:40], fix="Draw it as a polygon."
    )
