"""Connections as their users made them: kept, named by whose they are, and one of each user's the primary one.

Of users without a name (`user_id` null) there is one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.connection import WITHOUT_CALENDARS
from service.store.connection_tables import ConnectionRow
from service.store.tables import CalendarRow, Found, Table

_connections: Final = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_calendars: Final = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _connections.c


class Kept(NamedTuple):
    """Whether a connection had been made by a user before, and whether it has calendars now."""

    was_kept: bool
    has_calendars: bool


async def keep(
    conn: AsyncConnection,
    connection_id: UUID,
    *,
    user_id: str | None,
    access: str,
    scopes: Sequence[str],
    now: datetime,
) -> Kept:
    """Write down that a user has made a held connection, and with what; without a `user_id` it stays whose it is."""
    used = select(_calendars.c.id).where(_calendars.c.connection_id == connection_id).exists().label("used")
    query = select(_c.project_id, _c.provider, _c.user_id, _c.is_kept, _c.is_primary, used)
    row = (await conn.execute(query.where(_c.id == connection_id))).one()
    owner = row.user_id if user_id is None else user_id
    values: dict[str, Any] = {
        "is_kept": True,
        "user_id": owner,
        "is_primary": await _comes_first(conn, connection_id, row, owner),
        "access": access,
        "scopes": sorted(scopes),
        "updated_at": now,
        "version": _c.version + 1,
    }
    await conn.execute(update(_connections).where(_c.id == connection_id).values(**values))
    return Kept(bool(row.is_kept), bool(row.used))


async def _comes_first(conn: AsyncConnection, connection_id: UUID, row: Found, owner: str | None) -> bool:
    """Whether a connection is to be marked as its owner's primary one: it was, or there is no other.

    Of two who come at once both are marked; `connection_views` shows one of them as primary.
    """
    if row.provider in WITHOUT_CALENDARS:
        return False
    if row.is_primary and owner == row.user_id:
        return True
    others = select(_c.id).where(
        _c.project_id == row.project_id,
        _c.user_id.is_(None) if owner is None else _c.user_id == owner,
        _c.provider.not_in(sorted(WITHOUT_CALENDARS)),
        _c.id != connection_id,
    )
    return (await conn.execute(others.limit(1))).one_or_none() is None


async def give_account(
    conn: AsyncConnection, project_id: UUID, connection_id: UUID, provider: str, account: str, email: str | None
) -> bool:
    """Have a connection, and its calendars, stand for another account from now on; False where another one does so."""
    taken = select(_c.id).where(_c.project_id == project_id, _c.provider == provider, _c.account == account)
    if (await conn.execute(taken.where(_c.id != connection_id))).one_or_none() is not None:
        return False
    values = {"account": account, "email": email}
    mine = update(_connections).where(_c.id == connection_id, _c.project_id == project_id, _c.provider == provider)
    if (await conn.execute(mine.values(**values))).rowcount:
        await conn.execute(update(_calendars).where(_calendars.c.connection_id == connection_id).values(**values))
    return True


async def of_account(conn: AsyncConnection, project_id: UUID, provider: str, account: str) -> Found | None:
    """The connection of an account, with its user and its client."""
    mine = (_c.project_id == project_id, _c.provider == provider, _c.account == account)
    return (await conn.execute(select(_c.id, _c.user_id, _c.oauth_client_id).where(*mine))).one_or_none()
