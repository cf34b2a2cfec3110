"""What has to be true of a database that a gateway works with: it takes writes, has room, and its clock is ours."""

import shutil
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database
from service.store.tables import KeyringRow

CLOCK_TOLERANCE: Final = timedelta(seconds=2)
"""Leases compare the clocks of replicas; they last 15 seconds and more."""

LEAST_ROOM: Final = 64 * 1024 * 1024
"""Bytes that have to be free beside a SQLite database: as much as its log may take until it is written back."""

_KEYRING: Final = KeyringRow.metadata.tables["keyring"]
_TOUCH: Final = update(_KEYRING).values(id=_KEYRING.c.id)


async def try_to_write(conn: AsyncConnection) -> None:
    """Write the key ring's row as it is; raises what a write raises on a read-only or full database."""
    await conn.execute(_TOUCH)


async def clock_offset(conn: AsyncConnection) -> timedelta:
    """By how much this machine's clock is ahead of the database's; none for SQLite, which is on the same machine."""
    if conn.dialect.name == "sqlite":
        return timedelta(0)
    before = datetime.now(UTC)
    theirs: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
    return before + (datetime.now(UTC) - before) / 2 - theirs


def room_left(database: Database) -> int | None:
    """Bytes that are free where the SQLite database lies; None for PostgreSQL, whose disk is another's."""
    if database.path is None:
        return None
    return shutil.disk_usage(database.path.parent).free
