"""Attributes in the DICOM JSON model (PS3.18 Annex F), as a search answers with: any of them may be missing or odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import tag_for_keyword

Attributes = Mapping[str, Any]
"""One result of a search: values by tag in hex."""

_MOST = 2**31


def text(found: Attributes, keyword: str) -> str:
    """Return the first value of an attribute as text that UTF-8 can write; empty if there is none.

    A name is its alphabetic form.
    """
    value = _first(found, keyword)
    if isinstance(value, Mapping):
        value = value.get("Alphabetic")
    return str(value).encode(errors="ignore").decode().strip(" \0") if isinstance(value, str | int | float) else ""


def number(found: Attributes, keyword: str) -> int:
    """Return the first value of an attribute as a whole number below 2^31; 0 if it is none, or negative."""
    try:
        value = int(text(found, keyword))
    except ValueError:
        return 0
    return value if 0 <= value < _MOST else 0


def _first(found: Attributes, keyword: str) -> Any:
    element = found.get(f"{tag_for_keyword(keyword):08X}")
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values[0] if isinstance(values, list) and values else None
