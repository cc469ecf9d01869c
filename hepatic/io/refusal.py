"""Turn whatever a broken file provokes into one error a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hepatic.errors import BadInputError, NotFoundError

Source = Path | Sequence[Path]

_PANIC = "PanicException"  # of decoders written in Rust (pylibjpeg-rle); not an Exception, and of no importable class


class NotAnImageError(BadInputError):
    """A file that never was an image: a report, a segmentation object, a DICOMDIR, a text file.

    An index skips these silently; any other ``BadInputError`` is an image that is broken.
    """


def name_of(source: Source) -> str:
    """Return what errors call this source: a base name, never a path."""
    if isinstance(source, Path):
        return source.name or "."
    return source[0].name if len(source) == 1 else f"{len(source)} files"


@contextmanager
def refusing(path: Path, *, expected: str) -> Iterator[None]:
    """Let ``BadInputError`` pass and turn every other exception into one.

    The parser's own words are kept out of the message, they may quote the patient; the cause is chained.

    Raises:
        NotFoundError: the file is not there.
        BadInputError: anything else went wrong.
    """
    try:
        yield
    except BadInputError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(
            path.name, expected=expected, came="nothing of that name", fix="Check the name, or scan the studies again."
        ) from error
    except OSError as error:
        came = f"a file that cannot be read ({type(error).__name__})"
        raise BadInputError(
            path.name, expected=expected, came=came, fix="Check the file's permissions, or copy it again."
        ) from error
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        came = f"content that cannot be decoded ({type(error).__name__})"
        raise BadInputError(
            path.name, expected=expected, came=came, fix="Export the image again; the file may be truncated or damaged."
        ) from error
