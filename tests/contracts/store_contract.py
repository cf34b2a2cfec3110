"""What every database below the store has to do; run for SQLite and for PostgreSQL."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from service.store.database import Database, after_commit
from service.store.database import insert as insert_or
from service.store.tables import ProjectRow

PROJECTS = ProjectRow.metadata.tables["projects"]


async def seq_of(database: Database) -> int:
    async with database.read() as conn:
        return (await conn.execute(select(PROJECTS.c.seq))).scalar_one()


@pytest.mark.anyio
class StoreContract:
    async def test_ten_transactions_that_read_and_then_write_lose_nothing(self, database, project):
        async def increment() -> None:
            async with database.write() as conn:
                seq = (await conn.execute(select(PROJECTS.c.seq).with_for_update())).scalar_one()
                await asyncio.sleep(0.002)
                await conn.execute(update(PROJECTS).values(seq=seq + 1))

        await asyncio.gather(*(increment() for _ in range(10)))
        assert await seq_of(database) == 10

    async def test_readers_go_on_during_a_write_and_see_what_was_before(self, database, project):
        async with database.write() as conn:
            await conn.execute(update(PROJECTS).values(seq=7))
            async with asyncio.timeout(30):
                assert await asyncio.gather(*(seq_of(database) for _ in range(8))) == [0] * 8
        assert await seq_of(database) == 7

    async def test_a_reader_keeps_its_snapshot(self, database, project):
        async with database.read() as reader:
            first = (await reader.execute(select(PROJECTS.c.seq))).scalar_one()
            async with database.write() as conn:
                await conn.execute(update(PROJECTS).values(seq=7))
            assert (await reader.execute(select(PROJECTS.c.seq))).scalar_one() == first == 0

    async def test_an_exception_rolls_back_and_announces_nothing(self, database, project):
        calls: list[int] = []
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with database.write() as conn:
                await conn.execute(update(PROJECTS).values(seq=7))
                after_commit(conn, lambda: calls.append(1))
                raise ZeroDivisionError
        assert (await seq_of(database), calls) == (0, [])

    async def test_what_waits_for_the_commit_sees_it(self, database, project):
        seen: list[asyncio.Task[int]] = []
        async with database.write() as conn:
            after_commit(conn, lambda: seen.append(asyncio.create_task(seq_of(database))))
            await conn.execute(update(PROJECTS).values(seq=7))
            assert seen == []
        assert await seen[0] == 7

    async def test_a_cancelled_writer_leaves_nothing_behind(self, database, project):
        async def write() -> None:
            async with database.write() as conn:
                await conn.execute(update(PROJECTS).values(seq=7))
                await asyncio.sleep(60)

        tasks = [asyncio.create_task(write()) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(30), database.write() as conn:
            assert (await conn.execute(select(PROJECTS.c.seq))).scalar_one() == 0

    async def test_a_reader_cannot_write(self, database, project):
        with pytest.raises(DBAPIError):
            async with database.read() as conn:
                await conn.execute(update(PROJECTS).values(seq=7))
        assert await seq_of(database) == 0

    async def test_foreign_keys_hold(self, database, project, clock):
        row = {"id": uuid4(), "project_id": uuid4(), "prefix": "a", "digest": b"", "scope": "read"}
        with pytest.raises(IntegrityError):
            async with database.write() as conn:
                await conn.execute(insert(ProjectRow.metadata.tables["api_keys"]), row | {"created_at": clock()})

    async def test_an_error_does_not_show_values(self, database, project, clock):
        row = {"id": uuid4(), "name": "acme", "seq": 424242, "created_at": clock(), "updated_at": clock()}
        with pytest.raises(IntegrityError) as caught:
            async with database.write() as conn:
                await conn.execute(insert(PROJECTS), row)
        assert "424242" not in str(caught.value)

    async def test_insert_or_update_is_one_statement(self, database, project, clock):
        async with database.write() as conn:
            statement = insert_or(conn.dialect.name, PROJECTS)
            statement = statement.on_conflict_do_update(
                index_elements=["name"], set_={"seq": PROJECTS.c.seq + statement.excluded.seq}
            )
            for _ in range(2):
                row = {"id": uuid4(), "name": "acme", "seq": 3, "created_at": clock(), "updated_at": clock()}
                await conn.execute(statement, row)
            assert (await conn.execute(select(func.count(), func.max(PROJECTS.c.seq)))).one() == (1, 6)

    async def test_times_come_back_aware_and_equal(self, database, project, clock):
        async with database.read() as conn:
            found = (await conn.execute(select(PROJECTS.c.created_at))).scalar_one()
        assert found == clock()
        assert found.utcoffset() is not None

    async def test_a_mistake_is_not_an_outage(self, database):
        with pytest.raises(DBAPIError):
            async with database.read() as conn:
                await conn.execute(text("SELECT nothing FROM nowhere"))
