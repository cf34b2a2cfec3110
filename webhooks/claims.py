"""Leases on deliveries: one is put on each that is taken, so that of all processes one sends it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.filters import passes
from webhooks.message import RELAY, DeliveryState, Dispatch, EndpointState, Lease, Rank, Target, about
from webhooks.tables import deliveries, endpoints, messages

Item = TypeVar("Item")


def pending(rows: FromClause) -> ColumnElement[bool]:
    """That a row of deliveries waits to be sent, or is leased to be.

    A literal, not a parameter: only then do both databases see that a partial index serves.
    """
    is_pending: ColumnElement[bool] = rows.c.state == literal_column(f"'{DeliveryState.PENDING.value}'")
    return is_pending


PENDING = pending(deliveries)
_ANY_DUE = (
    select(deliveries.c.id)
    .where(PENDING, deliveries.c.next_at <= bindparam("now"), deliveries.c.rank.in_([rank.value for rank in Rank]))
    .limit(1)
)
_free = deliveries.alias("free")
_FREE = (
    select(_free.c.id)
    .where(_free.c.id.in_(bindparam("ids", expanding=True)), pending(_free), _free.c.next_at <= bindparam("now"))
    .with_for_update(skip_locked=True)
)
_TAKE = (
    update(deliveries)
    .where(deliveries.c.id.in_(_FREE))
    .values(lease=bindparam("owner"), next_at=bindparam("until"))
    .returning(deliveries.c.id)
)
_SHELVE = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .values(lease=None, state=bindparam("to"), next_at=bindparam("now"))
)
_LOAD = (
    select(
        deliveries.c.id,
        deliveries.c.message_id,
        deliveries.c.attempts,
        deliveries.c.schedule_start,
        deliveries.c.fifo_key,
        deliveries.c.merge_key,
        deliveries.c.rank,
        messages.c.type,
        messages.c.body,
        messages.c.calendar_id,
        messages.c.also_calendar_ids,
        endpoints.c.id.label("endpoint_id"),
        endpoints.c.project_id,
        endpoints.c.version,
        endpoints.c.url,
        endpoints.c.rate_limit,
        endpoints.c.secret,
        endpoints.c.format,
        endpoints.c.state,
        endpoints.c.event_types,
        endpoints.c.calendar_ids.label("wanted_calendar_ids"),
    )
    .join(messages, messages.c.id == deliveries.c.message_id)
    .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.id)
)
_RELEASE = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.lease == bindparam("owner"),
        PENDING,
    )
    .values(lease=None, next_at=bindparam("now"))
)


def padded(ids: Sequence[Item]) -> list[Item]:
    """The values repeated up to a power of two: PostgreSQL prepares a statement per length, and few lengths are few."""
    size = 1 << max(0, len(ids) - 1).bit_length()
    return [*ids, *[ids[-1]] * (size - len(ids))] if ids else []


async def any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Whether a claim would find anything; a read, so that an idle tick takes no write lock."""
    return (await conn.execute(_ANY_DUE, {"now": now})).first() is not None


async def take(conn: AsyncConnection, lease: Lease, ids: Sequence[UUID], *, now: datetime) -> list[Dispatch]:
    """Lease these deliveries, as far as they are still due and nobody else is just taking them.

    Those of endpoints that are disabled or deleted are parked or cancelled on the way; and so are those that were in hand
    when the filters of their endpoint got narrower.
    """
    asked = {"ids": padded(ids), "owner": lease.owner, "until": lease.until, "now": now}
    taken = list((await conn.execute(_TAKE, asked)).scalars()) if ids else []
    if not taken:
        return []
    rows = (await conn.execute(_LOAD, {"ids": padded(taken)})).all()
    shelves: dict[str, list[UUID]] = {}
    dispatches: list[Dispatch] = []
    for row in rows:
        if row.state == EndpointState.DISABLED.value:
            shelves.setdefault(DeliveryState.PARKED.value, []).append(row.id)
        elif row.state == EndpointState.DELETED.value or not _is_wanted(row):
            shelves.setdefault(DeliveryState.CANCELLED.value, []).append(row.id)
        else:
            dispatches.append(_dispatch(row, lease))
    for to, ids_of_it in shelves.items():
        await conn.execute(_SHELVE, {"ids": padded(ids_of_it), "to": to, "now": now})
    return dispatches


def _is_wanted(row: Any) -> bool:
    """Whether the endpoint still subscribes to it; what was asked for by hand is wanted whatever the filters say."""
    is_by_hand = row.schedule_start != 0
    return (
        is_by_hand
        or row.format == RELAY
        or passes(
            row.event_types,
            row.wanted_calendar_ids,
            type=row.type,
            calendar_id=row.calendar_id,
            also=row.also_calendar_ids,
        )
    )


def _dispatch(row: Any, lease: Lease) -> Dispatch:
    return Dispatch(
        delivery_id=row.id,
        message_id=row.message_id,
        target=Target(row.endpoint_id, row.project_id, row.version, row.url, row.rate_limit, row.secret, row.format),
        type=row.type,
        body=row.body,
        lease=lease,
        attempt=row.attempts + 1,
        schedule_start=row.schedule_start,
        ordered=row.fifo_key is not None,
        rank=row.rank,
        mergeable=row.merge_key is not None and row.attempts == 0,
        calendar_ids=about(row.calendar_id, row.also_calendar_ids) if row.format == RELAY else (),
    )


async def release(conn: AsyncConnection, owner: UUID, delivery_ids: Sequence[UUID], *, now: datetime) -> None:
    """Give leased deliveries back unsent: due now, for anybody."""
    if delivery_ids:
        await conn.execute(_RELEASE, {"ids": padded(delivery_ids), "owner": owner, "now": now})
