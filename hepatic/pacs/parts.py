"""The parts of a ``multipart/related`` answer, written to files as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.message import Message
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from hepatic.pacs.error import nonsense


def write_parts(
    content_type: str,
    chunks: Iterable[bytes],
    begin: Callable[[], BinaryIO],
    end: Callable[[BinaryIO], None],
) -> int:
    """Write each DICOM file of an answer to a file of its own; return how many there were.

    Args:
        content_type: of the answer; ``application/dicom`` and ``application/octet-stream`` are one file without parts,
            which is against the standard and common.
        chunks: its body.
        begin: opens the file for the next part.
        end: called with that file when the part has come to its end.

    Raises:
        PacsError: it is something else, or breaks off.
    """
    about = Message()
    about["Content-Type"] = content_type
    kind, boundary = about.get_content_type(), about.get_param("boundary")
    if kind in ("application/dicom", "application/octet-stream"):
        file = begin()
        for chunk in chunks:
            file.write(chunk)
        end(file)
        return 1
    if kind != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise nonsense(f"{ascii(kind)[:60]} came instead of DICOM files")
    parts = _Parts(begin, end)
    try:
        parser = MultipartParser(
            boundary.encode("latin-1", "replace"),
            {
                "on_part_begin": parts.on_begin,
                "on_part_data": parts.on_data,
                "on_part_end": parts.on_end,
                "on_end": parts.on_last,
            },
        )
        for chunk in chunks:
            parser.write(chunk)
    except FormParserError as failure:
        raise nonsense("its parts are not set off as they should be") from failure
    if not parts.complete:
        raise nonsense("it breaks off")
    return parts.count


class _Parts:
    def __init__(self, begin: Callable[[], BinaryIO], end: Callable[[BinaryIO], None]) -> None:
        self._begin, self._end = begin, end
        self._file: BinaryIO | None = None
        self.count, self.complete = 0, False

    def on_begin(self) -> None:
        self._file = self._begin()

    def on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def on_end(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            self.count += 1
            self._end(file)

    def on_last(self) -> None:
        self.complete = True
