"""Texts that compressed pixels carry beside the picture: comments, EXIF, XMP, and whatever follows the end of a stream.

Anything may be written there: only what decoders need is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from struct import error as StructError
from struct import unpack_from

from hepatic.errors import BadInputError

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"  # PS3.5, A.4
_JPEG_START, _J2K_START, _JP2_START = b"\xff\xd8", b"\xff\x4f", b"\x00\x00\x00\x0cjP  "
_JPEG_SCAN, _JPEG_END, _JPEG_ALONE = 0xDA, 0xD9, (0x01, *range(0xD0, 0xD8))  # SOS, EOI; TEM, RSTn (T.81 B.1.1.3)
_JPEG_COMMENT, _JPEG_LS, _JPEG_LS_TABLES = 0xFE, 0xF7, 0xF8
_JPEG_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # T.81 B.1.1.3
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, *_JPEG_ARITHMETIC, _JPEG_LS}
_JPEG_KEPT = {0xC4, _JPEG_SCAN, 0xDB, 0xDD}  # tables, scans, restarts
_JPEG_LINES = (0xDC, 4)  # DNL and its length: says what a frame of no lines lacks
_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"  # no density, no thumbnail
_ADOBE = b"Adobe\0\x64\0\0\0\0"  # and a byte that says how colours were transformed
_COLOURS = b"\0\1\2"
_JPEG_MARKER = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")
"""In entropy-coded data: what is neither stuffed nor RSTn. JPEG-LS stuffs bits, so that the next byte is below 80H."""
_J2K_COMMENT, _J2K_TILE, _J2K_DATA, _J2K_END = 0x64, 0x90, 0x93, 0xD9  # COM, SOT, SOD, EOC (T.800 A.2)
_J2K_CAPABILITIES = 0x50  # a bit for each of which it has two bytes (T.800 A.5.2)
_J2K_KEPT = {
    _J2K_CAPABILITIES,
    0x51,
    0x52,
    0x53,
    0x59,
    0x5C,
    0x5D,
    0x5E,
    0x5F,
    0x60,
    0x61,
    _J2K_TILE,
}  # CAP, CPF: T.814
"""What decoders need: pointers to packets and tiles, and whatever else there is, become comments."""
_J2K_ALONE = range(0x30, 0x40)
_REGISTRATION_BYTES = 2  # of a comment of JPEG 2000, which say whether it is text
_JP2_BRANDS = (b"jp2 ", b"jpx ", b"jpxb", b"jpm ", b"jph ")
_JP2_KEPT = (b"jP  ", b"ftyp", b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef")  # T.800 I.5
_RLE_MOST, _RLE_NOTHING = 15, 128  # segments, and a run of no bytes (PS3.5 G.5, G.3.1)

Place = tuple[int, int]
"""Where something begins and ends."""
Change = tuple[int, bytes]
"""What stands from somewhere on instead of what was there."""


def blanked(encapsulated: bytes, *, rle: tuple[int, int] | None = None) -> bytes:
    """Return encapsulated pixel data whose texts are spaces; the pictures are the same.

    Args:
        encapsulated: the value of PixelData of a compressed file (PS3.5, A.4).
        rle: of RLE, which has no mark of its own: segments of a frame, and bytes of a segment (PS3.5, G.2).

    Raises:
        BadInputError: it holds streams whose texts cannot be told, such as a film or a damaged one.
    """
    try:
        (first, last), *items = list(_items(encapsulated))
        made = bytearray(encapsulated[: items[-1][1] if items else last])
        for places in _frames(encapsulated, items, is_rle=rle is not None):
            stream = b"".join(encapsulated[start:stop] for start, stop in places)
            clean = _without_texts(stream, _walk_of(stream, rle=rle))
            for start, stop in places:
                made[start:stop], clean = clean[: stop - start], clean[stop - start :]
        offsets = {start - 8 - last for start, _ in items}
        if (last - first) % 4 or not offsets.issuperset(unpack_from(f"<{(last - first) // 4}I", made, first)):
            made[:last] = _ITEM + bytes(4)  # an empty table is allowed
    except (ValueError, IndexError, StructError) as error:
        raise BadInputError(
            "the compressed pixels",
            expected="JPEG, JPEG-LS, JPEG 2000 or RLE frames, whose comments can be told from the picture",
            came="something else, or damaged ones",
            fix="Export the image again, uncompressed.",
        ) from error
    return bytes(made)


def _items(data: bytes) -> Iterator[Place]:
    """Yield where the offset table and the fragments are."""
    position = 0
    while data[position : position + 4] == _ITEM:
        start = position + 8
        position = start + unpack_from("<I", data, position + 4)[0]
        yield start, position
    if position > len(data) or data[position : position + 4] not in (b"", _END):
        raise ValueError("not a sequence of fragments")


def _frames(data: bytes, items: list[Place], *, is_rle: bool) -> Iterator[list[Place]]:
    """Yield the fragments of each frame."""
    frame: list[Place] = []
    for start, stop in items:
        is_first = is_rle or data.startswith((_JPEG_START, _J2K_START, _JP2_START), start, stop)
        if is_first and frame:
            yield frame
            frame = []
        frame.append((start, stop))
    if frame:
        yield frame


def _walk_of(stream: bytes, *, rle: tuple[int, int] | None) -> Iterator[Change]:
    if rle:
        return _rle(stream, *rle)
    kinds: dict[bytes, Callable[[bytes], Iterator[Change]]] = {_JPEG_START: _jpeg, _J2K_START: _j2k, _JP2_START: _jp2}
    for start, walk in kinds.items():
        if stream.startswith(start):
            return walk(stream)
    raise ValueError("no stream that is known")


def _without_texts(stream: bytes, changes: Iterator[Change]) -> bytes:
    made = bytearray(stream)
    for start, put in changes:
        if start + len(put) > len(made):
            raise ValueError("a text that leads nowhere")
        made[start : start + len(put)] = put
    return bytes(made)


def _blank(start: int, stop: int) -> Change:
    return start, b" " * (stop - start)


def _jpeg(data: bytes) -> Iterator[Change]:
    segments = list(_jpeg_segments(data))
    frames = [marker for marker, start, end in segments if _is_frame(data, marker, start, end)]
    if not frames:
        raise ValueError("no frame")
    kept = _JPEG_KEPT | ({0xCC} if frames[0] in _JPEG_ARITHMETIC else set())  # DAC
    for marker, start, end in segments:
        body, size = start + 2, end - start - 2
        if marker == _JPEG_END:
            yield _blank(start, end)
        elif marker == 0xE0 and data.startswith(_JFIF[:5], body) and size >= len(_JFIF):
            yield body, _JFIF
            yield _blank(body + len(_JFIF), end)
        elif marker == 0xEE and data.startswith(_ADOBE[:5], body) and size > 11 and data[body + 11] in _COLOURS:
            yield body, _ADOBE
            yield _blank(body + len(_ADOBE) + 1, end)
        elif marker == 0xE8 and data.startswith(b"mrfx", body) and size > 4:
            yield _blank(body + 5, end)
        elif (
            marker == _JPEG_LS_TABLES
            and frames[0] == _JPEG_LS
            and (data[body] in (2, 3) or (data[body], size) == (1, 11))
        ):
            continue  # tables, and parameters (T.87 C.2.4.1)
        elif marker not in kept and (marker, size + 2) != _JPEG_LINES and not _is_frame(data, marker, start, end):
            yield start - 1, bytes((_JPEG_COMMENT,))
            yield _blank(body, end)


def _is_frame(data: bytes, marker: int, start: int, end: int) -> bool:
    """Whether a segment is the header of a frame, as long as its components say (T.81 B.2.2)."""
    return marker in _JPEG_FRAMES and end - start > 8 and end - start == 8 + 3 * data[start + 7]


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each; as the last one what is behind the picture."""
    position = 2
    while position < len(data):
        marker, position = _marker(data, position)
        if marker == _JPEG_END:
            yield marker, position, len(data)
            return
        if marker in _JPEG_ALONE:
            continue
        end = position + _length(data, position)
        yield marker, position, end
        if marker == _JPEG_SCAN:
            found = _JPEG_MARKER.search(data, end)
            end = len(data) if found is None else found.start()
        position = end


