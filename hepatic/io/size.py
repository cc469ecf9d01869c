"""Refuse absurd sizes before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hepatic.errors import BadInputError
from hepatic.settings import settings


def check_size(name: str, size: Sequence[int], *, max_pixels: int | None) -> None:
    """Check the number of pixels a header promises.

    Args:
        name: what the error calls the file.
        size: pixels along each axis, frames included, samples of a colour excluded.
        max_pixels: most pixels over all frames; None takes ``settings().max_pixels``.

    Raises:
        BadInputError: an axis is not positive, or there are too many pixels.
    """
    limit = settings().max_pixels if max_pixels is None else max_pixels
    words = " x ".join(str(int(n)) for n in size)
    if not size or min(size) < 1:
        raise BadInputError(
            name, expected="a positive number of pixels along each axis", came=words or "none", fix="Export it again."
        )
    if prod(int(n) for n in size) > limit:
        raise BadInputError(
            name,
            expected=f"at most {limit} pixels over all frames",
            came=words,
            fix="Crop or split the image, or raise HEPATIC_MAX_PIXELS.",
        )


def check_bytes(name: str, *, promised: int, there: int) -> None:
    """Check that a file can hold the bytes its header promises.

    Raises:
        BadInputError: fewer bytes are there.
    """
    if promised > there:
        raise BadInputError(
            name,
            expected=f"{promised} bytes of pixel data, as its header says",
            came=f"{max(there, 0)} bytes at most",
            fix="Copy or export the file again: it is truncated, or its header is wrong.",
        )
