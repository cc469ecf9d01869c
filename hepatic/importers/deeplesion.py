"""DeepLesion: pieces of CT as 16-bit PNG slices, lesions measured by RECIST on one slice each.

``DL_info.csv`` and ``Images_png/PATIENT_STUDY_SERIES/SLICE.png``. Facts: the readme of the data set; Yan et al.,
DeepLesion, J Med Imaging 2018.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hepatic.boxes import Boxes, from_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import Case, DataSet, study_uid_of
from hepatic.importers.folder import nothing_found
from hepatic.io.labelmap import write_atomically
from hepatic.io.nifti import encode_nifti
from hepatic.io.refusal import refusing
from hepatic.io.size import check_size

DATA_SET = DataSet("DeepLesion", "as its publisher states it", "https://nihcc.app.box.com/v/DeepLesion")
SHAPE = "DL_info.csv, and Images_png with a folder PATIENT_STUDY_SERIES of slices (NNN.png) for each series"
LIVER_TYPE = 4
"""Coarse type of liver lesions; 1 bone, 2 abdomen, 3 mediastinum, 5 lung, 6 kidney, 7 soft tissue, 8 pelvis."""

_TABLE, _IMAGES = "DL_info.csv", "Images_png"
_OFFSET = 32768
_AIR_HU = -1024


@dataclass(frozen=True)
class _Lesion:
    """A row of the table.

    Attributes:
        series: PATIENT_STUDY_SERIES.
        key_slice: number of the slice it was measured on.
        diameters: (2, 2, 2), the long and the short one, from (x, y) to (x, y), pixels counted from 1.
        slices: numbers of the first and the last slice there is around it.
        spacing_mm: of x, y and slices.
        size: columns and rows.
    """

    series: str
    key_slice: int
    diameters: NDArray[np.float64]
    slices: tuple[int, int]
    spacing_mm: tuple[float, float, float]
    size: tuple[int, int]


def cases(root: Path) -> Sequence[Case]:
    """Return the pieces of CT around liver lesions; slices that overlap are one piece.

    Only lesions that the table calls liver lesions count, which are those of its validation and test parts: the rest
    has no type (-1). Other lesions of the same slices are not all marked.

    Raises:
        BadInputError: the table is missing or broken, or has no liver lesion.
    """
    by_series: dict[str, list[_Lesion]] = defaultdict(list)
    for lesion in _lesions(root / _TABLE):
        by_series[lesion.series].append(lesion)
    made = [_case(root, piece) for lesions in by_series.values() for piece in _pieces(lesions)]
    return sorted(made, key=lambda case: case.name) or nothing_found(root, SHAPE)


def _case(root: Path, lesions: Sequence[_Lesion]) -> Case:
    series = lesions[0].series
    first, last = min(one.slices[0] for one in lesions), max(one.slices[1] for one in lesions)
    patient, study, _ = series.split("_")
    return Case(
        name=f"deeplesion-{series}-{first:03d}-{last:03d}",
        origin=f"{series}, slices {first} to {last}",
        patient_id=f"DeepLesion-{patient}",
        study_uid=study_uid_of("DeepLesion", patient, study),
        image=lambda scratch: [_stack(root / _IMAGES / series, first, last, lesions[0], scratch)],
        boxes=_boxes(lesions, last),
        known="positives_only",
        facts={"depth_of_boxes": "taken to be the short diameter: RECIST measures on one slice"},
    )


def _boxes(lesions: Sequence[_Lesion], last: int) -> Callable[[Grid], Boxes]:
    """Return boxes around ellipsoids with the two diameters as axes and the short one as the third, across slices."""

    def read(grid: Grid) -> Boxes:
        corners = []
        for lesion in lesions:
            middle = lesion.diameters.reshape(-1, 2).mean(axis=0) - 0.5  # pixels from 0, edge to edge
            half = np.sqrt((np.diff(lesion.diameters, axis=1)[:, 0] ** 2).sum(axis=0)) / 2
            lengths_mm = np.linalg.norm(np.diff(lesion.diameters, axis=1)[:, 0] * lesion.spacing_mm[:2], axis=1)
            deep = max(float(lengths_mm.min()) / lesion.spacing_mm[2], 1.0) / 2
            k = last - lesion.key_slice + 0.5
            low, high = max(k - deep, 0.0), min(k + deep, float(grid.size[2]))
            corners.append([low, *(middle - half)[::-1], high, *(middle + half)[::-1]])
        return from_voxels(np.array(corners, np.float64).reshape(-1, 6), grid)

    return read


def _stack(folder: Path, first: int, last: int, about: _Lesion, scratch: Path) -> Path:
    """Write slices as a NIfTI file in HU; numbers rise from head to foot, so the last slice is the lowest.

    Where the piece lay in the patient is not known: its lowest corner is put at the origin.
    """
    columns, rows = about.size
    check_size(folder.name, (columns, rows, last - first + 1), max_pixels=None)
    array = np.empty((last - first + 1, rows, columns), np.int16)
    for k, number in enumerate(range(last, first - 1, -1)):
        path = folder / f"{number:03d}.png"
        with refusing(path, expected="a slice of 16-bit grey values"), Image.open(path, formats=["PNG"]) as picture:
            if picture.size != (columns, rows) or not picture.mode.startswith("I"):
                raise BadInputError(
                    f"{folder.name}/{path.name}",
                    expected=f"{columns} x {rows} pixels of 16 bits",
                    came=f"{picture.size[0]} x {picture.size[1]} of mode {picture.mode}",
                    fix="Get the file again.",
                )
            array[k] = np.maximum(np.asarray(picture, np.int32) - _OFFSET, _AIR_HU)
    affine = np.diag([*about.spacing_mm, 1.0])
    path = scratch / "image.nii.gz"
    write_atomically(path, encode_nifti(array, Grid((columns, rows, len(array)), affine), compress=True))
    return path


def _pieces(lesions: Sequence[_Lesion]) -> Iterator[list[_Lesion]]:
    """Yield the lesions of a series in groups whose slices overlap."""
    ordered = sorted(lesions, key=lambda one: one.slices)
    piece = ordered[:1]
    for lesion in ordered[1:]:
        if lesion.slices[0] <= max(one.slices[1] for one in piece) + 1:
            piece.append(lesion)
        else:
            yield piece
            piece = [lesion]
    yield piece


def _lesions(table: Path) -> Iterator[_Lesion]:
    with refusing(table, expected="the table of DeepLesion"), table.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                if int(row["Coarse_lesion_type"]) == LIVER_TYPE and int(row["Possibly_noisy"]) == 0:
                    yield _lesion(row)
            except (KeyError, ValueError, TypeError, AttributeError) as broken:
                raise BadInputError(
                    f"{table.name}, line {number}",
                    expected="the columns of DeepLesion",
                    came="others, or values that are none",
                    fix="Get the file again.",
                ) from broken


def _lesion(row: Mapping[str, str]) -> _Lesion:
    series = row["File_name"].rpartition("_")[0]
    if [part.isdigit() for part in series.split("_")] != [True] * 3:  # it becomes a folder's name
        raise ValueError(series)
    points = _numbers(row["Measurement_coordinates"], 8)
    x, y, z = _numbers(row["Spacing_mm_px_"], 3)
    first, last = (int(value) for value in _numbers(row["Slice_range"], 2))
    key_slice = int(row["Key_slice_index"])
    columns, rows = (int(value) for value in _numbers(row["Image_size"], 2))
    if not (min(x, y, z) > 0 and 0 < first <= key_slice <= last and min(columns, rows) > 0):
        raise ValueError(row["File_name"])
    return _Lesion(series, key_slice, np.reshape(points, (2, 2, 2)), (first, last), (x, y, z), (columns, rows))


def _numbers(text: str, count: int) -> list[float]:
    values = [float(value) for value in text.replace(";", ",").split(",")]
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(text)
    return values
