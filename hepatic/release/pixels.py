"""Pixels that carry nothing but the picture: no text beside it, none behind it, none in spare bits."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.pixels.utils import get_expected_length
from pydicom.tag import Tag
from pydicom.uid import RLELossless

from hepatic.errors import BadInputError
from hepatic.io.codestream_text import blanked

_OVERLAY_BITS = range(0x60000102, 0x60200102, 0x20000)  # OverlayBitPosition of all sixteen
_BITS = {"PixelData": 0, "FloatPixelData": 32, "DoubleFloatPixelData": 64}
PIXEL_DATA = tuple(_BITS)
"""Where pixels are; the second and third are numbers with a fraction."""


def clean_pixels(dataset: FileDataset) -> None:
    """Take out of an object's pixels, in place, what is no picture.

    Of compressed ones, comments and the like (``hepatic.io.codestream_text``); of others, bytes after the last pixel
    and bits beside BitsStored, in which old overlays are.

    Args:
        dataset: a whole file; one without pixels is left alone.

    Raises:
        BadInputError: pixels are missing at the end, or are compressed in a way that cannot be looked through.
    """
    for keyword, bits in _BITS.items():
        if keyword not in dataset:
            continue
        element = dataset[keyword]
        syntax = dataset.file_meta.TransferSyntaxUID
        if syntax.is_encapsulated:
            if any(dataset[tag].value for tag in map(Tag, _OVERLAY_BITS) if tag in dataset):
                raise _refused("pixels without an overlay in spare bits", "compressed ones that have one")
            element.value = blanked(element.value, rle=_segments(dataset) if syntax == RLELossless else None)
        else:
            element.value = _cut(dataset, element.value, bits)


def _segments(dataset: FileDataset) -> tuple[int, int]:
    """Return how many segments a frame of RLE has, and the bytes of one (PS3.5, G.2)."""
    return int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8, int(dataset.Rows) * int(dataset.Columns)


def _cut(dataset: FileDataset, data: bytes, bits: int) -> bytes:
    """Return the bytes that are pixels, padded to an even number."""
    count = get_expected_length(dataset, unit="pixels") * bits // 8 if bits else get_expected_length(dataset)
    if len(data) < count:
        raise _refused(f"{count} bytes of pixels", f"{len(data)}: the file is truncated")
    pixels = data[:count] if bits else _masked(dataset, data[:count])
    return pixels + bytes(count % 2)


def _masked(dataset: FileDataset, data: bytes) -> bytes:
    """Return pixels of whole bytes without the bits above those that are stored; the sign stays."""
    allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored") or dataset.BitsAllocated)
    if allocated not in (8, 16, 32, 64) or not 0 < stored < allocated:
        return data
    low = int(dataset.get("HighBit", stored - 1)) + 1 - stored
    if not 0 <= low <= allocated - stored:
        raise _refused("HighBit within BitsAllocated", "another")
    is_little = dataset.file_meta.TransferSyntaxUID.is_little_endian or allocated == 8
    order, is_signed = "<" if is_little else ">", bool(dataset.get("PixelRepresentation"))
    pixels = np.frombuffer(data, f"{order}{'i' if is_signed else 'u'}{allocated // 8}")
    above = allocated - stored - low
    return (((pixels << above) >> (allocated - stored)) << low).astype(pixels.dtype).tobytes()


def _refused(expected: str, came: str) -> BadInputError:
    return BadInputError("the pixels", expected=expected, came=came, fix="Export the image again, uncompressed.")
