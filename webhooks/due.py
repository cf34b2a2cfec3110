"""Questions for what is due: the longest due of all, whoever has something due, the longest due of each.

An endpoint costs a step in an index, and a calendar in order one in another, however much waits behind it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    and_,
    bindparam,
    case,
    exists,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.claims import padded, pending
from webhooks.message import Rank
from webhooks.tables import deliveries, endpoints
from webhooks.walks import LAST

LONG_AGO, FAR_OFF = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def _due(rows: Any) -> ColumnElement[bool]:
    return and_(pending(rows), rows.c.next_at <= bindparam("now", type_=deliveries.c.next_at.type))


_earlier = deliveries.alias("earlier")
IS_FIRST = or_(
    deliveries.c.fifo_key.is_(None),
    ~exists().where(
        pending(_earlier),
        _earlier.c.fifo_key.is_not(None),
        _earlier.c.endpoint_id == deliveries.c.endpoint_id,
        _earlier.c.fifo_key == deliveries.c.fifo_key,
        _earlier.c.id < deliveries.c.id,
    ),
)
_SHOWN = (deliveries.c.id, deliveries.c.project_id, deliveries.c.endpoint_id, deliveries.c.next_at)
_LONGEST = (
    select(*_SHOWN, IS_FIRST.label("is_first"))
    .where(_due(deliveries), deliveries.c.rank == bindparam("rank"))
    .order_by(deliveries.c.next_at)
    .limit(bindparam("most"))
)


def _walk(group: str, item: str, then: str, beyond: object, rows: Any, *conditions: ColumnElement[bool]) -> Any:
    """The first row of each group and item of an index, by steps from one to the next.

    It begins behind the group `:after`, looks at the first item of each group and at those behind `:within`, at `:each`
    of them altogether, and ends after `:steps`. `then` orders the rows of an item, and `beyond` is behind all of them:
    without it SQLite steps on whatever equals the pair that it comes from.
    """
    index = (rows.c[group], rows.c[item], rows.c[then])
    uuid = rows.c.id.type
    each, within = bindparam("each", type_=Integer()), bindparam("within", type_=uuid)
    start = select(
        null().cast(uuid).label("id"),
        bindparam("after", type_=uuid).label("grouped"),
        literal(LAST, uuid).label("item"),
        each.label("seen"),
        literal(0).label("step"),
    )
    steps = start.cte("steps", recursive=True)
    behind = case((steps.c.seen >= each, literal(LAST, uuid)), (steps.c.item > within, steps.c.item), else_=within)
    following = (
        select(rows.c.id)
        .where(*conditions, tuple_(*index) > tuple_(steps.c.grouped, behind, literal(beyond, index[-1].type)))
        .order_by(*index)
        .limit(1)
        .correlate(steps)
        .scalar_subquery()
    )
    found = deliveries.alias("found")
    seen = case((found.c[group] == steps.c.grouped, steps.c.seen + 1), else_=1)
    step = select(found.c.id, found.c[group], found.c[item], seen, steps.c.step + 1)
    steps = steps.union_all(
        step.select_from(steps.join(found, found.c.id == following)).where(steps.c.step < bindparam("steps"))
    )
    return (
        select(*_SHOWN, deliveries.c.rank, steps.c.grouped, steps.c.item, steps.c.seen)
        .select_from(steps.join(deliveries, deliveries.c.id == steps.c.id))
        .order_by(steps.c.step)
    )


_ahead = deliveries.alias("ahead")
_BY_PROJECT = _walk(
    "project_id",
    "endpoint_id",
    "next_at",
    FAR_OFF,
    _ahead,
    pending(_ahead),
    _ahead.c.fifo_key.is_(None),
    _ahead.c.rank == bindparam("rank"),
)
_IN_ORDER = _walk("endpoint_id", "fifo_key", "id", LAST, _ahead, pending(_ahead), _ahead.c.fifo_key.is_not(None))

_asked_for = endpoints.c.id.in_(bindparam("endpoints", expanding=True))
_unordered = and_(_due(deliveries), deliveries.c.fifo_key.is_(None), deliveries.c.rank == bindparam("rank"))
# As a range: with three equal columns PostgreSQL may take the index of what is due longest instead, and go through
# somebody else's crowd there.
_index = (deliveries.c.project_id, deliveries.c.endpoint_id, deliveries.c.next_at)
_mine = (endpoints.c.project_id, endpoints.c.id)
_lateral = (
    select(*_SHOWN)
    .where(
        _unordered,
        tuple_(*_index) >= tuple_(*_mine, literal(LONG_AGO, deliveries.c.next_at.type)),
        tuple_(*_index) <= tuple_(*_mine, bindparam("now", type_=deliveries.c.next_at.type)),
    )
    .order_by(*_index)
    .limit(bindparam("share"))
    .with_for_update(skip_locked=True)
    .correlate(endpoints)
    .lateral("mine")
)
_OF_EACH = select(*_lateral.c).select_from(endpoints.join(_lateral, true())).where(_asked_for)
# SQLite has no lateral joins; a list that depends on the row before it comes to the same.
_again = deliveries.alias("again")
_listed = (
    select(_again.c.id)
    .where(
        _due(_again),
        _again.c.fifo_key.is_(None),
        _again.c.rank == bindparam("rank"),
        _again.c.project_id == endpoints.c.project_id,
        _again.c.endpoint_id == endpoints.c.id,
    )
    .order_by(_again.c.next_at)
    .limit(bindparam("share"))
    .correlate(endpoints)
)
_OF_EACH_LISTED = (
    select(*_SHOWN).select_from(endpoints.join(deliveries, deliveries.c.id.in_(_listed))).where(_asked_for)
)


async def longest_due(conn: AsyncConnection, rank: Rank, *, now: datetime, most: int) -> Sequence[Any]:
    """The deliveries that are due longest: id, project_id, endpoint_id, next_at, is_first (in its order)."""
    return (await conn.execute(_LONGEST, {"now": now, "rank": rank.value, "most": most})).all()


async def by_project(
    conn: AsyncConnection, rank: Rank, *, after: UUID, within: UUID, each: int, steps: int
) -> Sequence[Any]:
    """The next delivery of each endpoint, due or not, but for those in order; `grouped` by project."""
    asked = {"rank": rank.value, "after": after, "within": within, "each": each, "steps": steps}
    return (await conn.execute(_BY_PROJECT, asked)).all()


async def in_order(conn: AsyncConnection, *, after: UUID, within: UUID, each: int, steps: int) -> Sequence[Any]:
    """The first delivery of each calendar that is in order, due or not, whatever its rank; `grouped` by endpoint."""
    asked = {"after": after, "within": within, "each": each, "steps": steps}
    return (await conn.execute(_IN_ORDER, asked)).all()


async def of_each(
    conn: AsyncConnection, rank: Rank, asked: Sequence[UUID], *, now: datetime, share: int
) -> Sequence[Any]:
    """The longest due of each endpoint, `share` of it at most, but for those in order; locked until the transaction ends."""
    statement = _OF_EACH_LISTED if conn.dialect.name == "sqlite" else _OF_EACH
    return (
        await conn.execute(statement, {"now": now, "rank": rank.value, "endpoints": padded(asked), "share": share})
    ).all()