def _j2k(data: bytes) -> Iterator[Change]:
    position, tile_end = 2, 0
    while position < len(data):
        marker, position = _marker(data, position)
        if marker == _J2K_END:
            yield _blank(position, len(data))
            return
        if marker in _J2K_ALONE:
            raise ValueError("a marker without a segment")
        if marker == _J2K_TILE:
            size = unpack_from(">I", data, position + 4)[0]
            tile_end = position - 2 + size if size else len(data)
        if marker == _J2K_DATA:
            if tile_end < position:
                raise ValueError("a tile that leads nowhere")
            position = tile_end
            continue
        end = position + _length(data, position)
        bits = unpack_from(">I", data, position + 2)[0].bit_count() if marker == _J2K_CAPABILITIES else 0
        if marker not in _J2K_KEPT or (bits and end - position != 6 + 2 * bits):
            registered = min(position + 2 + _REGISTRATION_BYTES, end)
            yield position - 1, bytes((_J2K_COMMENT,))
            yield position + 2, bytes(registered - position - 2)
            yield _blank(registered, end)
        position = end


def _jp2(data: bytes) -> Iterator[Change]:
    return _boxes(data, 0, len(data))


def _boxes(data: bytes, position: int, stop: int, *, is_header: bool = False) -> Iterator[Change]:
    """Walk boxes, and those within the header. A profile of colours counts as a text: it has a description."""
    while position < stop:
        length, kind = unpack_from(">I4s", data, position)
        end = position + length if length else stop
        if length == 1 or end > stop or end < position + 8:
            raise ValueError("a box that leads nowhere")
        if kind == b"jp2h" and not is_header:
            yield from _boxes(data, position + 8, end, is_header=True)
        elif kind == b"jp2c":
            yield from ((position + 8 + start, put) for start, put in _j2k(data[position + 8 : end]))
            yield _blank(end, stop)  # a byte of padding, or boxes that no decoder needs
            return
        elif kind == b"colr":
            yield _blank(min(position + 8 + (7 if data[position + 8] == 1 else 3), end), end)
        elif kind == b"ftyp":
            if length % 4 or length < 16:
                raise ValueError("no list of brands")
            yield position + 12, bytes(4)  # the version
            yield from ((at, b"jp2 ") for at in range(position + 16, end, 4) if data[at : at + 4] not in _JP2_BRANDS)
        elif kind not in _JP2_KEPT:
            yield _blank(position + 8, end)
        position = end


