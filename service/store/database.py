"""Connections and transactions: the same Core statements on SQLite and on PostgreSQL, whose driver is our choice.

SQLite has one writer connection, handed out in turn, and a few readers, which WAL lets read on during a write.
PostgreSQL has one pool. A database that is gone for the moment is one error, whichever engine it is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import URL, FromClause, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.store.sqlite_driver import dial as dial_sqlite

Dialect = Literal["sqlite", "postgresql"]
Dial = Callable[[Path, float], Awaitable[Any]]
"""Makes a connection to a SQLite file, which waits so many seconds for a lock: `sqlite_driver.dial`, or what acts like it."""

SQLITE_READERS: Final = 4
POSTGRESQL_CONNECTIONS: Final = 20
QUEUE_SECONDS: Final = 15.0
CONNECT_SECONDS: Final = 5.0

_AFTER_COMMIT: Final = "calgate_after_commit"

# sqlite.org/rescode.html: BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, PROTOCOL. The rest is somebody's mistake.
_LOCKED: Final = frozenset({5, 6})
_PASSING_SQLITE: Final = frozenset({5, 6, 7, 10, 13, 14, 15})
# postgresql.org/docs/current/errcodes-appendix.html: connection, resources, shutdown and start-up; then the conflicts of
# concurrent transactions, a lock that was not had in time, and a cancelled statement.
_PASSING_CLASSES: Final = ("08", "53", "57P")
_SQLITE_FULL: Final = 13
_DISK_FULL: Final = "53100"
_PASSING_STATES: Final = frozenset({"40001", "40P01", "55P03", "57014"})


class DatabaseUnavailable(Exception):
    """The database is locked, down or full: nothing was written, and the same call may succeed in a while."""

    is_full = False


class Database:
    """Where the rows are. `read()` and `write()` are transactions; the exit of `write()` commits.

    `dialect` is `sqlite` or `postgresql`; `path` is the file of a SQLite database.
    """

    def __init__(self, url: str, dialect: Dialect, path: Path | None, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self.url = url
        self.dialect = dialect
        self.path = path
        self._writer = writer
        self._reader = reader
        self._looker = reader.execution_options(isolation_level="AUTOCOMMIT")
        self._turn = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        busy_seconds: float = 5.0,
        connections: int = POSTGRESQL_CONNECTIONS,
        foreign_keys: bool = True,
        dial: Dial = dial_sqlite,
    ) -> Self:
        """The database at `sqlite:///calgate.db`, `sqlite:////path` or `postgresql://...` (any form libpq takes).

        Nothing is dialled before the first transaction. `busy_seconds` is how long another process may keep the lock of
        a SQLite file, and `dial` makes the connections to it; `foreign_keys` False leaves them unchecked there, for
        migrations. Raises ValueError for any other URL.
        """
        path = sqlite_path(url)
        if path is None:
            engine = _postgresql_engine(postgresql_dsn(url), connections)
            # The snapshot that a SQLite reader has, on PostgreSQL too; it is part of BEGIN and costs nothing.
            reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return cls(url, "postgresql", None, engine, reader)
        keys = f"foreign_keys = {foreign_keys:d}"
        writer = _sqlite_engine(path, 1, busy_seconds, dial, ["cache_size = -16384", keys])
        reader = _sqlite_engine(path, SQLITE_READERS, busy_seconds, dial, ["cache_size = -4096", "query_only = ON"])
        return cls(url, "sqlite", path, writer, reader)

    @property
    def lacks_folder(self) -> bool:
        """Whether the SQLite file could not even be made; always False for PostgreSQL."""
        return self.path is not None and not self.path.parent.is_dir()

    async def is_empty(self) -> bool:
        """Whether it has no tables at all, or is not there yet. Raises DatabaseUnavailable."""
        if self.path is not None and not self.path.exists():
            return True
        async with self.read() as conn:
            return not await conn.run_sync(lambda connection: inspect(connection).get_table_names())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction on one snapshot; never waits for a writer. Raises DatabaseUnavailable."""
        async with self._transaction(self._reader, "BEGIN DEFERRED") as conn:
            yield conn

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncConnection]:
        """A connection for questions that need no common snapshot. Raises DatabaseUnavailable.

        Each statement is a transaction of its own: beginning and ending one takes longer than most questions.
        """
        async with self._transaction(self._looker, None) as conn:
            yield conn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed on exit, rolled back by an exception. Raises DatabaseUnavailable.

        What `after_commit` was told runs after the commit, before this returns. Not to be nested: on SQLite the inner
        one could only wait for the outer.
        """
        if self.dialect == "postgresql":
            async with self._announced() as conn:
                yield conn
            return
        if self._holder is not None and self._holder is asyncio.current_task():
            raise RuntimeError("write() inside write(): hand the connection down instead")
        # Taking turns here instead of in SQLite: its lock has no queue, and waits for it by sleeping.
        async with self._turn:
            self._holder = asyncio.current_task()
            try:
                async with self._announced() as conn:
                    yield conn
            finally:
                self._holder = None

    async def aclose(self) -> None:
        """Close every connection. Always to be called: a SQLite connection is a thread."""
        try:
            await self._writer.dispose()
        finally:
            await self._reader.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @asynccontextmanager
    async def _announced(self) -> AsyncIterator[AsyncConnection]:
        calls: list[Callable[[], None]] = []
        async with self._transaction(self._writer, "BEGIN IMMEDIATE") as conn:
            info = conn.info  # asked for once: a connection that broke meanwhile does not answer
            info[_AFTER_COMMIT] = calls
            try:
                yield conn
            finally:
                del info[_AFTER_COMMIT]
        for call in calls:
            call()

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine, begin: str | None) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            try:
                conn = await stack.enter_async_context(engine.connect())
            except Exception as error:
                _tell(error, connecting=True)
                raise
            try:
                async with conn.begin():
                    if begin is not None and self.dialect == "sqlite":
                        # By the driver itself: one hop to its thread, where a statement of SQLAlchemy's makes three.
                        raw = await conn.get_raw_connection()
                        await cast("Any", raw.driver_connection).execute(begin)
                    yield conn
            except Exception as error:
                _tell(error, connecting=False)
                raise


def after_commit(conn: AsyncConnection, call: Callable[[], None]) -> None:
    """Have `call` run when the transaction of `conn`, from `Database.write()`, has been committed; else never."""
    calls = conn.info.get(_AFTER_COMMIT)
    if calls is None:
        raise RuntimeError("after_commit() outside Database.write()")
    calls.append(call)


def insert(dialect: str, table: FromClause) -> postgresql.Insert:
    """INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`, written once for both dialects.

    `dialect` is `Database.dialect` or `conn.dialect.name`. Name the conflict by `index_elements`, never by
    `constraint`, which only PostgreSQL has.
    """
    if dialect == "postgresql":
        return postgresql.insert(cast("Any", table))
    # The same methods with the same arguments, without a common type in SQLAlchemy.
    return cast("postgresql.Insert", sqlite.insert(cast("Any", table)))


def sqlite_path(url: str) -> Path | None:
    """The file that a SQLite URL names, absolute; None for PostgreSQL. Raises ValueError for anything else."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ValueError("not a database URL: sqlite:///FILE or postgresql://...") from error
    if parsed.drivername in {"postgresql", "postgres"}:
        return None
    if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise ValueError("not a database URL: sqlite:///FILE or postgresql://...")
    return Path(parsed.database).expanduser().absolute()


def postgresql_dsn(url: str) -> str:
    """The URL as asyncpg takes it: what libpq alone knows (`channel_binding`) left out."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "channel_binding"]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _sqlite_engine(path: Path, size: int, busy_seconds: float, dial: Dial, more: list[str]) -> AsyncEngine:
    async def connect() -> Any:
        if not path.parent.is_dir():
            raise DatabaseUnavailable(f"CALGATE_DATABASE_URL: the folder {path.parent} does not exist")
        connection = await dial(path, busy_seconds)
        try:
            await _use_wal(connection, busy_seconds)
        except BaseException:
            await connection.close()
            raise
        return connection

    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=QUEUE_SECONDS,
        pool_reset_on_return=None,  # every transaction here ends by itself
        hide_parameters=True,  # an error must not show what somebody's calendar holds
    )
    # No mmap: an I/O error would be a signal that kills the process instead of an error.
    pragmas = [
        "synchronous = FULL",
        "temp_store = MEMORY",
        "journal_size_limit = 67108864",
        *more,
    ]

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def roll_back(connection: Any, _record: object, _error: object) -> None:
        # Who is cancelled within a statement leaves it unfinished, and a connection that is closed then keeps its
        # transaction, and with it everybody's lock, until the statement is collected.
        connection.run_async(lambda driver: driver.rollback())

    return engine


async def _use_wal(connection: Any, busy_seconds: float) -> None:
    """Turn the file to WAL, which is for good. Raises sqlite3.OperationalError when others keep it locked.

    Where several open a new file at once, SQLite says at once that it is busy, however long it was told to wait
    (sqlite.org/c3ref/busy_handler.html: no waiting where that could be a deadlock).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + busy_seconds
    while True:
        try:
            await (await connection.execute("PRAGMA journal_mode = WAL")).close()
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _LOCKED or loop.time() >= end:
                raise
            await asyncio.sleep(0.01)
        else:
            return


def _postgresql_engine(dsn: str, connections: int) -> AsyncEngine:
    async def dial() -> Any:
        return await dial_postgresql(dsn)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=dial,
        pool_size=connections,
        max_overflow=0,  # one that is closed after each use costs a process there, and every statement is planned anew
        pool_timeout=QUEUE_SECONDS,
        pool_recycle=1800,
        pool_use_lifo=True,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
        # The driver knows at once that the server hung up; asking the server each time would cost a round trip.
        if connection.driver_connection.is_closed():
            raise DisconnectionError("closed by the server")

    return engine


async def dial_postgresql(dsn: str) -> Any:
    """A connection of asyncpg's own, as every connection here is made. Raises what asyncpg raises."""
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 (60 ms that SQLite does without)

    return await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS,
        server_settings={"application_name": "calgate", "timezone": "UTC", "jit": "off"},
    )


def _tell(error: Exception, *, connecting: bool) -> None:
    """Raise DatabaseUnavailable for an error that will pass; it names no value and no address.

    Told by what the error carries, for asyncpg, which has its own tree of errors, is not imported on SQLite.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state = str(getattr(cause, "sqlstate", None) or "")
    code = getattr(cause, "sqlite_errorcode", None)
    if (
        (connecting and isinstance(error, OSError))
        or isinstance(error, (ConnectionError, PoolExhausted))
        or (isinstance(error, DBAPIError) and error.connection_invalidated)
        or state.startswith(_PASSING_CLASSES)
        or state in _PASSING_STATES
        or (code is not None and code & 0xFF in _PASSING_SQLITE)
    ):
        unavailable = DatabaseUnavailable(f"the database is unavailable ({state or type(cause).__name__})")
        unavailable.is_full = state == _DISK_FULL or (code is not None and code & 0xFF == _SQLITE_FULL)
        raise unavailable from error
