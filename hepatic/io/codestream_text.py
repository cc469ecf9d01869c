"""Texts that compressed pixels carry beside the picture: comments, EXIF, XMP. Anything may be written there."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

_ITEM = b"\xfe\xff\x00\xe0"  # PS3.5, A.4
_JPEG_START, _JPEG_TEXTS, _JPEG_SCAN = b"\xff\xd8", (0xFE, 0xE1, 0xED), 0xDA  # COM, APP1, APP13; SOS (T.81 B.1.1.3)
_J2K_START, _J2K_COMMENT, _J2K_TILE = b"\xff\x4f", 0x64, 0x90  # SOC, COM, SOT (T.800 A.2)
_JP2_START = b"\x00\x00\x00\x0cjP  "
_JP2_TEXTS = (b"xml ", b"uuid")
_REGISTRATION_BYTES = 2  # of a comment of JPEG 2000, which say whether it is text


def blanked(encapsulated: bytes) -> bytes:
    """Return encapsulated pixel data whose texts are spaces; nothing moves, and the picture is the same.

    Args:
        encapsulated: the value of PixelData of a compressed file (PS3.5, A.4).
    """
    places = list(_texts(encapsulated))
    if not places:
        return encapsulated
    made = bytearray(encapsulated)
    for start, stop in places:
        made[start:stop] = b" " * (stop - start)
    return bytes(made)


def _texts(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where texts begin and end."""
    position = 0
    while position + 8 <= len(data) and data[position : position + 4] == _ITEM:
        length = unpack_from("<I", data, position + 4)[0]
        start, stop = position + 8, min(position + 8 + length, len(data))
        head = data[start : start + len(_JP2_START)]
        if head.startswith(_JPEG_START):
            yield from _segments(data, start + 2, stop, _JPEG_TEXTS, _JPEG_SCAN, skip=0)
        elif head.startswith(_J2K_START):
            yield from _segments(data, start + 2, stop, (_J2K_COMMENT,), _J2K_TILE, skip=_REGISTRATION_BYTES)
        elif head == _JP2_START:
            yield from _boxes(data, start, stop)
        position = stop


def _segments(
    data: bytes, position: int, stop: int, texts: tuple[int, ...], last: int, *, skip: int
) -> Iterator[tuple[int, int]]:
    while position + 4 <= stop and data[position] == 0xFF and data[position + 1] != last:
        if data[position + 1] == 0xFF:  # fill byte
            position += 1
            continue
        end = position + 2 + max(2, unpack_from(">H", data, position + 2)[0])
        if data[position + 1] in texts:
            yield min(position + 4 + skip, stop), min(end, stop)
        position = end


def _boxes(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int]]:
    while position + 8 <= stop:
        length, kind = unpack_from(">I4s", data, position)
        if kind == b"jp2c":
            yield from _segments(data, position + 10, stop, (_J2K_COMMENT,), _J2K_TILE, skip=_REGISTRATION_BYTES)
        if kind == b"jp2c" or length < 8:
            return
        if kind in _JP2_TEXTS:
            yield position + 8, min(position + length, stop)
        position += length
