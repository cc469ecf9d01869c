"""Labelmaps from and to files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.format import format_of
from hepatic.io.image import Labelmap
from hepatic.io.lattice import onto_grid
from hepatic.io.nifti import encode_nifti, read_nifti
from hepatic.io.nrrd import encode_nrrd_array, read_nrrd_array, read_nrrd_header
from hepatic.io.refusal import refusing
from hepatic.io.segments import flatten, segment_keys

EXPECTED = "a labelmap (.nrrd, .seg.nrrd, .nii, .nii.gz)"
_LARGEST_LABEL = 2**16 - 1


def read_labelmap(path: Path, *, like: Grid | None = None) -> Labelmap:
    """Read labels saved by hepatic or by a viewer.

    Names come from the segments of a ``.seg.nrrd``; other formats have none.

    Args:
        path: .nrrd, .seg.nrrd, .nii or .nii.gz; recognised by content.
        like: the image's grid (index to LPS millimetres) to put the labels on: a crop is padded exactly, another grid
            is resampled by nearest neighbour. None keeps the file's grid.

    Returns:
        Labels as the smallest unsigned integers the file's type allows.

    Raises:
        BadInputError: not a labelmap (values that are not whole or not within 0 to 65535), overlapping or undeclared
            segments, labels that do not overlap ``like``, or a broken file.
    """
    with refusing(path, expected=EXPECTED):
        names: dict[str, int] = {}
        match format_of(path):
            case "nrrd":
                header = read_nrrd_header(path)
                array: NDArray[Any] = _labels(read_nrrd_array(path, header), path)
                array, names = flatten(array, header.fields, path)
                grid = header.grid
            case "nifti":
                volume = read_nifti(path)
                array, grid = _labels(volume.array, path), volume.grid
            case "dicom":
                raise BadInputError(
                    path.name, expected=EXPECTED, came="a DICOM file", fix="Save the labels as .seg.nrrd or .nii.gz."
                )
        if like is not None:
            array, grid = onto_grid(array, grid, like, name=path.name), like
        return Labelmap(array, grid, names)


def names_in(labelmap: Labelmap, told: Mapping[str, int]) -> dict[str, int]:
    """Match the names that a viewer told beside a labelmap to its values.

    3D Slicer counts a segment's ``idx`` over all its segments, but numbers those it exports from 1; the two differ when
    it leaves scribbles out. Where the file holds a value that is nobody's ``idx``, order decides.
    """
    values = {int(value) for value in np.unique(labelmap.array)} - {0}
    if values <= set(told.values()):
        return dict(told)
    return {name: place for place, name in enumerate(sorted(told, key=told.__getitem__), start=1)}


def write_labelmap(path: Path, labelmap: Labelmap, *, compress: bool = True) -> None:
    """Write labels, atomically: readers see the old file or the new one. See ``encode_labelmap``."""
    write_atomically(path, encode_labelmap(path.name, labelmap, compress=compress))


def encode_labelmap(name: str, labelmap: Labelmap, *, compress: bool = True) -> bytes:
    """Return labels as the bytes of a file.

    Args:
        name: .seg.nrrd keeps the names; .nrrd, .nii.gz and .nii do not. ``.nii.gz`` is always compressed.
        labelmap: shape and grid must agree; uint8 stays uint8.
        compress: gzip, for NRRD.

    Raises:
        BadInputError: another suffix, an array that does not fit its grid or holds no unsigned integers.
    """
    lower = name.lower()
    if lower.endswith(".nrrd"):
        return encode_nrrd(labelmap, compress=compress, segments=lower.endswith(".seg.nrrd"))
    if lower.endswith((".nii", ".nii.gz")):
        return encode_nifti(_checked(labelmap), labelmap.grid, compress=lower.endswith(".gz"))
    raise BadInputError(name, expected=EXPECTED, came=f"suffix {Path(name).suffix!r}", fix="Choose one of those.")


def encode_nrrd(labelmap: Labelmap, *, compress: bool = True, segments: bool = False) -> bytes:
    """Return an NRRD file (LPS) of a labelmap.

    Args:
        labelmap: shape and grid must agree.
        compress: gzip at its fastest level, or raw.
        segments: add 3D Slicer's segment keys with the names, as a ``.seg.nrrd`` has them.

    Raises:
        BadInputError: an array that does not fit its grid or holds no unsigned integers.
    """
    array = _checked(labelmap)
    keys = segment_keys(array, labelmap.names) if segments else None
    return encode_nrrd_array(array, labelmap.grid, compress=compress, keys=keys)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file by way of a temporary one beside it, flushed to disk, then renamed over it."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _labels(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return label values as unsigned integers."""
    if array.dtype in (np.uint8, np.uint16):
        return array
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    whole = array.dtype.kind in "iu" or bool((array == np.rint(array)).all())
    if not whole or not 0 <= low <= high <= _LARGEST_LABEL:
        raise BadInputError(
            path.name,
            expected=f"whole label values from 0 to {_LARGEST_LABEL}",
            came="values that are fractions, negative, not finite or larger",
            fix="Check that this is a label and not an image, and save it again.",
        )
    return array.astype(np.uint8 if high < 256 else np.uint16)


def _checked(labelmap: Labelmap) -> NDArray[Any]:
    array = np.asarray(labelmap.array)
    if array.shape != labelmap.grid.shape or array.dtype.kind != "u":
        raise BadInputError(
            "labelmap",
            expected=f"unsigned integers of shape {labelmap.grid.shape}",
            came=f"{array.dtype} of shape {array.shape}",
            fix="Cast it, or give the grid it lies on.",
        )
    if array.dtype.itemsize > 2 and array.size and array.max() <= _LARGEST_LABEL:
        return array.astype(np.uint16)
    return array
