"""Read single DICOM elements from files that may hold anything."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from pydicom.dataset import Dataset

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, NotImplementedError, IndexError)
"""What pydicom raises where an element is asked for that holds nonsense."""


def text(dataset: Dataset, keyword: str) -> str | None:
    """Return an element as stripped text; None where it is absent, empty or unreadable."""
    try:
        value = dataset.get(keyword)
    except UNREADABLE:
        return None
    if value is None:
        return None
    return str(value).strip() or None


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """Return an element as finite numbers.

    None where it is absent, empty, not numeric, or does not hold ``count`` of them.
    """
    try:
        value = dataset.get(keyword)
        if value is None or isinstance(value, bytes):
            return None
        several = isinstance(value, Sequence) and not isinstance(value, str)
        found = tuple(float(v) for v in (value if several else [value]))
    except UNREADABLE:
        return None
    if not found or not all(isfinite(v) for v in found) or (count is not None and len(found) != count):
        return None
    return found


def whole(dataset: Dataset, keyword: str) -> int | None:
    """Return an element as one whole number; None where it is absent or is not one."""
    found = numbers(dataset, keyword, 1)
    return int(found[0]) if found is not None and found[0].is_integer() else None


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; empty where it is absent or is not a sequence."""
    try:
        value = dataset.get(keyword)
        return tuple(item for item in value or () if isinstance(item, Dataset))
    except UNREADABLE:
        return ()
