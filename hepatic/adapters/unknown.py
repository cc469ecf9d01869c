"""Errors that are hepatic's and MONAI Label's at once: what was asked for is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hepatic.adapters import compat
from hepatic.errors import NotFoundError

compat.install()

from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException  # noqa: E402


class UnknownImageError(NotFoundError, ImageNotFoundException):  # type: ignore[misc]
    """No image has this id, or its files have gone."""

    def __str__(self) -> str:
        return str(self.msg)


class UnknownLabelError(NotFoundError, LabelNotFoundException):  # type: ignore[misc]
    """The image has no label with this tag."""

    def __str__(self) -> str:
        return str(self.msg)


@contextmanager
def found_or(kind: type[UnknownImageError] | type[UnknownLabelError]) -> Iterator[None]:
    """Turn the store's NotFoundError into this one."""
    try:
        yield
    except NotFoundError as error:
        raise kind(error.what, expected=error.expected, came=error.came, fix=error.fix) from None
