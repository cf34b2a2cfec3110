"""Databases for the tests of webhooks: SQLite in a file and a real PostgreSQL, behind the `Sessions` port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from webhooks.tables import metadata


class Store:
    """Satisfies `Sessions`; while `is_lost`, every transaction fails at its end, as when the database goes away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_lost = False
        self.writes = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self.engine.connect() as conn:
            yield await conn.execution_options(begin="BEGIN")
            self._fail_if_lost()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self.engine.begin() as conn:
            yield conn
            self._fail_if_lost()
            self.writes += 1

    def _fail_if_lost(self) -> None:
        if self.is_lost:
            raise ConnectionResetError("the database went away")


def engine_for(url: str) -> AsyncEngine:
    engine = create_async_engine(url)
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection, _record):
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection):
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return engine


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """The store with empty tables; the engine is disposed of at the end."""
    engine = engine_for(url)
    try:
        async with engine.begin() as conn:
            await conn.run_sync(metadata.create_all)
            for table in reversed(metadata.sorted_tables):
                await conn.execute(text(f"DELETE FROM {table.name}"))  # noqa: S608
        yield Store(engine)
    finally:
        await engine.dispose()
