"""Calendars that were not verified in time: found by an index, announced once, forgotten with the next whole round.

`freshness.look_at` is when to look at a calendar, `calendars.stale_at` what is found there. A round moves only the latter,
so that a sync does not pay for an index; a look that comes too early moves the former after it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.lifecycle import State
from service.core.schedule import LEAST_PROMISE
from service.store.database import insert
from service.store.tables import CalendarRow, Found, FreshnessRow, Table
from webhooks.claims import padded

REST: Final = timedelta(hours=6)
"""When to look again at a calendar of which nothing is promised."""

_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_freshness = Table.metadata.tables[str(FreshnessRow.__tablename__)]
_c, _f = _calendars.c, _freshness.c

_due = (
    select(_f.calendar_id)
    .where(_f.look_at <= bindparam("now"))
    .order_by(_f.look_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
# Who settles them now is passed over: the next look finds what came of it.
_stand = (
    select(_calendars)
    .where(_c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_mark = (
    update(_calendars)
    .where(_c.id.in_(bindparam("ids", expanding=True)))
    .values(stale_since=bindparam("now", type_=_c.stale_since.type))
)
_look_again = (
    update(_freshness)
    .where(_f.calendar_id == bindparam("looked_at"))
    .values(look_at=bindparam("next", type_=_f.look_at.type))
)


class Looked(NamedTuple):
    """How many calendars were due for a look, and those that have become stale, as they stand."""

    due: int
    stale: Sequence[Found]


def renewed(now: datetime) -> dict[str, Any]:
    """The columns of a calendar to which something is promised from now on, as one that was just connected."""
    return {"stale_at": now + LEAST_PROMISE, "stale_since": None}


async def watch(conn: AsyncConnection, calendar_id: UUID, now: datetime) -> None:
    """Look at a calendar from now on; it has the columns of `renewed`."""
    values = {"look_at": now + LEAST_PROMISE}
    statement = insert(conn.dialect.name, _freshness).values(calendar_id=calendar_id, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=[_f.calendar_id], set_=values))


async def watch_connection(conn: AsyncConnection, connection_id: UUID, now: datetime) -> None:
    """The same for every calendar of a connection."""
    mine = select(_c.id).where(_c.connection_id == connection_id)
    statement = update(_freshness).where(_f.calendar_id.in_(mine), _f.look_at > now + LEAST_PROMISE)
    await conn.execute(statement.values(look_at=now + LEAST_PROMISE))


async def is_any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Whether there is a calendar to look at; a read, so that an idle tick takes no write lock."""
    return (await conn.execute(select(_f.calendar_id).where(_f.look_at <= now).limit(1))).first() is not None


async def claim(conn: AsyncConnection, now: datetime, most: int) -> Looked:
    """Look at up to `most` calendars, the longest due first; those that are stale now are marked as announced."""
    ids = list((await conn.execute(_due, {"now": now, "most": most})).scalars())
    if not ids:
        return Looked(0, [])
    rows = (await conn.execute(_stand, {"ids": padded(ids)})).all()
    stale = [row for row in rows if row.stale_at is not None and row.stale_at <= now and row.stale_since is None]
    stale = [row for row in stale if row.status != State.DISCONNECTED.value]
    if stale:
        await conn.execute(_mark, {"ids": padded([row.id for row in stale]), "now": now})
    if rows:
        await conn.execute(_look_again, [_next_look(row, now) for row in rows])
    return Looked(len(ids), stale)


def _next_look(row: Found, now: datetime) -> Mapping[str, Any]:
    if row.stale_at is None:
        return {"looked_at": row.id, "next": now + REST}
    # What is stale may be verified a moment later, and is good for at least so long then.
    return {"looked_at": row.id, "next": row.stale_at if row.stale_at > now else now + LEAST_PROMISE}
