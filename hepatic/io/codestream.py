"""The size a compressed frame declares about itself, read before a decoder allocates anything for it."""

from __future__ import annotations

from struct import unpack_from

_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ (ITU-T T.800 A.4, A.5.1)
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}  # SOFn; F7: JPEG-LS
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RSTn, SOI: markers without a length


def codestream_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream; None where there is no such header."""
    start = data.find(_J2K_START, 0, 4096)
    if start >= 0 and len(data) >= start + 24:
        right, bottom, left, top = unpack_from(">4I", data, start + 8)
        return bottom - top, right - left
    return _jpeg_size(data) if data[:2] == b"\xff\xd8" else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _STANDALONE:
            position += 2
        elif marker in _JPEG_FRAMES:
            rows, columns = unpack_from(">2H", data, position + 5)
            return rows, columns
        else:
            position += 2 + max(2, unpack_from(">H", data, position + 2)[0])
    return None
