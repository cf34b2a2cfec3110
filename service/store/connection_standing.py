"""How connections stand: judged by their calendars, and the world told of each change of status once.

Who may change how a connection stands holds it (`hold`) before it locks calendars, and asks `news` when all is written.
So of two transactions that turn two calendars of one connection the later sees what the earlier has done.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.announcements import ConnectionNotice
from service.core.connection import DISCONNECTED, NEWS, Health, Member, Trouble, is_settled, judge
from service.store.connection_tables import ConnectionRow
from service.store.tables import CalendarRow, Found, Table
from webhooks.claims import padded
from webhooks.message import Notice

_connections = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _connections.c
_NAMED: Final = _c.id.in_(bindparam("ids", expanding=True))

_hold = select(_c.id).where(_NAMED).order_by(_c.id).with_for_update(key_share=True)
_k = _calendars.c
_told = (
    select(
        _c.id,
        _c.project_id,
        _c.user_id,
        _c.provider,
        _c.email,
        _c.error_code,
        _c.error_message,
        _c.announced_status,
        _k.id.label("calendar_id"),
        _k.status.label("calendar_status"),
        _k.error_code.label("calendar_error_code"),
        _k.error_message.label("calendar_error_message"),
    )
    .join_from(_connections, _calendars, _k.connection_id == _c.id, isouter=True)
    .where(_NAMED)
    .order_by(_c.id, _k.id)
)
_announce = update(_connections).where(_NAMED).values(announced_status=bindparam("told"))
_mark = update(_connections).where(_c.id == bindparam("marked"))


async def hold(conn: AsyncConnection, connection_ids: Iterable[UUID]) -> None:
    """Have others who would judge these connections wait until the transaction ends."""
    # SQLite has one writer at a time.
    if conn.dialect.name != "sqlite" and (ids := sorted(set(connection_ids))):
        await conn.execute(_hold, {"ids": padded(ids)})


async def news(conn: AsyncConnection, connection_ids: Iterable[UUID], now: datetime) -> list[Notice]:
    """What the world is to be told of held connections as they stand now; it counts as told from here on."""
    if not (ids := sorted(set(connection_ids))):
        return []
    notices: list[Notice] = []
    turned: dict[str, list[UUID]] = {}
    for _, rows in groupby(await conn.execute(_told, {"ids": padded(ids)}), lambda found: found.id):
        row, mine = _told_of(list(rows))
        health = judge(mine, trouble(row))
        if health.status != row.announced_status and is_settled(mine, health.status):
            turned.setdefault(health.status, []).append(row.id)
            notices.append(notice(row, health, now))
    for status, those in turned.items():
        await conn.execute(_announce, {"ids": padded(those), "told": status})
    return notices


def _told_of(rows: Sequence[Found]) -> tuple[Found, list[Member]]:
    """A connection and its calendars, of the rows of `_told` that name it."""
    mine = [
        Member(row.calendar_status, Trouble(row.calendar_error_code, row.calendar_error_message))
        for row in rows
        if row.calendar_id is not None
    ]
    return rows[0], mine


def farewell(row: Found, now: datetime) -> list[Notice]:
    """What the world is to be told of a connection that is gone."""
    gone = Health(DISCONNECTED, row.error_code, row.error_message)
    return [] if row.announced_status == DISCONNECTED else [notice(row, gone, now)]


async def mark(conn: AsyncConnection, connection_id: UUID, found: Trouble, now: datetime) -> list[Notice]:
    """The account itself is in trouble, or (`NO_TROUBLE`) in none any more; what the world is to be told of it."""
    await hold(conn, [connection_id])
    values = {"error_code": found.code, "error_message": found.message, "updated_at": now}
    await conn.execute(_mark.values(**values), {"marked": connection_id})
    return await news(conn, [connection_id], now)


def notice(row: Found, health: Health, now: datetime) -> Notice:
    """The news that a connection stands so from now on."""
    data = ConnectionNotice(
        connection_id=row.id,
        user_id=row.user_id,
        provider=row.provider,
        email=row.email,
        status=health.status,
        previous_status=row.announced_status,
        error_code=health.error_code,
        error_message=health.error_message,
    )
    return Notice(row.project_id, NEWS[health.status], data, now)


def member(row: Found) -> Member:
    """A stored calendar, as its connection is judged by it."""
    return Member(row.status, trouble(row))


def trouble(row: Found) -> Trouble:
    """What is wrong with a stored connection itself, or with a stored calendar."""
    return Trouble(row.error_code, row.error_message)


def judged(row: Found, members: Sequence[Any]) -> Health:
    """How a stored connection stands, of which `members` are the stored calendars."""
    return judge([member(each) for each in members], trouble(row))
