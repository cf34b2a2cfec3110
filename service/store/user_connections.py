"""Connections as their users made them: kept, named by whose they are, and one of each user's the primary one.

Of users without a name (`user_id` null) there is one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import connection_settings
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
    row = (await conn.execute(select(_c.is_kept, used).where(_c.id == connection_id))).one()
    values: dict[str, Any] = {"is_kept": True, "access": access, "scopes": sorted(scopes), "updated_at": now}
    if user_id is not None:
        values["user_id"] = user_id
    values["version"] = _c.version + 1
    await conn.execute(update(_connections).where(_c.id == connection_id).values(**values))
    return Kept(bool(row.is_kept), bool(row.used))


async def ensure_primary(conn: AsyncConnection, row: Found, now: datetime, *, wanted: bool) -> None:
    """See that one of the user's connections is primary: this one if it is `wanted`, or if there is no other.

    To be called before any of them is locked, as `connection_settings.choose_primary`, which locks them in the same order.
    """
    of_user = select(_c.id, _c.is_primary).where(_c.project_id == row.project_id, _is_of(row.user_id)).order_by(_c.id)
    # Of two who come at once, the later sees what the earlier has made.
    found = (await conn.execute(of_user.with_for_update(key_share=True))).all()
    if wanted or not any(each.is_primary for each in found):
        await connection_settings.choose_primary(conn, row, now)


async def of_account(conn: AsyncConnection, project_id: UUID, provider: str, account: str) -> Found | None:
    """The connection of an account, with its user and its client."""
    mine = (_c.project_id == project_id, _c.provider == provider, _c.account == account)
    return (await conn.execute(select(_c.id, _c.user_id, _c.oauth_client_id).where(*mine))).one_or_none()


def _is_of(user_id: str | None) -> ColumnElement[bool]:
    return _c.user_id.is_(None) if user_id is None else _c.user_id == user_id
