"""Push channels, and the calendars that wait for one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, delete, literal, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.lifecycle import State
from service.core.schedule import CALM_SPACING
from service.store.database import insert
from service.store.tables import CalendarRow, ChannelRow, Found, PushRow, Table
from service.store.turns import NOBODY, Queue, Turns
from webhooks.claims import padded

OPENING: Final = "opening"
OPEN: Final = "open"
CLOSING: Final = "closing"
AT_ONCE: Final = 500
"""Channels asked for in one query."""

_channels = Table.metadata.tables[str(ChannelRow.__tablename__)]
_pushes = Table.metadata.tables[str(PushRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _calendars.c
_queue: Final = Queue(_pushes, row_id="calendar_id")

_to_watch: Final = select(
    _c.id, _c.project_id, _c.connection_id, _c.provider, _c.raw_calendar_id, _c.status, _pushes.c.failures
).join(_pushes, _pushes.c.calendar_id == _c.id)

_notified = (
    select(
        _channels.c.id,
        _channels.c.calendar_id,
        _channels.c.project_id,
        _channels.c.state,
        _channels.c.secret,
        _channels.c.resource_id,
        _channels.c.expires_at,
        _c.due_at,
        _c.leased_until,
        _c.last_attempt_at,
        _c.retry_at,
        _c.push_received_at,
    )
    .join(_calendars, _c.id == _channels.c.calendar_id)
    .where(_channels.c.id.in_(bindparam("named", expanding=True)), _channels.c.provider == bindparam("from_provider"))
)


async def want(conn: AsyncConnection, calendar_id: UUID, project_id: UUID, at: datetime) -> None:
    """Have a channel opened for a calendar at `at`, as if it had never been tried."""
    values = {"due_at": at, "failures": 0, "unsupported_reason": None}
    statement = insert(conn.dialect.name, _pushes).values(calendar_id=calendar_id, project_id=project_id, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=[_pushes.c.calendar_id], set_=values))


class Wanted(NamedTuple):
    """Calendars that are to be watched, as `wanted` has them; whether some that are due have to wait."""

    rows: Sequence[Found]
    cut_short: bool


async def claim_wanted(
    conn: AsyncConnection,
    now: datetime,
    until: datetime,
    most: int,
    *,
    turns: Turns,
    held: Mapping[UUID, int] = NOBODY,
) -> Wanted:
    """Take up to `most` calendars that are due for a channel, shared out among the projects.

    Should their taker die, they are due again at `until`. `held` counts what the taker has of each project already.
    """
    picked = await _queue.pick(conn, now=now, most=most, turns=turns, held=held, spares=True)
    if not picked.rows:
        return Wanted([], picked.cut_short)
    ids = padded([row.id for row in picked.rows])
    await conn.execute(update(_pushes).where(_pushes.c.calendar_id.in_(ids)).values(due_at=until))
    return Wanted((await conn.execute(_to_watch.where(_c.id.in_(ids)))).all(), picked.cut_short)


async def oldest_due(conn: AsyncConnection, now: datetime) -> datetime | None:
    """Since when the longest waiting calendar is due for a channel."""
    query = select(_pushes.c.due_at).where(_pushes.c.due_at <= now).order_by(_pushes.c.due_at).limit(1)
    found: datetime | None = (await conn.execute(query)).scalar()
    return found


async def wanted(conn: AsyncConnection, calendar_id: UUID) -> Found:
    """A calendar that wants a channel, as `claim_wanted` has it."""
    return (await conn.execute(_to_watch.where(_c.id == calendar_id))).one()


async def reschedule(
    conn: AsyncConnection, calendar_id: UUID, at: datetime | None, *, failures: int, reason: str | None = None
) -> None:
    """When to try next; None when this calendar cannot be watched, for `reason`."""
    statement = update(_pushes).where(_pushes.c.calendar_id == calendar_id)
    await conn.execute(statement.values(due_at=at, failures=failures, unsupported_reason=reason))


async def begin(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Store a channel before it is asked for: its first notice may come before the provider's answer."""
    await conn.execute(insert(conn.dialect.name, _channels).values(**values, state=OPENING))


async def opened(
    conn: AsyncConnection, channel_id: UUID, calendar_id: UUID, *, resource_id: str, expires_at: datetime, now: datetime
) -> None:
    """The provider agreed: this channel serves the calendar, and those before it are to be closed."""
    await conn.execute(
        update(_channels)
        .where(_channels.c.calendar_id == calendar_id, _channels.c.id != channel_id, _channels.c.state == OPEN)
        .values(state=CLOSING, due_at=now)
    )
    await conn.execute(
        update(_channels)
        .where(_channels.c.id == channel_id)
        .values(state=OPEN, resource_id=resource_id, expires_at=expires_at, due_at=expires_at)
    )
    await conn.execute(update(_calendars).where(_c.id == calendar_id).values(push_until=expires_at))


