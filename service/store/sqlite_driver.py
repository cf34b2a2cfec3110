"""aiosqlite with one trip to a connection's thread for each statement, where SQLAlchemy's adapter makes four.

A trip costs more than most of our statements. The adapter asks for a cursor, for the statement, for the rows and for
the cursor's end one after the other; here all of that happens on the way of the statement, and the rest is memory.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiosqlite

STATEMENTS_KEPT: Final = 512


class Cursor:
    """What SQLAlchemy's adapter uses of an aiosqlite cursor; the rows are read when the statement is executed."""

    arraysize = 1
    rowcount = -1
    lastrowid: int | None = None
    description: Any = None

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Self:
        def run(driver: sqlite3.Connection) -> sqlite3.Cursor:
            cursor = driver.execute(sql, parameters)  # type: ignore[arg-type]
            self._rows = cursor.fetchall() if cursor.description else []
            return cursor

        return await self._finish(run)

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        def run(driver: sqlite3.Connection) -> sqlite3.Cursor:
            return driver.executemany(sql, parameters)  # type: ignore[arg-type]

        return await self._finish(run)

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        self._rows = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _finish(self, run: Any) -> Self:
        def work() -> None:
            cursor = run(self._connection._conn)  # noqa: SLF001 (a subclass's right)
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            cursor.close()

        await self._connection._execute(work)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return self


class Connection(aiosqlite.Connection):
    """A connection whose cursors make one trip."""

    def cursor(self) -> Any:
        return Cursor(self)


async def dial(path: Path, busy_seconds: float) -> Connection:
    """A connection in autocommit, as the transactions of `database.py` begin and end by themselves."""

    def connect() -> sqlite3.Connection:
        _make_private(path)
        return sqlite3.connect(
            path, timeout=busy_seconds, isolation_level=None, cached_statements=STATEMENTS_KEPT, check_same_thread=True
        )

    connection = Connection(connect, iter_chunk_size=64)
    connection._thread.daemon = True  # noqa: SLF001 (as SQLAlchemy does: a thread must not keep a dying process alive)
    await connection
    return connection


def _make_private(path: Path) -> None:
    """Make the file of a new database so that only its owner reads it; SQLite gives its log and index the same mode."""
    with contextlib.suppress(OSError):  # it is there, or its folder is not, which SQLite says better
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
