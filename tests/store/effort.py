"""What a database has to look at for a transaction: counted, so that no clock decides what is cheap."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database

_STEPS = 100
_BLOCKS = text(
    "SELECT coalesce(sum(coalesce(heap_blks_hit, 0) + coalesce(heap_blks_read, 0)"
    " + coalesce(idx_blks_hit, 0) + coalesce(idx_blks_read, 0)), 0) FROM pg_statio_user_tables"
)


@dataclass
class Effort:
    """SQLite: hundreds of steps of its machine. PostgreSQL: blocks of tables and indexes looked at."""

    spent: int = 0


@asynccontextmanager
async def counted_write(database: Database, effort: Effort) -> AsyncIterator[AsyncConnection]:
    """A transaction that writes; what it cost is added to `effort` when it has ended."""
    if database.dialect == "sqlite":
        async with database.write() as conn, _counted_steps(conn, effort):
            yield conn
        return
    before = await _blocks(database)
    async with database.write() as conn:
        yield conn
        await conn.execute(text("SELECT pg_stat_force_next_flush()"))
    effort.spent += await _blocks(database) - before


@asynccontextmanager
async def _counted_steps(conn: AsyncConnection, effort: Effort) -> AsyncIterator[None]:
    driver = (await conn.get_raw_connection()).driver_connection
    assert driver is not None

    def count() -> int:
        effort.spent += 1
        return 0

    await driver.set_progress_handler(count, _STEPS)
    try:
        yield
    finally:
        await driver.set_progress_handler(None, 0)


async def _blocks(database: Database) -> int:
    async with database.read() as conn:
        return int((await conn.execute(_BLOCKS)).scalar_one())
