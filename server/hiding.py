"""Texts for clients, without the folders of this machine: their names may be those of patients and users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

_ROOT = "..."
_URL = r"(?:file:(?://[^\s\\/]*)?)?"
# of a path with spaces in it, a part reaches as far as the last separator; one before which a new path begins does not
_PLAIN_TAIL = r"""(?:[\\/]+[^\\/\s:'"<>|,;()](?:[^\\/\n:'"<>|,;()]*[^\\/\s:'"<>|,;()=])?(?=[\\/]))*"""
_ROOTED_TAIL = r"""(?:[\\/]+(?:[^\\/\n:"<>|]*[^\\/\s:'"<>|,;(=\[{])(?=[\\/]))*"""
_LAST = r"""[\\/]+(?P<last>[^\\/\s:'"<>|,;()]+)"""
_PATH = re.compile(rf"(?<![\w:/.\\]){_URL}(?:[A-Za-z]:)?{_PLAIN_TAIL}{_LAST}")


class Hiding:
    """Takes paths out of texts; knows folders of this machine, whose names may hold anything."""

    def __init__(self) -> None:
        self._roots: frozenset[str] = frozenset()
        self._rooted: re.Pattern[str] | None = None

    def add(self, folders: Iterable[str | Path]) -> None:
        """Hide these folders from now on, and everything below them."""
        given = [Path(folder).absolute() for folder in folders]
        known = {str(one) for folder in given for one in (folder, folder.resolve()) if one != Path(one.anchor)}
        self._roots |= known
        longest_first = "|".join(re.escape(root) for root in sorted(self._roots, key=len, reverse=True))
        self._rooted = re.compile(rf"(?<![\w./]){_URL}(?:{longest_first})(?![\w-])(?:{_ROOTED_TAIL}{_LAST}|[\\/]*)")

    def without_paths(self, text: str, *, last: Callable[[str], str] = str) -> str:
        """Return a text with every absolute path and ``file:`` URL cut down to its last part.

        Args:
            last: what is told of that part.
        """
        if self._rooted is not None:
            text = self._rooted.sub(lambda found: last(found["last"]) if found["last"] else _ROOT, text)
        return _PATH.sub(lambda found: last(found["last"]), text)


HIDING = Hiding()
"""One for the process: whatever is told to a client goes through it, from wherever."""


def without_paths(text: str) -> str:
    """Return a text fit for clients; see ``Hiding.without_paths``."""
    return HIDING.without_paths(text)
