"""Whoever is cancelled in the middle of a transaction takes nothing with him: not his rows, and not the lock."""

import asyncio
from contextlib import suppress
from random import Random

import pytest
from sqlalchemy import text

from service.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def counters(database: Database) -> Database:
    async with database.write() as conn:
        await conn.execute(text("CREATE TABLE counters (id INTEGER PRIMARY KEY, value INTEGER)"))
        for number in range(40):
            await conn.execute(text("INSERT INTO counters VALUES (:number, 0)"), {"number": number})
    return database


async def count_up(database: Database) -> None:
    """Three statements that belong together, one of them with rows to be fetched."""
    async with database.write() as conn:
        await conn.execute(text("UPDATE counters SET value = value + 1 WHERE id < 20"))
        (await conn.execute(text("UPDATE counters SET value = value + 1 WHERE id >= 20 RETURNING id"))).all()
        await conn.execute(text("UPDATE counters SET value = value + 0"))


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_write_leaves_neither_half_of_itself_nor_its_lock(
    counters: Database, database_url: str, seed: int
) -> None:
    random = Random(seed)
    async with Database.connect(database_url, busy_seconds=5) as other:
        for _ in range(60):
            writing = asyncio.create_task(count_up(counters))
            for _ in range(random.randint(0, 60)):
                await asyncio.sleep(0)
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            # Nobody waits for the dead, neither this process nor another one.
            async with asyncio.timeout(30):
                await count_up(random.choice([counters, other]))

    async with other.read() as conn:
        found = (await conn.execute(text("SELECT DISTINCT value FROM counters"))).scalars().all()
    await other.aclose()
    assert len(found) == 1, "all of a transaction, or nothing"
    assert found[0] >= 60
