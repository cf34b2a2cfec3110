"""Sending again by hand: one message, or everything that an endpoint missed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.claims import PENDING, padded
from webhooks.due import IS_FIRST
from webhooks.filters import of_type
from webhooks.message import DeliveryState, EndpointState, Rank
from webhooks.tables import deliveries, endpoints, messages

_RESTARTED = {
    "state": DeliveryState.PENDING.value,
    "schedule_start": deliveries.c.attempts,
    "rank": Rank.BACKFILL.value,
    "merge_key": None,
    "merged_into": None,
}
"""A new round of retries, behind what is new; what somebody asked for by hand merges with nothing."""

_PAST_ITS_TURN = {"fifo_key": case((and_(PENDING, IS_FIRST), deliveries.c.fifo_key), else_=None)}
"""One that waits in order is let past those before it; the first keeps its place, for the others wait for it."""

PIECE = 500


async def resend(
    conn: AsyncConnection, project_id: UUID, message_id: UUID, *, endpoint_id: UUID | None = None, now: datetime
) -> int:
    """Make a message due again to one enabled endpoint that it was for, or to each; how many that are.

    Same id, same bytes, and a new round of retries, out of order where there is one; one that is on its way is left alone,
    and counts. Wake a deliverer after the commit.
    """
    conditions = [
        deliveries.c.project_id == project_id,
        deliveries.c.message_id == message_id,
        deliveries.c.state != DeliveryState.CANCELLED.value,
        endpoints.c.state == EndpointState.ENABLED.value,
    ]
    if endpoint_id is not None:
        conditions.append(deliveries.c.endpoint_id == endpoint_id)
    query = select(deliveries.c.id).join(endpoints, endpoints.c.id == deliveries.c.endpoint_id).where(*conditions)
    ids = (await conn.execute(query)).scalars().all()
    await _restart(conn, ids, now, **_PAST_ITS_TURN)
    return len(ids)


async def recover(
    conn: AsyncConnection,
    project_id: UUID,
    endpoint_id: UUID,
    *,
    since: datetime,
    until: datetime | None = None,
    event_types: Sequence[str] | None = None,
    now: datetime,
    after: UUID | None = None,
    limit: int = PIECE,
) -> list[UUID]:
    """Make up to `limit` of the endpoint's failed deliveries of a time span due again, and answer which.

    The oldest first, those behind `after`: call again with the last until there are none, each piece in a transaction
    of its own. Types as in a subscription.
    """
    wanted = [messages.c.created_at >= since]
    if until is not None:
        wanted.append(messages.c.created_at < until)
    if event_types:
        wanted.append(or_(*[of_type(pattern) for pattern in event_types]))
    if after is not None:
        wanted.append(deliveries.c.id > after)
    query = (
        select(deliveries.c.id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(
            deliveries.c.project_id == project_id,
            deliveries.c.endpoint_id == endpoint_id,
            deliveries.c.state == literal_column(f"'{DeliveryState.FAILED.value}'"),
            *wanted,
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    ids = list((await conn.execute(query)).scalars())
    await _restart(conn, ids, now)
    return ids


async def _restart(conn: AsyncConnection, delivery_ids: Sequence[UUID], now: datetime, **values: Any) -> None:
    """Begin a new round; deliveries in flight are left alone."""
    if delivery_ids:
        await conn.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(padded(delivery_ids)), deliveries.c.lease.is_(None))
            .values(**_RESTARTED, **values, next_at=now)
        )
