"""Processes that claim work say that they live, so that one that only answers requests can tell when nobody works."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import insert
from service.store.tables import Table, WorkerRow

FORGOTTEN_AFTER: Final = timedelta(days=1)

_workers = Table.metadata.tables[str(WorkerRow.__tablename__)]


async def report(conn: AsyncConnection, worker_id: UUID, started_at: datetime, now: datetime) -> None:
    """This process claims work; the ones that have long been gone are forgotten."""
    statement = insert(conn.dialect.name, _workers).values(id=worker_id, started_at=started_at, seen_at=now)
    await conn.execute(statement.on_conflict_do_update(index_elements=[_workers.c.id], set_={"seen_at": now}))
    await conn.execute(delete(_workers).where(_workers.c.seen_at < now - FORGOTTEN_AFTER))


async def last_seen(conn: AsyncConnection) -> datetime | None:
    """When any process that claims work last said so."""
    found: datetime | None = (await conn.execute(select(func.max(_workers.c.seen_at)))).scalar()
    return found


async def count_seen(conn: AsyncConnection, since: datetime) -> int:
    """How many have said so since then."""
    return (await conn.execute(select(func.count()).where(_workers.c.seen_at >= since))).scalar_one()
