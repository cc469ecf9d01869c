"""Pictures (PNG, JPEG and the like) as stills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffTags import TAGS_V2

from hepatic.errors import BadInputError
from hepatic.importers.us_dicom import Origin, write_us
from hepatic.io.refusal import refusing
from hepatic.io.size import check_size

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
JPEG = "ISO_10918_1"

Find = Callable[[], Path | bytes]
"""Gives a picture, its file or the content of one; BadInputError where there is none."""

_DEPTHS = (8, 10, 12, 14, 16)
_PHOTOMETRIC = next(tag for tag, about in TAGS_V2.items() if about.name == "PhotometricInterpretation")
_WHITE_IS_ZERO = 0


class GreyDepth:
    """How many bits the 16-bit grey pictures of a data set really use: one number for all of them.

    A file with 16 bits a pixel may hold 10, 12 or 14 bits, and does not say so. Taken as they are such pictures would
    be almost black; stretched each to its own largest value, dark ones would look like bright ones, and a data set
    would lose what tells its pictures apart. So all are looked at, and the smallest of 8, 10, 12, 14 and 16 bits that
    holds the largest value among them counts for all: 0 becomes 0, the largest number of so many bits 255.
    """

    def __init__(self) -> None:
        self._pictures: list[Find] = []

    def add(self, find: Find) -> None:
        """Let a picture count."""
        self._pictures.append(find)

    @cached_property
    def bits(self) -> int:
        """The number of bits; broken pictures do not count, 8-bit ones neither."""
        largest = max(map(_largest, self._pictures), default=0)
        return next(bits for bits in _DEPTHS if largest < 1 << bits)


def as_still(find: Find, name: str, origin: Origin, depth: GreyDepth) -> Callable[[Path], Sequence[Path]]:
    """Return ``Case.image`` for a picture, which from now on counts for the depth.

    Args:
        find: gives it.
        name: what errors call it.
        origin: whose it is.
        depth: of all pictures of its data set.
    """
    depth.add(find)

    def write(scratch: Path) -> Sequence[Path]:
        target, source = scratch / "still.dcm", find()
        came = source.stat().st_size if isinstance(source, Path) else len(source)
        write_us(target, read_picture(source, name, depth)[None], origin, came_bytes=came)
        return [target]

    return write


def read_picture(source: Path | bytes, name: str, depth: GreyDepth) -> NDArray[np.uint8]:
    """Return (H, W) or (H, W, 3); transparency is dropped.

    16-bit grey values become 8 as ``GreyDepth`` says; of 16-bit colours the higher 8 bits count. A file is turned as
    its EXIF orientation says, as labelme does on opening it; what lies in a JSON was turned before.

    Raises:
        BadInputError: not a picture, broken, too large, or with values other than 8 and 16 bits.
    """
    with _opened(source, name) as picture:
        if isinstance(source, Path):
            ImageOps.exif_transpose(picture, in_place=True)
        deep = _deep(picture)
        if deep is not None:
            return np.asarray(np.rint(deep * (255 / ((1 << depth.bits) - 1))), np.uint8)
        if picture.mode in ("I", "F"):
            raise BadInputError(
                name, expected="8 or 16 bits a pixel", came="32", fix="Save the picture as 16-bit grey values."
            )
        return np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[Image.Image]:
    path = source if isinstance(source, Path) else Path(name)
    stream = source if isinstance(source, Path) else BytesIO(source)
    with refusing(path, expected="a picture"), Image.open(stream) as picture:
        check_size(name, picture.size, max_pixels=None)
        yield picture


def _deep(picture: Image.Image) -> NDArray[np.uint16] | None:
    """Return 16-bit grey values, black being 0; None for a picture that has none."""
    if not picture.mode.startswith("I;16"):
        return None
    grey = np.asarray(picture).astype(np.uint16)
    white_is_zero = getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return np.invert(grey) if white_is_zero else grey


def _largest(find: Find) -> int:
    try:
        with _opened(find(), "picture") as picture:
            deep = _deep(picture)
    except BadInputError:
        return 0  # said when it is its turn
    return 0 if deep is None else int(deep.max(initial=0))
