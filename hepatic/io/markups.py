"""Boxes from and to 3D Slicer's markups files (.mrk.json, .json), one ROI each.

What is written follows Slicer's markups schema 1.0.3: LPS, millimetres, axis-aligned. What Slicer saves may be RAS, and
turned; a turned ROI becomes the box around it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.io.refusal import refusing

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_WHAT = "a markups file of 3D Slicer"
_LARGEST_BYTES = 32 << 20
_FIX = "Save the regions of interest again in 3D Slicer."
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])

Box = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class ROI:
    """A box somebody or something drew.

    Attributes:
        box: (x, y, z, x, y, z), LPS millimetres, the lowest corner first.
        label: what a person reads beside it.
        about: what a program must know of it, such as ``candidate``, ``score`` and ``class``; JSON-able. It travels in
            the description of the control point, because the MONAI Label extension renames every ROI it loads.
    """

    box: Box
    label: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


def encode_rois(rois: Sequence[ROI]) -> bytes:
    """Return a markups file with one ROI node per box; Slicer's MONAI Label extension loads them all at once.

    Raises:
        BadInputError: a box without extent, or with a corner that is no number.
    """
    markups = [_markup(roi, number) for number, roi in enumerate(rois, start=1)]
    return json.dumps({"@schema": SCHEMA, "markups": markups}, indent=1, allow_nan=False).encode()


def read_rois(path: Path) -> list[ROI]:
    """Read the ROIs of a markups file; other markups, such as points and lines, are passed over.

    Raises:
        NotFoundError: the file is not there.
        BadInputError: no markups file, or an ROI without centre, size or a known coordinate system.
    """
    with refusing(path, expected=_WHAT):
        if path.stat().st_size > _LARGEST_BYTES:
            raise _refusal(path.name, "a markups file of up to 32 MiB", "a larger one")
        data = path.read_bytes()
    try:
        content = json.loads(data)
        markups = content["markups"]
        return [_roi(one, path.name) for one in markups if one["type"] in ("ROI", "vtkMRMLMarkupsROINode")]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadInputError):
            raise
        raise _refusal(path.name, _WHAT, "something else") from error


def _markup(roi: ROI, number: int) -> dict[str, Any]:
    low, high = np.array(roi.box[:3], np.float64), np.array(roi.box[3:], np.float64)
    if len(roi.box) != 6 or not np.isfinite([low, high]).all() or not (high > low).all():
        raise BadInputError(
            f"box {number}",
            expected="the lowest corner, then the highest, in millimetres",
            came=repr(roi.box)[:80],
            fix="Correct it.",
        )
    centre = ((low + high) / 2).tolist()
    return {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 1,
        "roiType": "Box",
        "center": centre,
        "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
        "size": (high - low).tolist(),
        "insideOut": False,
        "controlPoints": [
            {
                "id": "1",
                "label": roi.label,
                "description": json.dumps(dict(roi.about), allow_nan=False) if roi.about else "",
                "associatedNodeID": "",
                "position": centre,
                "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
        ],
        "measurements": [],
    }


def _roi(markup: Mapping[str, Any], name: str) -> ROI:
    turn = _to_lps(markup, name)
    points = markup.get("controlPoints") or [{}]
    centre = turn @ _numbers(markup.get("center", points[0].get("position")), 3, f"centre of an ROI of {name}")
    size = np.abs(_numbers(markup.get("size"), 3, f"size of an ROI of {name}"))
    axes = _numbers(markup.get("orientation", np.eye(3).ravel().tolist()), 9, f"orientation of an ROI of {name}")
    half = np.abs(turn @ axes.reshape(3, 3)) @ size / 2
    if not (half > 0).all():
        raise _refusal(f"size of an ROI of {name}", "an extent along every axis", str(size.tolist()))
    x, y, z = (centre - half).tolist()
    u, v, w = (centre + half).tolist()
    return ROI((x, y, z, u, v, w), str(points[0].get("label") or ""), _about(points[0].get("description")))


def _to_lps(markup: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    """Return what turns the file's coordinates into LPS; Slicer's default is LPS, its number 0 means RAS."""
    system = str(markup.get("coordinateSystem", "LPS"))
    units = markup.get("coordinateUnits", "mm")
    if system not in ("LPS", "RAS", "0", "1") or (units != "mm" and units != ["mm", "UCUM", "millimeter"]):
        raise _refusal(name, "coordinates in LPS or RAS millimetres", f"{system}, {units}"[:80])
    return _RAS_TO_LPS if system in ("RAS", "0") else np.eye(3)


def _numbers(value: Any, count: int, what: str) -> NDArray[np.float64]:
    sound = isinstance(value, list) and len(value) == count and all(_is_number(one) for one in value)
    if not sound:
        raise _refusal(what, f"{count} numbers", "none" if value is None else repr(value)[:80])
    return np.array(value, np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _about(description: Any) -> dict[str, Any]:
    """Return what ``encode_rois`` wrote; nothing where a person wrote something else."""
    try:
        about = json.loads(description)
    except (TypeError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _refusal(what: str, expected: str, came: str) -> BadInputError:
    return BadInputError(what, expected=expected, came=came, fix=_FIX)
