"""Announcements: at once in this process, soon in the others, and never before the commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from service.store.database import Database
from service.store.wake import Wake

pytestmark = pytest.mark.anyio
SOON = 0.9


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Wake]:
    """A Wake that has its connection: getting it is announced to everybody, for there may have been news before."""
    wake = Wake(database)
    with wake.listen("anything") as news:
        await wake.start()
        assert database.dialect == "sqlite" or await news.wait(SOON)
    yield wake
    await wake.stop()


async def test_whoever_waits_is_told_after_the_commit(database: Database) -> None:
    async with listening(database) as wake:
        with wake.listen("sync") as news, wake.listen("sync") as others, wake.listen("deliver") as deaf:
            async with database.write() as conn:
                wake.after(conn, "sync")
                assert not await news.wait(0.02)
            assert await news.wait(SOON)
            assert await others.wait(SOON)
            assert not await deaf.wait(0.02)
            assert not await news.wait(0.02)  # heard once


async def test_a_rollback_announces_nothing(database: Database) -> None:
    async with listening(database) as wake:
        with wake.listen("sync") as news:
            with pytest.raises(ZeroDivisionError):  # noqa: PT012
                async with database.write() as conn:
                    wake.after(conn, "sync")
                    raise ZeroDivisionError
            assert not await news.wait(0.05)


async def test_what_is_said_between_looking_and_waiting_is_heard(database: Database) -> None:
    async with listening(database) as wake:
        with wake.listen("sync") as news:
            wake.announce("sync")
            await asyncio.sleep(0)
            assert await news.wait(0)
        waiting = asyncio.create_task(wake.wait("sync", SOON))
        await asyncio.sleep(0)
        wake.announce("sync")
        assert await waiting
        assert not await wake.wait("sync", 0.01)


async def test_stopping_lets_everybody_look(database: Database) -> None:
    wake = Wake(database)
    await wake.start()
    with wake.listen("sync") as news:
        await wake.stop()
        assert await news.wait(0)


async def test_other_processes_are_told(postgresql_url: str) -> None:
    async with Database.connect(postgresql_url) as database, listening(database) as here, listening(database) as there:
        with there.listen("changes:1") as news, there.listen("changes:2") as deaf:
            async with database.write() as conn:
                here.after(conn, "changes:1")
            assert await news.wait(SOON)
            assert not await deaf.wait(0.02)


async def test_a_connection_that_was_cut_is_made_again(postgresql_url: str) -> None:
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    async with Database.connect(postgresql_url) as database, listening(database) as here, listening(database) as there:
        with here.listen("sync") as mine, there.listen("sync") as theirs:
            async with database.write() as conn:
                await conn.execute(cut)
            assert await mine.wait(SOON)  # anything may have been missed
            assert await theirs.wait(SOON)
            here.announce("sync")
            assert await theirs.wait(SOON)


async def test_a_server_that_is_not_there_stops_nobody(anyio_backend: str) -> None:
    async with Database.connect("postgresql://nobody@127.0.0.1:1/nothing") as database, Wake(database) as wake:
        with wake.listen("sync") as news:
            await asyncio.sleep(0.05)
            wake.announce("sync")
            assert await news.wait(0)
