"""Rows in bulk arrive as those of SQLAlchemy's own executemany do."""

from uuid import UUID

import pytest
from sqlalchemy import insert as plain_insert
from sqlalchemy import select
from uuid_utils.compat import uuid7

from service.store.bulk import BulkInsert
from service.store.database import Database, insert
from service.store.tables import Table

pytestmark = pytest.mark.anyio
KEYS = Table.metadata.tables["api_keys"]
COLUMNS = [column.name for column in KEYS.columns]
BULK = BulkInsert(
    lambda dialect: (statement := insert(dialect, KEYS)).on_conflict_do_update(
        index_elements=["prefix"], set_={"scope": statement.excluded.scope}
    ),
    COLUMNS,
)


def rows(project: UUID, clock, count: int) -> list[dict]:
    return [
        {"id": uuid7(), "project_id": project, "prefix": f"p{number}", "digest": bytes([number]), "scope": "read"}
        | {"created_at": clock.advance(1.5), "revoked_at": clock() if number % 2 else None}
        for number in range(count)
    ]


async def test_values_of_every_type_arrive_as_they_are(database: Database, project: UUID, clock) -> None:
    mine = rows(project, clock, 40)
    async with database.write() as conn:
        await BULK.execute(conn, mine[:20])
        await conn.execute(plain_insert(KEYS), mine[20:])
        found = [dict(row) for row in (await conn.execute(select(KEYS).order_by(KEYS.c.id))).mappings()]
    assert found == mine


async def test_a_conflict_updates(database: Database, project: UUID, clock) -> None:
    async with database.write() as conn:
        for scope in ("read", "admin"):
            await BULK.execute(conn, [row | {"scope": scope} for row in rows(project, clock, 3)])
        await BULK.execute(conn, [])
        assert list(await conn.execute(select(KEYS.c.scope))) == [("admin",)] * 3


async def test_a_row_that_lacks_a_column_is_a_mistake(database: Database, project: UUID, clock) -> None:
    (row,) = rows(project, clock, 1)
    del row["revoked_at"]
    async with database.write() as conn:
        with pytest.raises(KeyError, match="revoked_at"):
            await BULK.execute(conn, [row])