def _rle(data: bytes, segments: int, size: int) -> Iterator[Change]:
    """Walk the runs of all segments; what follows the last one becomes runs of nothing.

    Of a last run that is longer than the picture, only what is of the picture stays.
    """
    count, *offsets = unpack_from("<16I", data)
    found = [*offsets[:count], len(data)]
    if count != segments or not 0 < count <= _RLE_MOST or any(offsets[count:]) or found[0] != 64:
        raise ValueError("no header of RLE")
    for start, stop in pairwise(found):
        position, left = start, size
        while left > 0 and position < stop:
            head = data[position]
            if head < _RLE_NOTHING:
                literal = min(head + 1, left)
                if literal <= head:
                    yield position, bytes((literal - 1,))
                position, left = position + 1 + literal, left - literal
            elif head == _RLE_NOTHING:
                position += 1
            else:
                position, left = position + 2, left - (257 - head)
        if left > 0 or position > stop:
            raise ValueError("a segment that is too short")
        if any(data[position:stop]):
            yield position, bytes((_RLE_NOTHING,)) * (stop - position)


def _marker(data: bytes, position: int) -> tuple[int, int]:
    """Return a marker, and the place behind it; before it may be fill bytes."""
    if data[position] != 0xFF:
        raise ValueError("no marker")
    while data[position] == 0xFF:
        position += 1
    if not data[position]:
        raise ValueError("no marker")
    return data[position], position + 1


def _length(data: bytes, position: int) -> int:
    length: int = unpack_from(">H", data, position)[0]
    if length < 2 or position + length > len(data):
        raise ValueError("a segment that leads nowhere")
    return length
