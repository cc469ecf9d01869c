"""What a query needs of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement found."""

    def __iter__(self) -> Iterator[Any]: ...
    def fetchone(self) -> Any: ...  # noqa: D102
    def fetchall(self) -> list[Any]: ...  # noqa: D102


class Connection(Protocol):
    """Runs statements; ``?`` stands for a parameter."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows: ...  # noqa: D102
    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> object: ...  # noqa: D102


class SharedDatabase(Protocol):
    """Lends connections; safe to share between threads, and after a fork. Errors are ``StorageError``."""

    def read(self) -> AbstractContextManager[Connection]:
        """Lend a connection for reading; every statement sees what was committed before it."""
        ...

    def moment(self) -> AbstractContextManager[Connection]:
        """Lend a connection for reading; all its statements see one moment."""
        ...

    def write(self, *, undo: Callable[[], None] | None = None) -> AbstractContextManager[Connection]:
        """Lend a connection inside a write transaction; nobody else writes meanwhile. ``undo`` runs if it fails."""
        ...

    def close(self) -> None:
        """Close the connections nobody is using."""
        ...
