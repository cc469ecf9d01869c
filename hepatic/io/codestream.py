"""The size a compressed frame declares about itself, read before a decoder allocates anything for it."""

from __future__ import annotations

from struct import unpack_from

_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ (ITU-T T.800 A.4, A.5.1)
_JP2_START = b"\x00\x00\x00\x0cjP  "  # signature box (T.800 I.5.1)
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}  # SOFn; F7: JPEG-LS
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RSTn, SOI: markers without a length


def codestream_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream; None where there is no such header."""
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    start = _codestream_box(data) if data.startswith(_JP2_START) else 0
    if start is not None and data.startswith(_J2K_START, start) and len(data) >= start + 24:
        right, bottom, left, top = unpack_from(">4I", data, start + 8)
        return bottom - top, right - left
    return None


def _codestream_box(data: bytes) -> int | None:
    """Return where the codestream starts in a JP2 file; None where a box leads nowhere (pydicom would never return)."""
    position = 12
    while position + 8 <= len(data):
        length, kind = unpack_from(">I4s", data, position)
        if kind == b"jp2c":
            return position + 8
        if length < 8:
            return None
        position += length
    return None


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
