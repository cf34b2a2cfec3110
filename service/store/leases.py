"""The calendar's row as a job: claiming what is due, keeping a claim alive, and giving it back.

A claim is a lease: a random name and a time. While it lasts `due_at` is `leased_until`; so a holder that dies makes
its calendars due again, and a `due_at` that is sooner says that somebody (a push, a user) asked for another read
meanwhile. That wish survives the settling of the read in flight, which keeps the earlier of the two times. A calendar
that is disconnected is due for one thing only: to have its events examined by new rules for links. Results are applied
only `WHERE lease = mine`: a holder that came back from a long pause can change nothing. While somebody writes to a
calendar at its provider (`writing_until`) nobody claims it.

Rows are locked in the order of their ids by whoever locks many, so that nobody waits in a circle.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Integer, and_, bindparam, case, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import CalendarRow, Found, Table
from service.store.turns import NOBODY, Queue, Turns
from webhooks.claims import padded

_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _calendars.c


def _is_free(rows: FromClause) -> ColumnElement[bool]:
    # Nobody reads what somebody is writing to: it would be told as news.
    return and_(
        or_(rows.c.leased_until.is_(None), rows.c.leased_until <= bindparam("now")),
        or_(rows.c.writing_until.is_(None), rows.c.writing_until <= bindparam("now")),
    )


_queue: Final = Queue(_calendars, is_free=_is_free)
_next_due = select(_c.due_at).where(_c.due_at > bindparam("now")).order_by(_c.due_at).limit(1)
_claim = (
    update(_calendars)
    .where(_c.id.in_(bindparam("ids", expanding=True)))
    .values(
        lease=bindparam("owner"),
        leased_until=bindparam("until"),
        due_at=bindparam("until"),
        last_attempt_at=bindparam("now"),
    )
    .returning(*_c)
)
_renew = (
    update(_calendars)
    .where(_c.id == bindparam("held_id"), _c.lease == bindparam("held"))
    .values(
        leased_until=bindparam("until"),
        due_at=case((_c.due_at == _c.leased_until, bindparam("until", type_=_c.due_at.type)), else_=_c.due_at),
    )
)
_release = (
    update(_calendars)
    .where(_c.lease == bindparam("held"), _c.id == bindparam("held_id"))
    .values(lease=null(), leased_until=null(), due_at=bindparam("now"))
)
_held = (
    select(_c.id, _c.lease)
    .where(_c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_c.id)
    .with_for_update(key_share=True)
)
_next_due_given = bindparam("next_due", type_=_c.due_at.type)
_settled_due = case(
    (_c.due_at == _c.leased_until, _next_due_given),
    # Nobody reads a calendar that is disconnected, whoever asks; only new rules for links are still a reason.
    (and_(_next_due_given.is_(None), _c.link_epoch == bindparam("new_examined_epoch", type_=Integer)), null()),
    (_next_due_given.is_(None), _c.due_at),
    (_c.due_at < _next_due_given, _c.due_at),
    else_=_next_due_given,
)
_settled_cause = case((_c.due_at == _c.leased_until, "poll"), else_=_c.due_cause)
SETTLED = (
    "status",
    "announced_status",
    "failures",
    "failing_since",
    "throttles",
    "rate_limited_until",
    "suspicion",
    "error_code",
    "error_message",
    "retry_at",
    "cursor",
    "last_synced_at",
    "stale_at",
    "next_meeting_at",
    "time_zone",
    "examined_epoch",
    "examined_version",
    "updated_at",
)
"""The columns that the result of a read sets, beside the lease, the times and `stale_since`."""

# A whole round moves `stale_at`, and a failure leaves it: so also where it was announced while they were on their way.
_settled_staleness = case(
    (_c.stale_at.is_distinct_from(bindparam("new_stale_at", type_=_c.stale_at.type)), null()), else_=_c.stale_since
)

_settle = (
    update(_calendars)
    .where(_c.id == bindparam("held_id"), _c.lease == bindparam("held"))
    .values(
        lease=null(),
        leased_until=null(),
        due_at=_settled_due,
        due_cause=_settled_cause,
        stale_since=_settled_staleness,
        **{name: bindparam(f"new_{name}", type_=_c[name].type) for name in SETTLED},
    )
)


class Claimed(NamedTuple):
    """Calendars with every column, leased to the claimer; whether some that are due have to wait."""

    rows: Sequence[Found]
    cut_short: bool


async def claim(
    conn: AsyncConnection,
    *,
    now: datetime,
    until: datetime,
    owner: UUID,
    most: int,
    turns: Turns,
    held: Mapping[UUID, int] = NOBODY,
) -> Claimed:
    """Lease up to `most` due calendars, shared out among the projects; of each project the longest due.

    `held` counts the calendars that the claimer has of each project. Where there are several projects, none gets
    everything: see `service.core.fairness`.
    """
    picked = await _queue.pick(conn, now=now, most=most, turns=turns, held=held, spares=True)
    if not picked.rows:
        return Claimed([], picked.cut_short)
    ids = padded([row.id for row in picked.rows])
    found = await conn.execute(_claim, {"ids": ids, "now": now, "until": until, "owner": owner})
    return Claimed(found.all(), picked.cut_short)


async def renew(conn: AsyncConnection, held: Sequence[tuple[UUID, UUID]], until: datetime) -> None:
    """Prolong the leases of `held` (calendar, lease) pairs that are still ours."""
    await conn.execute(
        _renew, [{"held_id": calendar, "held": lease, "until": until} for calendar, lease in sorted(held)]
    )


async def release(conn: AsyncConnection, held: Sequence[tuple[UUID, UUID]], now: datetime) -> None:
    """Give leases back unused: their calendars are due at once."""
    await conn.execute(_release, [{"held_id": calendar, "held": lease, "now": now} for calendar, lease in sorted(held)])


async def still_held(conn: AsyncConnection, held: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Which of these calendars are still under the lease named, locked until the transaction ends."""
    rows = await conn.execute(_held, {"ids": padded(sorted(calendar for calendar, _ in held))})
    leases = {row.id: row.lease for row in rows}
    return {calendar for calendar, lease in held if leases.get(calendar) == lease}


async def settle(conn: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Write the results of reads, each under its lease, and end the leases.

    A row has `held_id`, `held`, `next_due` and `new_<column>` for each of `SETTLED`.
    """
    await conn.execute(_settle, sorted(rows, key=_by_id))


async def next_due(conn: AsyncConnection, now: datetime) -> datetime | None:
    """When the next calendar becomes due that is not due yet."""
    found: datetime | None = (await conn.execute(_next_due, {"now": now})).scalar()
    return found


def _by_id(row: Mapping[str, Any]) -> UUID:
    found: UUID = row["held_id"]
    return found


async def oldest_due(conn: AsyncConnection, now: datetime) -> datetime | None:
    """When the longest waiting calendar that nobody holds became due."""
    query = (
        select(_c.due_at)
        .where(and_(_c.due_at <= now, or_(_c.leased_until.is_(None), _c.leased_until <= now)))
        .order_by(_c.due_at)
        .limit(1)
    )
    found: datetime | None = (await conn.execute(query)).scalar()
    return found
