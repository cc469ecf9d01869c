"""Values made fit for JSON, whatever an app returned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """Return the value as dicts, lists, strings, numbers, booleans and None.

    Numbers that JSON does not have (NaN, infinity) become None; halves of characters, which cannot be sent, become
    ``?``; arrays and tensors become lists; anything unknown becomes its text.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    tolist = getattr(value, "tolist", None)
    if callable(tolist):  # numpy scalars and arrays, tensors
        return plain(tolist())
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def number(value: Any, default: float = 0.0) -> float:
    """Return a finite number: the value, or the default where it is none."""
    value = plain(value)
    return float(value) if isinstance(value, int | float) else default
