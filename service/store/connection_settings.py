"""What a connection's user wants, as it is stored: its settings, which of a user's connections comes first, and the pace of polls."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.connection import Settings, read_settings, stored_settings
from service.core.lifecycle import State
from service.core.schedule import no_sooner, promise
from service.store.connection_tables import ConnectionRow
from service.store.tables import CalendarRow, Found, Table

_connections = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _connections.c
_k = _calendars.c
_WANTED: Final = ("is_kept", "user_id", "is_primary", "access", "scopes", "settings")
_SECRET: Final = frozenset({"refresh_token", "access_token"})
SHOWN: Final = [column for column in _c if column.name not in _SECRET]
"""The columns of a connection without its tokens."""


async def locked(conn: AsyncConnection, project_id: UUID, connection_id: UUID) -> Found | None:
    """One connection without its secrets, locked until the transaction ends; None when the project has no such connection."""
    query = select(*SHOWN).where(_c.id == connection_id, _c.project_id == project_id)
    return (await conn.execute(query.with_for_update(key_share=True))).one_or_none()


async def one(conn: AsyncConnection, project_id: UUID, connection_id: UUID) -> Found | None:
    """The same without a lock."""
    query = select(*SHOWN).where(_c.id == connection_id, _c.project_id == project_id)
    return (await conn.execute(query)).one_or_none()


async def change(conn: AsyncConnection, connection_id: UUID, values: Mapping[str, Any], now: datetime) -> None:
    """Set columns of a connection; its `version` rises."""
    statement = update(_connections).where(_c.id == connection_id)
    await conn.execute(statement.values(**values, version=_c.version + 1, updated_at=now))


async def choose_primary(conn: AsyncConnection, row: Found, now: datetime) -> bool:
    """Make a connection the primary one of its user, and the others not; whether it was another before.

    The connections of nobody's are one user's in this. To be called before any of them is locked.
    """
    same = _c.user_id.is_(None) if row.user_id is None else _c.user_id == row.user_id
    of_user = select(_c.id, _c.is_primary).where(_c.project_id == row.project_id, same).order_by(_c.id)
    # All of them, in one order: of two who choose at once the later sees what the earlier chose.
    found = (await conn.execute(of_user.with_for_update(key_share=True))).all()
    for other in found:
        if other.is_primary is not (other.id == row.id):
            await change(conn, other.id, {"is_primary": other.id == row.id}, now)
    return any(not each.is_primary for each in found if each.id == row.id)


async def inherit(conn: AsyncConnection, old: UUID, new: UUID) -> None:
    """What a user wants of a connection is wanted of the one that takes its place, and the old one is wanted no more."""
    row = (await conn.execute(select(*(_c[name] for name in _WANTED)).where(_c.id == old))).one()
    await conn.execute(update(_connections).where(_c.id == new).values({name: getattr(row, name) for name in _WANTED}))
    await conn.execute(update(_connections).where(_c.id == old).values(is_kept=False))


async def min_poll_seconds(conn: AsyncConnection, connection_id: UUID) -> int | None:
    """How long a new calendar of a connection is to rest at least between two polls."""
    stored = (await conn.execute(select(_c.settings).where(_c.id == connection_id))).scalar_one()
    return seconds_between_polls(read_settings(stored))


def seconds_between_polls(settings: Settings) -> int | None:
    """`sync_frequency` in seconds."""
    return None if settings.sync_frequency is None else settings.sync_frequency * 60


def values_of(settings: Settings) -> dict[str, Any]:
    """Settings as columns of a connection."""
    return {"settings": stored_settings(settings)}


async def set_pace(conn: AsyncConnection, connection_id: UUID, least_seconds: int | None, now: datetime) -> None:
    """Have the calendars of a held connection rest at least so long between two polls, from their last read on.

    Where they may be read more often than before, they are due now: how often they then are, the next read finds out.
    """
    query = select(_calendars).where(_k.connection_id == connection_id).order_by(_k.id)
    for row in (await conn.execute(query.with_for_update(key_share=True))).all():
        if row.min_poll_seconds != least_seconds:
            await conn.execute(update(_calendars).where(_k.id == row.id).values(_paced(row, least_seconds, now)))


def _paced(row: Found, least_seconds: int | None, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"min_poll_seconds": least_seconds}
    is_polled = row.status == State.ACTIVE.value and row.retry_at is None and row.due_cause == "poll"
    if not is_polled or row.due_at is None or row.last_synced_at is None:
        return values
    if least_seconds is None or least_seconds < (row.min_poll_seconds or 0):
        return values | ({"due_at": now} if row.due_at > now else {})
    earliest = row.last_synced_at + timedelta(seconds=least_seconds)
    if row.leased_until is None and row.due_at < earliest:
        promised = row.last_synced_at + promise(no_sooner(timedelta(), least_seconds))
        values |= {"due_at": earliest, "stale_at": max(row.stale_at or promised, promised)}
    return values
