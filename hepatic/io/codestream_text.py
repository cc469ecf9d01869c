"""Texts that compressed pixels carry beside the picture: comments, EXIF, XMP, and whatever follows the end of a stream.

Anything may be written there: only what decoders need is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from struct import error as StructError
from struct import unpack_from

from hepatic.errors import BadInputError

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"  # PS3.5, A.4
_JPEG_START, _J2K_START, _JP2_START = b"\xff\xd8", b"\xff\x4f", b"\x00\x00\x00\x0cjP  "
_JPEG_SCAN, _JPEG_END, _JPEG_ALONE = 0xDA, 0xD9, (0x01, *range(0xD0, 0xD8))  # SOS, EOI; TEM, RSTn (T.81 B.1.1.3)
_JPEG_KEPT = {*range(0xC0, 0xE0), 0xF7, 0xF8}  # tables, frames and scans; SOF55 and LSE of JPEG-LS (T.87 C.1.1)
_JPEG_NEEDED = {0xE0: (b"JFIF\0", 14), 0xE8: (b"mrfx", 5), 0xEE: (b"Adobe", 12)}
"""Application segments by which a decoder tells colours, and so many of their bytes."""
_JPEG_MARKER = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")
"""In entropy-coded data: what is neither stuffed nor RSTn. JPEG-LS stuffs bits, so that the next byte is below 80H."""
_J2K_COMMENT, _J2K_TILE, _J2K_DATA, _J2K_END = 0x64, 0x90, 0x93, 0xD9  # COM, SOT, SOD, EOC (T.800 A.2)
_REGISTRATION_BYTES = 2  # of a comment of JPEG 2000, which say whether it is text
_JP2_KEPT = (b"jP  ", b"ftyp", b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef")  # T.800 I.5
_RLE_MOST = 15  # segments, PS3.5 G.5

Place = tuple[int, int]
"""Where a text begins and ends."""


def blanked(encapsulated: bytes, *, is_rle: bool = False) -> bytes:
    """Return encapsulated pixel data whose texts are spaces; the pictures are the same.

    Args:
        encapsulated: the value of PixelData of a compressed file (PS3.5, A.4).
        is_rle: whether the frames are RLE, which has no mark of its own.

    Raises:
        BadInputError: it holds streams whose texts cannot be told, such as a film or a damaged one.
    """
    try:
        (first, last), *items = list(_items(encapsulated))
        made = bytearray(encapsulated[: items[-1][1] if items else last])
        for places in _frames(encapsulated, items, is_rle=is_rle):
            stream = b"".join(encapsulated[start:stop] for start, stop in places)
            clean = _without_texts(stream, _walk_of(stream, is_rle=is_rle))
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


def _walk_of(stream: bytes, *, is_rle: bool) -> Iterator[Place]:
    if is_rle:
        return _rle(stream)
    kinds: dict[bytes, Callable[[bytes], Iterator[Place]]] = {_JPEG_START: _jpeg, _J2K_START: _j2k, _JP2_START: _jp2}
    for start, walk in kinds.items():
        if stream.startswith(start):
            return walk(stream)
    raise ValueError("no stream that is known")


def _without_texts(stream: bytes, places: Iterator[Place]) -> bytes:
    made = bytearray(stream)
    for start, stop in places:
        made[start:stop] = b" " * (min(stop, len(made)) - start)
    return bytes(made)


def _jpeg(data: bytes) -> Iterator[Place]:
    position = 2
    while position < len(data):
        marker, position = _marker(data, position)
        if marker == _JPEG_END:
            yield position, len(data)
            return
        if marker in _JPEG_ALONE:
            continue
        end = position + _length(data, position)
        if marker not in _JPEG_KEPT:
            start, count = _JPEG_NEEDED.get(marker, (b"", 0))
            yield position + 2 + (count if data.startswith(start, position + 2) else 0), end
        if marker == _JPEG_SCAN:
            found = _JPEG_MARKER.search(data, end)
            end = len(data) if found is None else found.start()
        position = end


def _j2k(data: bytes) -> Iterator[Place]:
    position, tile_end = 2, 0
    while position < len(data):
        marker, position = _marker(data, position)
        if marker == _J2K_END:
            yield position, len(data)
            return
        if marker == _J2K_TILE:
            size = unpack_from(">I", data, position + 4)[0]
            tile_end = position - 2 + size if size else len(data)
        if marker == _J2K_DATA:
            if tile_end < position:
                raise ValueError("a tile that leads nowhere")
            position = tile_end
            continue
        end = position + _length(data, position)
        if marker == _J2K_COMMENT:
            yield position + 2 + _REGISTRATION_BYTES, end
        position = end


def _jp2(data: bytes) -> Iterator[Place]:
    return _boxes(data, 0, len(data))


def _boxes(data: bytes, position: int, stop: int, *, is_header: bool = False) -> Iterator[Place]:
    """Walk boxes, and those within the header. A profile of colours counts as a text: it has a description."""
    while position < stop:
        length, kind = unpack_from(">I4s", data, position)
        end = position + length if length else stop
        if length == 1 or end > stop or end < position + 8:
            raise ValueError("a box that leads nowhere")
        if kind == b"jp2h" and not is_header:
            yield from _boxes(data, position + 8, end, is_header=True)
        elif kind == b"jp2c":
            yield from ((position + 8 + start, position + 8 + last) for start, last in _j2k(data[position + 8 : end]))
            yield end, stop  # a byte of padding, or boxes that no decoder needs
            return
        elif kind == b"colr":
            yield position + 8 + (7 if data[position + 8] == 1 else 3), end
        elif kind not in _JP2_KEPT:
            yield position + 8, end
        position = end


def _rle(data: bytes) -> Iterator[Place]:
    """Check the header, whose spare offsets are zero; its segments hold pixels and nothing else."""
    count, *offsets = unpack_from("<16I", data)
    found = offsets[:count]
    if not 0 < count <= _RLE_MOST or any(offsets[count:]) or found[0] != 64 or sorted(found) != found:
        raise ValueError("no header of RLE")
    yield 0, 0


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