async def serving(conn: AsyncConnection, calendar_id: UUID) -> Found | None:
    """The channel that serves a calendar, if one does."""
    query = select(_channels).where(_channels.c.calendar_id == calendar_id, _channels.c.state == OPEN)
    return (await conn.execute(query.order_by(_channels.c.opened_at.desc()).limit(1))).one_or_none()


async def prolonged(conn: AsyncConnection, channel_id: UUID, calendar_id: UUID, expires_at: datetime) -> bool:
    """The provider lets an open channel live on; False when it has been let go of in the meantime."""
    statement = update(_channels).where(_channels.c.id == channel_id, _channels.c.state == OPEN)
    if not (await conn.execute(statement.values(expires_at=expires_at, due_at=expires_at))).rowcount:
        return False
    await conn.execute(update(_calendars).where(_c.id == calendar_id).values(push_until=expires_at))
    return True


async def lost(conn: AsyncConnection, channel_id: UUID, calendar_id: UUID) -> None:
    """The provider has taken the open channel away: nobody is told of changes until there is another."""
    gone = delete(_channels).where(_channels.c.id == channel_id, _channels.c.state == OPEN)
    if (await conn.execute(gone)).rowcount:
        await conn.execute(update(_calendars).where(_c.id == calendar_id).values(push_until=None))


async def hasten(conn: AsyncConnection, calendar_id: UUID, now: datetime) -> None:
    """Renew a calendar's channel now, unless that is being waited with since a failure."""
    statement = update(_pushes).where(_pushes.c.calendar_id == calendar_id, _pushes.c.failures == 0)
    await conn.execute(statement.where(_pushes.c.due_at > now).values(due_at=now))


async def forget(conn: AsyncConnection, channel_id: UUID) -> None:
    """The channel is gone at the provider."""
    await conn.execute(delete(_channels).where(_channels.c.id == channel_id))


async def of_calendar(conn: AsyncConnection, calendar_id: UUID) -> Sequence[Found]:
    """Every channel of a calendar."""
    return (await conn.execute(select(_channels).where(_channels.c.calendar_id == calendar_id))).all()


async def forget_calendar(conn: AsyncConnection, calendar_id: UUID) -> None:
    """Forget every channel of a calendar: what still comes through them is answered as unknown."""
    await conn.execute(delete(_channels).where(_channels.c.calendar_id == calendar_id))


async def claim_closing(conn: AsyncConnection, now: datetime, until: datetime, most: int) -> Sequence[Found]:
    """Take up to `most` channels to be stopped: replaced ones, and those whose opening was never answered."""
    due = (
        select(_channels.c.id)
        .where(
            or_(_channels.c.state == CLOSING, _channels.c.state == OPENING),
            _channels.c.due_at <= now,
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(_channels)
        .where(_channels.c.id.in_(due.scalar_subquery()))
        .values(due_at=until, attempts=_channels.c.attempts + 1)
    )
    return (await conn.execute(taken.returning(*_channels.c))).all()


async def notified(conn: AsyncConnection, provider: str, ids: Sequence[UUID]) -> Sequence[Found]:
    """What is needed to judge notices through channels: a row for each of them that there is."""
    found: list[Found] = []
    for start in range(0, len(ids), AT_ONCE):
        named = {"named": ids[start : start + AT_ONCE], "from_provider": provider}
        found += (await conn.execute(_notified, named)).all()
    return found


async def mark_notified(
    conn: AsyncConnection, calendar_id: UUID, due_at: datetime, now: datetime, *, postpone: bool
) -> None:
    """Make a notified calendar due at `due_at`: the earlier of the two times, or (`postpone`) this one.

    A second later where a read has begun since `due_at` was reckoned: notices that are taken at once are one read's.
    """
    statement = update(_calendars).where(_c.id == calendar_id, _c.status != State.DISCONNECTED.value)
    has_begun = _c.last_attempt_at > due_at - CALM_SPACING
    spaced = case((has_begun, literal(due_at + CALM_SPACING, _c.due_at.type)), else_=literal(due_at, _c.due_at.type))
    is_sooner = true() if postpone else _c.due_at > spaced
    await conn.execute(
        statement.values(
            due_at=case((is_sooner, spaced), else_=_c.due_at),
            due_cause=case((is_sooner, "push"), else_=_c.due_cause),
            push_received_at=now,
        )
    )


async def mark_seen(conn: AsyncConnection, calendar_id: UUID, now: datetime) -> None:
    """A notice came that asks for nothing."""
    await conn.execute(update(_calendars).where(_c.id == calendar_id).values(push_received_at=now))
