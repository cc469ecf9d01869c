"""Which lines of a training's output are told to clients: all but tracebacks, of which only the last line is."""

from __future__ import annotations

_BEGIN = "Traceback (most recent call last):"
_BETWEEN = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


class Told:
    """Decides line by line, as they come."""

    def __init__(self) -> None:
        self._in_traceback = False

    def __call__(self, line: str) -> bool:
        """Whether the next line is told."""
        if line.endswith(_BEGIN):  # a logged one may begin behind the time
            self._in_traceback = True
            return False
        if self._in_traceback and line[:1].isspace():
            return False
        self._in_traceback = False
        return line not in _BETWEEN
