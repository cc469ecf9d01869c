"""Pictures (PNG, JPEG and the like) as stills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hepatic.importers.us_dicom import Origin, write_us
from hepatic.io.refusal import refusing
from hepatic.io.size import check_size

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
JPEG = "ISO_10918_1"


def as_still(source: Path | bytes, name: str, origin: Origin) -> Callable[[Path], Sequence[Path]]:
    """Return ``Case.image`` for a picture.

    Args:
        source: the file, or its content.
        name: what errors call it.
        origin: whose it is.
    """

    def write(scratch: Path) -> Sequence[Path]:
        target = scratch / "still.dcm"
        came = source.stat().st_size if isinstance(source, Path) else len(source)
        write_us(target, read_picture(source, name)[None], origin, came_bytes=came)
        return [target]

    return write


def read_picture(source: Path | bytes, name: str) -> NDArray[np.uint8]:
    """Return (H, W) or (H, W, 3); 16 bits become 8, transparency is dropped.

    A file is turned as its EXIF orientation says, as labelme does on opening it; what lies in a JSON was turned before.

    Raises:
        BadInputError: not a picture, broken, or too large.
    """
    path = source if isinstance(source, Path) else Path(name)
    stream = source if isinstance(source, Path) else BytesIO(source)
    with refusing(path, expected="a picture"), Image.open(stream) as picture:
        check_size(name, picture.size, max_pixels=None)
        if isinstance(source, Path):
            ImageOps.exif_transpose(picture, in_place=True)
        if picture.mode.startswith("I;16"):
            return (np.asarray(picture) >> 8).astype(np.uint8)
        return np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
