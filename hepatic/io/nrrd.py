"""NRRD (.nrrd, .seg.nrrd, .nhdr with its data beside it)."""

from __future__ import annotations

import bz2
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.deflate import DEFLATE_RATIO, gzip_bytes, inflate
from hepatic.io.image import Cine, Volume
from hepatic.io.refusal import refusing
from hepatic.io.size import check_bytes, check_size

EXPECTED = "an NRRD image"
_LARGEST_HEADER = 1 << 20
_ESCAPED = re.compile(r"\\([n\\])")
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_TYPE_OF = {name: code for code, names in _TYPES.items() for name in names}
_TO_LPS = {
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}  # every other space is taken as it is, which for left-posterior-superior is right and for the rest is what ITK does


@dataclass(frozen=True, eq=False)
class NrrdHeader:
    """An NRRD without its pixels, checked.

    Attributes:
        grid: index to LPS millimetres.
        leading: length of a first axis that is not space (colours, or the layers of a segmentation); 0 without one.
        colour: whether that axis holds red, green, blue.
        fields: every field and key of the header.
        dtype: of the stored values, with the file's byte order.
        data: the file that holds them.
        offset: bytes before them.
    """

    grid: Grid
    leading: int
    colour: bool
    fields: Mapping[str, Any]
    dtype: np.dtype[Any]
    data: Path
    offset: int


def read_nrrd_header(path: Path, *, max_pixels: int | None = None) -> NrrdHeader:
    """Read and check a header.

    Raises:
        BadInputError: a broken header, not a 2D or 3D image (with colours or layers on a first axis), no usable axes,
            data in several files or elsewhere than beside the header, or more than ``max_pixels``.
    """
    with refusing(path, expected=EXPECTED):
        with path.open("rb") as stream:
            start = stream.read(_LARGEST_HEADER)
        ends = [start.find(blank) + len(blank) for blank in (b"\n\n", b"\r\n\r\n") if blank in start]
        offset = min(ends, default=len(start))
        fields = nrrd.read_header(BytesIO(start[:offset] if ends else start + b"\n\n")) | _keys(start[:offset])
        sizes = [int(n) for n in fields["sizes"]]
        kinds = list(fields.get("kinds", []))
        directions = _rows(fields, len(sizes))
        if int(fields["dimension"]) != len(sizes) or len(directions) != len(sizes):
            raise BadInputError(
                path.name,
                expected=f"sizes and directions of {fields['dimension']} axes",
                came=f"{len(sizes)} sizes and {len(directions)} directions",
                fix="Save the image again from a viewer.",
            )
        leads = len(sizes) > 1 and bool(
            (kinds and kinds[0] not in ("domain", "space", "???", "none")) or np.isnan(directions[0]).all()
        )
        size, axes = (sizes[1:], directions[1:]) if leads else (sizes, directions)
        check_size(path.name, sizes, max_pixels=max_pixels)
        if len(size) not in (2, 3) or "block" in str(fields["type"]):
            came = f"{len(size)} axes of {fields['type']}"
            raise BadInputError(path.name, expected="a 2D or 3D image", came=came, fix="Save one volume per file.")
        colour = leads and sizes[0] == 3 and kinds[:1] != ["list"]
        order = "<" if fields.get("endian", "little") == "little" else ">"
        dtype = np.dtype(order + _TYPE_OF[str(fields["type"]).lower()])
        data, offset = _data_file(path, fields, offset)
        columns, rows, slices = (*size, 1)[:3]
        grid = Grid((columns, rows, slices), _affine(path, fields, axes))
        return NrrdHeader(grid, sizes[0] if leads else 0, colour, fields, dtype, data, offset)


def read_nrrd(path: Path, *, max_pixels: int | None = None) -> Volume | Cine:
    """Read a volume, or in colour a cine (RGB, no times, no calibration).

    Raises:
        BadInputError: as ``read_nrrd_header``, or truncated, or several layers.
    """
    header = read_nrrd_header(path, max_pixels=max_pixels)
    if header.leading and not header.colour:
        raise BadInputError(
            path.name,
            expected="one value or one colour per voxel",
            came=f"{header.leading} values",
            fix="Save one volume per file; a segmentation is read as a label, not as an image.",
        )
    array = read_nrrd_array(path, header)
    if header.colour:
        return Cine(array, None, None, header.grid, bits_stored=array.dtype.itemsize * 8)
    return Volume(array, header.grid)


def read_nrrd_array(path: Path, header: NrrdHeader) -> NDArray[Any]:
    """Return stored values, shape (k, j, i), or (k, j, i, leading).

    Raises:
        BadInputError: truncated, damaged, or in an encoding other than raw, gzip, bzip2 or ascii.
    """
    with refusing(path, expected=EXPECTED):
        shape = (*header.grid.shape, header.leading) if header.leading else header.grid.shape
        promised = prod(shape) * header.dtype.itemsize
        encoding = str(header.fields.get("encoding", "raw")).lower()
        with header.data.open("rb") as stream:
            there = stream.seek(0, 2) - header.offset
            stream.seek(header.offset)
            if encoding == "raw":
                check_bytes(path.name, promised=promised, there=there)
                if header.fields.get("byte skip") == -1:
                    stream.seek(-promised, 2)
                data = stream.read(promised)
            elif encoding in ("gzip", "gz"):
                check_bytes(path.name, promised=promised, there=there * DEFLATE_RATIO)
                data = inflate(stream.read(), promised)
            elif encoding in ("bzip2", "bz2"):
                data = bz2.BZ2Decompressor().decompress(stream.read(), promised)
            elif encoding in ("ascii", "text", "txt"):
                values = np.array(stream.read(promised * 32).split(), dtype=np.float64)
                data = values[: prod(shape)].astype(header.dtype).tobytes()
            else:
                raise BadInputError(
                    path.name, expected="raw, gzip, bzip2 or ascii encoding", came="another", fix="Save it with gzip."
                )
        check_bytes(path.name, promised=promised, there=len(data))
        array: NDArray[Any] = np.frombuffer(data, header.dtype).reshape(shape)
        return array.astype(header.dtype.newbyteorder("="))  # a copy: frombuffer gives no right to write


