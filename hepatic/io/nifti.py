"""NIfTI-1 and -2 in one file (.nii, .nii.gz)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.deflate import DEFLATE_RATIO, gzip_bytes, inflate
from hepatic.io.image import Volume
from hepatic.io.refusal import refusing
from hepatic.io.size import check_bytes, check_size

EXPECTED = "a NIfTI image"
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_HEADER_BYTES = 544  # sizeof_hdr of NIfTI-2 and four bytes of extension flags
_LARGEST_OFFSET = 1 << 26  # pixels start after the header and its extensions, not behind gigabytes of them
_MILLIMETRES = {"meter": 1000.0, "micron": 1e-3}


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """A NIfTI file without its pixels, checked.

    Attributes:
        grid: index to LPS millimetres (the file's RAS turned).
        dtype: of the stored values, with the file's byte order.
        offset: bytes before the first pixel, unpacked.
        slope: and ``intercept``: value = slope * stored + intercept.
        packed: gzip or not.
    """

    grid: Grid
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    packed: bool


def read_nifti_header(path: Path, *, max_pixels: int | None = None) -> NiftiHeader:
    """Read and check a header.

    Raises:
        BadInputError: a broken header, not one 3D image of one real value per voxel, no orthonormal axes, or more than
            ``max_pixels``.
    """
    with refusing(path, expected=EXPECTED):
        with path.open("rb") as stream:
            start = stream.read(_HEADER_BYTES)
        packed = start[:2] == b"\x1f\x8b"
        if packed:
            start = zlib.decompressobj(wbits=31).decompress(start, _HEADER_BYTES)
        kind = nibabel.Nifti2Header if start[4:7] == b"n+2" else nibabel.Nifti1Header
        header = kind(start[: kind.template_dtype.itemsize], check=False)
        size = tuple(int(n) for n in header.get_data_shape())
        check_size(path.name, size, max_pixels=max_pixels)
        if len(size) > 3 and set(size[3:]) == {1}:
            size = size[:3]
        dtype = header.get_data_dtype()
        if len(size) > 3 or dtype.names or dtype.kind not in "iuf":
            came = f"{len(size)} axes of {dtype.name if not dtype.names else 'colour'}"
            raise BadInputError(
                path.name,
                expected="one 3D image of one real value per voxel",
                came=came,
                fix="Save one volume per file.",
            )
        offset = int(header.get_data_offset())
        if not 0 < offset <= _LARGEST_OFFSET:
            raise BadInputError(
                path.name, expected="pixels behind the header", came=f"pixels at byte {offset}", fix="Save it again."
            )
        slope, intercept = header.get_slope_inter()
        columns, rows, slices = (*size, 1, 1)[:3]
        grid = Grid((columns, rows, slices), _affine(path, header))
        return NiftiHeader(grid, dtype, offset, slope or 1.0, intercept or 0.0, packed)


def read_nifti(path: Path, *, max_pixels: int | None = None) -> Volume:
    """Read a volume: stored values where there is no scaling, float32 otherwise.

    Raises:
        BadInputError: as ``read_nifti_header``, or truncated.
    """
    header = read_nifti_header(path, max_pixels=max_pixels)
    with refusing(path, expected=EXPECTED):
        promised = prod(header.grid.size) * header.dtype.itemsize
        there = path.stat().st_size
        check_bytes(path.name, promised=promised, there=there * DEFLATE_RATIO if header.packed else there)
        with path.open("rb") as stream:
            if header.packed:
                data = inflate(stream.read(), header.offset + promised)
            else:
                data = stream.read(header.offset + promised)
        check_bytes(path.name, promised=promised, there=len(data) - header.offset)
        array: NDArray[Any] = np.frombuffer(data, header.dtype, offset=header.offset).reshape(header.grid.shape)
        if (header.slope, header.intercept) != (1.0, 0.0):
            scaled = np.empty(array.shape, np.float32)
            for plane, stored in zip(scaled, array, strict=True):  # one by one: float64 of all of them is large
                plane[...] = stored.astype(np.float64) * header.slope + header.intercept
            array = scaled
        else:  # a copy: frombuffer gives no right to write
            array = array.astype(np.float64 if header.dtype.itemsize > 8 else header.dtype.newbyteorder("="))
        return Volume(array, header.grid)


def encode_nifti(array: NDArray[np.integer], grid: Grid, *, compress: bool) -> bytes:
    """Return a NIfTI-1 file.

    Args:
        array: shape (k, j, i).
        grid: index to LPS millimetres; written as RAS in sform and qform.
        compress: gzip, at its fastest level.
    """
    image = nibabel.Nifti1Image(array.transpose(2, 1, 0), _RAS_TO_LPS @ grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    data = cast(bytes, image.to_bytes())
    return gzip_bytes(data) if compress else data


def _affine(path: Path, header: Any) -> NDArray[np.float64]:
    """Return index to LPS millimetres, choosing between sform and qform as ITK's ``itkNiftiImageIO.cxx`` does.

    ITK takes its spacing from pixdim and only the directions and the origin from the form. Without either form: the
    axes of the file, at the origin.
    """
    spacing = np.abs(np.array(header["pixdim"][1:4], dtype=np.float64))
    spacing[spacing == 0] = 1.0
    forms = {"q": int(header["qform_code"]) > 0, "s": int(header["sform_code"]) > 0}
    scale = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    if not any(forms.values()):
        return np.diag([*(spacing * scale), 1.0])
    qform = header.get_qform() if forms["q"] else None
    sform = header.get_sform() if forms["s"] else None
    form = qform
    if sform is not None and _directions(sform) is not None:
        similar = qform is not None and np.abs(qform - sform).max() <= 1e-4
        if qform is None or similar or int(header["sform_code"]) == 1:
            form = sform
    directions = _directions(form) if form is not None else None
    if form is None or directions is None or not np.isfinite(form).all() or not np.isfinite(spacing).all():
        raise BadInputError(
            path.name,
            expected="finite, orthogonal axes",
            came="axes that are sheared, missing or not finite",
            fix="Resample the image to a regular grid.",
        )
    affine = np.eye(4)
    affine[:3, :3] = directions @ np.diag(spacing * scale)
    affine[:3, 3] = form[:3, 3]
    return np.asarray(_RAS_TO_LPS @ affine, dtype=np.float64)


def _directions(form: NDArray[np.float64]) -> NDArray[np.float64] | None:
    lengths = np.linalg.norm(form[:3, :3], axis=0)
    if not np.isfinite(lengths).all() or lengths.min() == 0:
        return None
    directions = form[:3, :3] / lengths
    return directions if np.abs(directions @ directions.T - np.eye(3)).max() <= 1e-4 else None
