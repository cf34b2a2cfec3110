"""Transactions on both databases: isolation, order, and what a database that is gone looks like."""

import asyncio

import pytest
from sqlalchemy import select, update

from service.store.database import Database
from service.store.tables import ProjectRow

pytestmark = pytest.mark.anyio
PROJECTS = ProjectRow.metadata.tables["projects"]


async def test_ten_transactions_that_read_and_then_write_lose_nothing(database: Database, project) -> None:
    async def increment() -> None:
        async with database.write() as conn:
            seq = (await conn.execute(select(PROJECTS.c.seq).with_for_update())).scalar_one()
            await asyncio.sleep(0)
            await conn.execute(update(PROJECTS).values(seq=seq + 1))

    await asyncio.gather(*(increment() for _ in range(10)))
    async with database.read() as conn:
        assert (await conn.execute(select(PROJECTS.c.seq))).scalar_one() == 10
