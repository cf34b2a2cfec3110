"""Who locks many calendars locks them in one order: settling and prolonging at once, nobody waits in a circle."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from uuid_utils.compat import uuid7

from service.store import leases
from service.store.database import Database
from service.store.tables import Table

pytestmark = pytest.mark.anyio
TABLES = Table.metadata.tables
LEASE = uuid7()


async def add_leased(database: Database, project: UUID, clock, count: int) -> list[UUID]:
    now = clock()
    mine = {"project_id": project, "provider": "google", "created_at": now, "updated_at": now}
    client, connection, ids = uuid7(), uuid7(), [uuid7() for _ in range(count)]
    calendar = mine | {"connection_id": connection, "oauth_client_id": client, "account": "a", "calendar_name": "Work"}
    calendar |= {"metadata": {}, "horizon_days": 30, "status": "active", "announced_status": "active"}
    calendar |= {"lease": LEASE, "leased_until": now, "due_at": now}
    async with database.write() as conn:
        row = mine | {"id": client, "client_id": "c", "tenant": "", "client_secret": b""}
        await conn.execute(insert(TABLES["oauth_clients"]).values(row))
        row = mine | {"id": connection, "oauth_client_id": client, "account": "a", "refresh_token": b""}
        await conn.execute(insert(TABLES["connections"]).values(row))
        rows = [calendar | {"id": each, "raw_calendar_id": str(each)} for each in ids]
        await conn.execute(insert(TABLES["calendars"]), rows)
    return ids


async def test_results_and_renewals_in_any_order_never_deadlock(database: Database, project: UUID, clock) -> None:
    ids = await add_leased(database, project, clock, 300)
    settled = dict.fromkeys((f"new_{name}" for name in leases.SETTLED), None)
    settled |= {
        "new_status": "active",
        "new_announced_status": "active",
        "new_failures": 0,
        "new_throttles": 0,
        "new_examined_epoch": 0,
        "new_examined_version": 1,
        "new_updated_at": clock(),
    }
    rows: list[dict[str, Any]] = [settled | {"held_id": each, "held": LEASE, "next_due": clock()} for each in ids]
    held = [(each, LEASE) for each in reversed(ids)]

    async def renew() -> None:
        for _ in range(5):
            async with database.write() as conn:
                await leases.renew(conn, held, clock.advance(1))

    async def look() -> None:
        for _ in range(5):
            async with database.write() as conn:
                await leases.still_held(conn, held)

    async def settle() -> None:
        async with database.write() as conn:
            assert await leases.still_held(conn, held[::-1]) == set(ids)
            await leases.settle(conn, rows)

    await asyncio.gather(renew(), look(), settle())
    async with database.read() as conn:
        query = select(TABLES["calendars"].c.due_at).where(TABLES["calendars"].c.lease.is_(None))
        due = set((await conn.execute(query)).scalars())
    assert len(due) == 1
    assert due <= {clock() - timedelta(seconds=second) for second in range(6)}
