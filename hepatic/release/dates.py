"""Dates that move together (PS3.15, E.3.6, with modified dates)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_TIME = re.compile(r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?")
_ZONE = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d")


def shifted(value: str, vr: str, by: timedelta) -> str:
    """Return a date, or a time with its date, moved by whole days; clock times stay, what is neither goes."""
    if vr == "TM":
        return value if _TIME.fullmatch(value.strip()) else ""
    digits = value.replace(".", "") if vr == "DA" else value
    try:
        day = datetime.strptime(digits[:8], "%Y%m%d") + by  # noqa: DTZ007
    except (ValueError, OverflowError):
        return ""
    if vr == "DA":
        return f"{day:%Y%m%d}"
    clock, zone = _TIME.match(digits, 8), _ZONE.search(digits, 8)
    if (clock.end() if clock else 8) != (zone.start() if zone else len(digits)):
        return ""
    return f"{day:%Y%m%d}{digits[8:]}"
