"""Boxes of lesions in what a reader saved: a labelmap or markups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.boxes import Boxes, from_voxels, to_voxels
from hepatic.engine.whole_image import without_outline
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import read_rois
from hepatic.labels import LIVER, structure


@dataclass(frozen=True, eq=False)
class Lesions:
    """Lesions of an image.

    Attributes:
        boxes: (N, 6), LPS millimetres.
        liver: (K, J, I) bool on the image's grid, lesions not cut out of it; None where the label does not show it.
    """

    boxes: Boxes
    liver: NDArray[np.bool_] | None


class PictureBox(NamedTuple):
    """A box on an ultrasound picture or cine.

    Attributes:
        top, left, bottom, right: in pixels.
        first, past: the frames on which it was drawn, ``past`` being one past the last; of a box of which nobody knows,
            all of them.
    """

    top: float
    left: float
    bottom: float
    right: float
    first: float = 0.0
    past: float = math.inf


def boxes_in_sample(boxes: Iterable[Sequence[float]]) -> dict[str, list[tuple[float, ...]]]:
    """Return ``boxes`` and ``boxes_frames`` of a sample: see ``ClassificationTask.uses_boxes``."""
    known = [PictureBox(*box) for box in boxes]
    return {"boxes": [box[:4] for box in known], "boxes_frames": [box[4:] for box in known]}


def read_lesions(label: Path, grid: Grid, names: Mapping[str, int]) -> Lesions:
    """Read the lesions of a label file.

    Args:
        label: a labelmap, each connected part of a structure in which counts as a lesion, or Slicer markups (.json),
            each ROI in which does. A frame around the whole image (``hepatic.engine.whole_image``) is no lesion.
        grid: of the image.
        names: label value by structure, where the labelmap does not name them itself. Anatomy is no lesion; a labelmap
            nobody names holds lesions only.

    Raises:
        BadInputError: the file cannot be read, does not belong to the image, or says nothing about lesions.
    """
    if label.suffix.lower() == ".json":
        rois = read_rois(label)
        return Lesions(np.array([roi.box for roi in rois], np.float64).reshape(-1, 6), None)
    labelmap = read_labelmap(label, like=grid)
    named = labelmap.names or names
    if named and all(is_anatomy(name) for name in named):
        raise BadInputError(
            label.name,
            expected="a label with lesions, if only an empty one",
            came="only " + ", ".join(sorted(named))[:80],
            fix="Add a segment for lesions; leave it empty where there are none.",
        )
    values = {int(value) for value in np.unique(labelmap.array)} - {0}
    livers = {value for name, value in named.items() if structure(name) == LIVER}
    lesions = values - {value for name, value in named.items() if is_anatomy(name)}
    drawn = without_outline(labelmap.array)
    corners = [corner for value in sorted(lesions) for corner in parts(drawn == value)]
    shown = bool(livers & values)
    return Lesions(
        from_voxels(np.array(corners, np.float64).reshape(-1, 6), grid),
        np.isin(labelmap.array, sorted(livers | lesions)) if shown else None,
    )


def boxes_on_picture(label: Path, grid: Grid, names: Mapping[str, int]) -> list[PictureBox]:
    """Return where the lesions of a label lie on a picture or cine.

    Arguments and errors are those of ``read_lesions``.
    """
    lesions = to_voxels(read_lesions(label, grid, names).boxes, grid).tolist()
    return [PictureBox(top, left, bottom, right, first, past) for first, top, left, past, bottom, right in lesions]


def is_anatomy(name: str) -> bool:
    """Whether a segment's name is that of a structure every patient has."""
    known = structure(name)
    return known is not None and known.is_anatomy


def parts(mask: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Return the boxes of connected parts, corners included: (k, j, i) first and one past the last."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return [(*(axis.start for axis in found), *(axis.stop for axis in found)) for found in ndimage.find_objects(labels)]