def encode_nrrd_array(
    array: NDArray[np.unsignedinteger], grid: Grid, *, compress: bool, keys: Mapping[str, str] | None = None
) -> bytes:
    """Return an NRRD file in left-posterior-superior space.

    Args:
        array: shape (k, j, i).
        grid: index to LPS millimetres.
        compress: gzip at its fastest level, or raw.
        keys: key/value pairs added to the header.
    """
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    lines = [
        "NRRD0004",
        f"type: {_TYPES[little.dtype.str[1:]][1 if little.dtype.itemsize > 1 or little.dtype.kind == 'u' else 0]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {grid.size[0]} {grid.size[1]} {grid.size[2]}",
        "space directions: " + " ".join(_vector(grid.affine[:3, axis]) for axis in range(3)),
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {'gzip' if compress else 'raw'}",
        f"space origin: {_vector(grid.affine[:3, 3])}",
        *(f"{key}:=" + value.replace("\\", "\\\\").replace("\n", "\\n") for key, value in (keys or {}).items()),
    ]
    pixels = np.ascontiguousarray(little).data.cast("B")
    start = ("\n".join(lines) + "\n\n").encode()
    return start + (gzip_bytes(pixels) if compress else pixels.tobytes())


def _keys(header: bytes) -> dict[str, str]:
    """Return the key/value pairs in UTF-8, as Slicer writes them; pynrrd drops what is not ASCII."""
    lines = (line.decode("utf-8", "replace") for line in header.splitlines() if b":=" in line)
    pairs = (line.split(":=", 1) for line in lines if not line.startswith("#"))
    return {key: _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else "\\", value.strip()) for key, value in pairs}


def _vector(values: NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"


def _rows(fields: Mapping[str, Any], axes: int) -> NDArray[np.float64]:
    """Return the space direction of each axis, shape (axes, space); rows of nan for an axis that is not in space."""
    given = fields.get("space directions")
    if given is None:
        spacings = np.array(fields.get("spacings", [np.nan] * axes), dtype=np.float64)
        domain = len(spacings) - (1 if axes > 3 or (axes == 3 and _first_is_colour(fields)) else 0)
        spacings = np.where(np.isfinite(spacings) & (spacings != 0), np.abs(spacings), 1.0)
        rows = np.full((axes, 3), np.nan)
        rows[axes - domain :] = np.eye(3)[:domain] * spacings[axes - domain :, None]
        return rows
    width = max(len(row) for row in given if row is not None)
    return np.array([np.full(width, np.nan) if row is None else row for row in given], dtype=np.float64)


def _first_is_colour(fields: Mapping[str, Any]) -> bool:
    kinds = list(fields.get("kinds", []))
    return bool(kinds) and kinds[0] not in ("domain", "space", "???", "none")


def _affine(path: Path, fields: Mapping[str, Any], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    matrix[: axes.shape[1], : axes.shape[0]] = axes.T
    if axes.shape == (2, 3):
        normal = np.cross(axes[0], axes[1])
        matrix[:, 2] = normal / np.linalg.norm(normal)
    origin = np.zeros(3)
    given = np.array(fields.get("space origin", []), dtype=np.float64)
    origin[: given.size] = np.where(np.isfinite(given), given, 0.0)
    flip = np.diag(_TO_LPS.get(str(fields.get("space", "")).lower(), (1.0, 1.0, 1.0)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = flip @ matrix, flip @ origin
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or lengths.min() == 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise BadInputError(
            path.name,
            expected="finite, independent space directions",
            came="directions that are not",
            fix="Save the image again from a viewer.",
        )
    return affine


def _data_file(path: Path, fields: Mapping[str, Any], offset: int) -> tuple[Path, int]:
    """Return the file with the pixels and the byte they start at (before ``byte skip: -1`` is applied)."""
    skip = int(fields.get("byte skip", fields.get("byteskip", 0)))
    named = fields.get("data file", fields.get("datafile"))
    if int(fields.get("line skip", fields.get("lineskip", 0))) or skip < -1:
        raise BadInputError(path.name, expected="no line skip", came="one", fix="Save the image again with gzip.")
    if named is None:
        return path, offset + max(skip, 0)
    if not isinstance(named, str) or Path(named).name != named or "%" in named or named.startswith(("LIST", "\\")):
        raise BadInputError(
            path.name,
            expected="a data file beside the header",
            came="several files, or one elsewhere",
            fix="Save the image as one .nrrd file.",
        )
    return path.with_name(named), max(skip, 0)
