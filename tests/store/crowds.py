"""Very many calendars at once, written by the database itself."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from uuid_utils.compat import uuid7

from service.store.database import Database
from service.store.tables import Table

_TABLES = Table.metadata.tables
_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, :count) AS n)",
}
_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}


async def add_calendar(database: Database, project: UUID, due_at: datetime, **values: object) -> UUID:
    """One calendar of a project, with a client and a connection of its own."""
    mine = {"project_id": project, "provider": "google", "created_at": due_at, "updated_at": due_at}
    client, connection, calendar = uuid7(), uuid7(), uuid7()
    row = mine | {"connection_id": connection, "oauth_client_id": client, "account": "a", "calendar_name": "Work"}
    row |= {"metadata": {}, "horizon_days": 30, "status": "active", "announced_status": "active", "due_at": due_at}
    row |= {"id": calendar, "raw_calendar_id": str(calendar)} | values
    sealed = {"client_id": str(client), "tenant": "", "client_secret": b""}
    granted = {"oauth_client_id": client, "account": str(connection), "refresh_token": b""}
    async with database.write() as conn:
        await conn.execute(insert(_TABLES["oauth_clients"]).values(mine | sealed | {"id": client}))
        await conn.execute(insert(_TABLES["connections"]).values(mine | granted | {"id": connection}))
        await conn.execute(insert(_TABLES["calendars"]).values(row))
    return calendar


async def add_crowd(database: Database, like: UUID, count: int) -> None:
    """Copies of a calendar, all of which are due when it is."""
    dialect = database.dialect
    varied = {"id": _ID[dialect], "raw_calendar_id": f"'calendar {uuid4()} ' || n"}
    names = [column.name for column in _TABLES["calendars"].columns]
    listed = ", ".join(f'"{name}"' for name in names)
    chosen = ", ".join(varied.get(name, f'calendars."{name}"') for name in names)
    copies = f"{_NUMBERS[dialect]} SELECT {chosen} FROM numbers, calendars WHERE calendars.id = :model"  # noqa: S608 (names of columns)
    async with database.write() as conn:
        model = like.hex if dialect == "sqlite" else like
        await conn.execute(text(f"INSERT INTO calendars ({listed}) {copies}"), {"count": count, "model": model})
    async with database.write() as conn:
        await conn.execute(text("ANALYZE calendars"))
