"""A PostgreSQL database that servers on several machines share, used as the SQLite files are: one writer at a time."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hepatic.errors import BadInputError
from hepatic.store.database import Schema
from hepatic.store.disk import DiskFullError, StorageError

if TYPE_CHECKING:
    import psycopg
    from psycopg_pool import ConnectionPool

WRITERS = 0x68657061
"""The advisory lock of whoever writes, so that rows are numbered in the order in which they are committed."""
MOST = 8
"""Connections of one server."""
WAIT_S = 5.0
"""How long a request waits for a connection."""
_FIRST = 2
"""The version that the statements make here; its triggers are PostgreSQL's own."""

_DIALECT = (
    (r"INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bREAL\b", "DOUBLE PRECISION"),
    (r"\bWITHOUT ROWID\b", ""),
)


class Postgres:
    """Connections to one PostgreSQL database; see ``hepatic.store.connection.SharedDatabase``.

    Args:
        url: ``postgresql://user:password@host/database``, of a database that holds nothing else; its tables are made if
            they are not there.
        schema: what it holds, in SQLite's words.
        added_only: tables whose rows are never changed.

    Raises:
        BadInputError: the address is none, or its password is not percent-encoded.
        StorageError: psycopg is not installed, the database cannot be reached or used, or is of a newer hepatic.
    """

    def __init__(self, url: str, schema: Schema, *, added_only: Sequence[str] = ()) -> None:
        self._url, self._schema, self._added_only = url, schema, added_only
        about = _parts(url)
        self.name = f"{about.get('dbname', 'postgres')} at {about.get('host', 'this machine')}"
        self._pool: ConnectionPool[psycopg.Connection[Any]] | None = None
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._create()

    @contextmanager
    def read(self) -> Iterator[_Connection]:
        """Lend a connection for reading; every statement sees what was committed before it."""
        with self._lent() as connection:
            yield _Connection(connection)

    @contextmanager
    def moment(self) -> Iterator[_Connection]:
        """Lend a connection for reading; all its statements see one moment."""
        with self._lent() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield _Connection(connection)

    @contextmanager
    def write(self, *, undo: Callable[[], None] | None = None) -> Iterator[_Connection]:
        """Lend a connection inside a write transaction; no other server writes meanwhile.

        Args:
            undo: called if the transaction fails, after it was rolled back.
        """
        try:
            with self._lent() as connection, connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")  # sees what it waited for
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS,))
                yield _Connection(connection)
        except BaseException:
            if undo is not None:
                undo()
            raise

    def close(self) -> None:
        """Close all connections; new ones are opened if it is used again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextmanager
    def _lent(self) -> Iterator[psycopg.Connection[Any]]:
        import psycopg
        from psycopg_pool import PoolTimeout

        try:
            with self._opened().connection() as connection:
                yield connection
        except psycopg.errors.DiskFull as error:
            raise DiskFullError("The disk of the database is full: free some space and try again.") from error
        except psycopg.IntegrityError:
            raise
        except psycopg.DataError as error:
            raise BadInputError(
                "what is to be stored",
                expected="text and numbers that the database can hold",
                came=str(error).splitlines()[0],
                fix="Correct it.",
            ) from None
        except PoolTimeout as error:  # which does not say why
            self._try()
            raise self._unusable("no connection became free") from error
        except psycopg.Error as error:
            raise self._unusable(error) from error

    def _try(self) -> None:
        """Connect once.

        Raises:
            StorageError: it fails; says why.
        """
        import psycopg

        try:
            psycopg.connect(self._url, connect_timeout=2).close()
        except psycopg.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, why: object) -> StorageError:
        first_line = str(why).partition("\n")[0]
        return StorageError(
            f"The {self._schema.holds} in the database {self.name} cannot be used: {first_line}. "
            "What was acknowledged is kept there; try again when it answers."
        )

    def _opened(self) -> ConnectionPool[psycopg.Connection[Any]]:
        from psycopg_pool import ConnectionPool

        with self._lock:
            if self._pid != os.getpid():  # forked: the parent's connections are not ours
                self._inherited, self._pool, self._pid = self._pool, None, os.getpid()
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._url,
                    min_size=0,
                    max_size=MOST,
                    timeout=WAIT_S,
                    reconnect_timeout=WAIT_S,
                    kwargs={"autocommit": True, "options": "-c synchronous_commit=on"},
                    check=self._check,
                    open=True,
                )
            return self._pool

    def _check(self, connection: psycopg.Connection[Any]) -> None:
        """Refuse a broken connection, and with it all that are idle: the database was restarted."""
        import psycopg

        try:
            connection.execute("")
        except psycopg.Error:
            if self._pool is not None:
                self._pool.drain()
            raise

    def _create(self) -> None:
        self._try()
        with self.write() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS hepatic_schema (version BIGINT NOT NULL)")
            ((version,),) = connection.execute("SELECT max(version) FROM hepatic_schema")
            if version is None:
                for statement in self._statements():
                    connection.execute(statement)
                connection.execute("INSERT INTO hepatic_schema (version) VALUES (?)", (_FIRST,))
                version = _FIRST
            for step in self._schema.upgrades[version - 1 :]:
                step(connection)
            if version < self._schema.version:
                connection.execute("UPDATE hepatic_schema SET version = ?", (self._schema.version,))
            if version > self._schema.version:
                raise StorageError(
                    f"The database {self.name} is of a newer hepatic (schema {version}, this one knows "
                    f"{self._schema.version}). Update hepatic on every server."
                )

    def _statements(self) -> Iterator[str]:
        statements = self._schema.statements
        for ours, theirs in _DIALECT:
            statements = re.sub(ours, theirs, statements)
        yield from (statement for statement in statements.split(";") if statement.strip())
        yield (
            "CREATE FUNCTION rows_are_only_added() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '%: rows are only ever added', TG_TABLE_NAME; END $$"
        )
        for table in self._added_only:
            yield (
                f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION rows_are_only_added()"
            )


def _parts(url: str) -> dict[str, Any]:
    """Return what an address says, unless a piece of its password may be taken for something else.

    Raises:
        BadInputError: it is no address, or ``@``, ``/``, ``:`` or ``%`` of a password stand there as they are.
        StorageError: psycopg is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise StorageError("PostgreSQL needs psycopg: pip install 'hepatic[postgres]'.") from None
    with suppress(psycopg.Error):
        about = psycopg.conninfo.conninfo_to_dict(url)
        ports = str(about.get("port", "")).split(",")
        named = f"{about.get('host', '')}{about.get('dbname', '')}"
        if "@" not in named and all(port.isdecimal() or not port for port in ports):
            return about
    raise BadInputError(
        "address of the PostgreSQL database",
        expected="postgresql://user:password@host/database",
        came="something else",
        fix="Correct HEPATIC_REVIEWS_DATABASE, and percent-encode the password in it (@ is %40, / is %2F, % is %25).",
    )


class _Connection:
    """Takes statements with ``?``."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        if not parameters:
            return self._connection.execute(sql.encode())
        return self._connection.execute(_placed(sql), parameters)

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_placed(sql), parameters)


def _placed(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()
