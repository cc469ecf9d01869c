"""Reading the audit log: chosen entries, and whether all of it is still there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from hepatic.errors import BadInputError
from hepatic.store.disk import storage
from server.access.audit import FIRST, files_of, hash_of

COLUMNS = ("number", "at", "event", "who", "by", "address", "what", "ids", "status", "request", "hash")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet runs when a cell begins with it."""


@dataclass(frozen=True)
class Verdict:
    """Whether the chain holds.

    Args:
        entries: how many were read.
        last: number of the last.
        hash: its hash; note it elsewhere, and ask for it later.
        problems: what is wrong, and where; empty if nothing is.
    """

    entries: int
    last: int
    hash: str
    problems: tuple[str, ...]


def entries(
    folder: Path, *, since: datetime | None = None, until: datetime | None = None, user: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield entries, oldest first.

    Args:
        folder: of the audit log.
        since: from when on.
        until: until before when.
        user: whose only.
    """
    for file in files_of(folder):
        if since is not None and file.name[:7] < f"{since.astimezone(UTC):%Y-%m}":
            continue
        for line in _lines(file):
            entry = _parsed(line)
            if entry is None:
                continue
            at = datetime.fromisoformat(entry["at"])
            if (since is None or at >= since) and (until is None or at < until) and (not user or entry["who"] == user):
                yield entry


def verify(folder: Path, *, contains: str = "") -> Verdict:
    """Go through the chain from its first entry on.

    Args:
        folder: of the audit log.
        contains: a hash that was noted earlier; it must still be in it. Only so does it show that entries were cut off
            the end, or that everything was written anew.
    """
    previous, number, count, problems = FIRST, 0, 0, []
    found = not contains
    for file in files_of(folder):
        for at, line in enumerate(_lines(file), start=1):
            place = f"{file.name}, line {at}"
            entry = _parsed(line)
            count += 1
            if entry is None:
                problems.append(f"{place}: this is no entry")
                previous, number = "", number + 1
                continue
            if entry.get("hash") != hash_of(entry):
                problems.append(f"{place}: entry {entry.get('number')} was changed")
            elif entry.get("number") != number + 1:
                problems.append(f"{place}: entry {number + 1} should be here, and entry {entry.get('number')} is")
            elif previous and entry.get("previous") != previous:
                problems.append(f"{place}: the entry before {entry.get('number')} was changed or replaced")
            previous = str(entry.get("hash"))
            number = entry["number"] if isinstance(entry.get("number"), int) else number + 1
            found = found or previous == contains
    if not found:
        problems.append(f"no entry has the hash {contains[:64]}: the end was cut off, or everything was written anew")
    return Verdict(count, number, previous, tuple(problems))


def write_csv(chosen: Iterable[dict[str, Any]], stream: TextIO) -> int:
    """Write entries as CSV, for a spreadsheet, and return how many."""
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    count = 0
    for entry in chosen:
        ids = "; ".join(f"{key}={value}" for key, value in entry["ids"].items())
        writer.writerow([_harmless({**entry, "ids": ids}[column]) for column in COLUMNS])
        count += 1
    return count


def write_jsonl(chosen: Iterable[dict[str, Any]], stream: TextIO) -> int:
    """Write entries as they are kept, one a line, and return how many."""
    count = 0
    for entry in chosen:
        stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
        count += 1
    return count


def moment(text: str, option: str, *, end: bool = False) -> datetime:
    """Read a date or a time, ISO 8601; without a zone, this machine's. With ``end``, a date means its end.

    Raises:
        BadInputError: it is neither.
    """
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInputError(
            option, expected="a date or time", came=text, fix="Write 2026-11-21 or 2026-11-21T08:00."
        ) from None
    if end and len(text.strip()) == len("2026-11-21"):
        when += timedelta(days=1)
    return when.astimezone()


def _lines(file: Path) -> Iterator[str]:
    with storage("read the audit log"), file.open(encoding="utf-8", errors="replace") as stream:
        yield from stream


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"at", "who", "ids"} <= entry.keys() else None


def _harmless(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
