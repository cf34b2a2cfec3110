"""Connections as users see them: listed by how they stand, each with its calendars, and never with a secret."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, case, false, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.connection import ACTIVE, DISCONNECTED, ERROR, SIGN_IN_AGAIN, TOKEN_EXPIRED, WITHOUT_CALENDARS
from service.core.lifecycle import State
from service.store.connection_settings import SHOWN
from service.store.connection_tables import ConnectionRow
from service.store.tables import CalendarRow, Found, QuarantinedRow, Table
from webhooks.claims import padded

AT_ONCE: Final = 250

_connections = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_c = _connections.c
_k = Table.metadata.tables[str(CalendarRow.__tablename__)].c
_q = Table.metadata.tables[str(QuarantinedRow.__tablename__)].c


def _is_first() -> ColumnElement[bool]:
    """Whether a connection is its user's primary one: of those with calendars the oldest that is marked, else the oldest.

    Judged when it is read, so that there is exactly one, whatever comes, moves or goes at once. The cheap questions come
    first: of many connections without a user nearly all have an older one.
    """
    other = _connections.alias("other")
    o, without = other.c, sorted(WITHOUT_CALENDARS)

    def has_other(*more: ColumnElement[bool]) -> ColumnElement[bool]:
        any_other = select(o.id).where(o.project_id == _c.project_id, o.provider.not_in(without), *more)
        # Each of them by itself is found by an index; `IS NOT DISTINCT FROM` is not.
        nobodys = any_other.where(o.user_id.is_(None)).exists()
        return case((_c.user_id.is_(None), nobodys), else_=any_other.where(o.user_id == _c.user_id).exists())

    return case(
        (_c.provider.in_(without), false()),
        (_c.is_primary, ~has_other(o.id < _c.id, o.is_primary)),
        (has_other(o.id < _c.id), false()),
        else_=~has_other(o.is_primary),
    )


_PICTURED: Final = [
    *(column for column in SHOWN if column.name != "is_primary"),
    _is_first().label("is_primary"),
]


class ConnectionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which connections to list: those that fit all that is not None."""

    provider: str | None = None
    status: str | None = None
    user_id: str | None = None
    email: str | None = None


class Pictured(NamedTuple):
    """A stored connection and its stored calendars, in the order in which they were connected."""

    row: Found
    calendars: Sequence[Found]


async def listed(
    conn: AsyncConnection, project_id: UUID, wanted: ConnectionFilter, after: UUID | None, limit: int
) -> list[Pictured]:
    """Connections in the order in which they were made, those behind the id `after`."""
    query = select(*_PICTURED).where(_c.project_id == project_id).order_by(_c.id).limit(limit)
    exact = {_c.provider: wanted.provider, _c.user_id: wanted.user_id, _status(): wanted.status}
    query = query.where(*(column == value for column, value in exact.items() if value is not None))
    if wanted.email is not None:
        query = query.where(func.lower(_c.email) == wanted.email.lower())
    if after is not None:
        query = query.where(_c.id > after)
    return await _pictured(conn, (await conn.execute(query)).all())


async def picture(conn: AsyncConnection, project_id: UUID, connection_id: UUID) -> Pictured | None:
    """One connection; None when the project has no such connection."""
    query = select(*_PICTURED).where(_c.id == connection_id, _c.project_id == project_id)
    found = await _pictured(conn, (await conn.execute(query)).all())
    return found[0] if found else None


async def set_aside(conn: AsyncConnection, calendar_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many rows of each calendar are set aside; those that have none are not in it."""
    if not calendar_ids:
        return {}
    query = select(_q.calendar_id, func.count().label("rows")).where(_q.calendar_id.in_(padded(calendar_ids)))
    return {row.calendar_id: row.rows for row in await conn.execute(query.group_by(_q.calendar_id))}


async def _pictured(conn: AsyncConnection, rows: Sequence[Found]) -> list[Pictured]:
    mine: dict[UUID, list[Found]] = {row.id: [] for row in rows}
    ids = list(mine)
    for start in range(0, len(ids), AT_ONCE):
        chunk = _k.connection_id.in_(padded(ids[start : start + AT_ONCE]))
        for calendar in await conn.execute(select(*_k).where(chunk).order_by(_k.id)):
            mine[calendar.connection_id].append(calendar)
    return [Pictured(row, mine[row.id]) for row in rows]


def _status() -> ColumnElement[str]:
    """`core.connection.status_of` in SQL."""
    mine = select(_k.id).where(_k.connection_id == _c.id)
    lost = or_(_c.error_code.in_(sorted(SIGN_IN_AGAIN)), mine.where(_k.error_code.in_(sorted(SIGN_IN_AGAIN))).exists())
    alive = mine.where(_k.status != State.DISCONNECTED.value).exists()
    wrong = or_(_c.error_code.is_not(None), mine.where(_k.status == State.ERROR.value).exists())
    return case(
        (lost, literal(TOKEN_EXPIRED)),
        (mine.exists() & ~alive, literal(DISCONNECTED)),
        (wrong, literal(ERROR)),
        else_=literal(ACTIVE),
    )
