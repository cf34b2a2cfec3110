"""Sending again by hand: one message, or everything that an endpoint missed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.claims import padded
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

PIECE = 500


async def resend(
    conn: AsyncConnection, project_id: UUID, message_id: UUID, *, endpoint_id: UUID | None = None, now: datetime
) -> int:
    """Make a message due again to one enabled endpoint that it was for, or to each; how many that are.

    Same id, same bytes, and a new round of retries; one that is on its way is left alone, and counts. Wake a deliverer
    after the commit.
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
    await _restart(conn, ids, now)
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
        wanted.append(or_(*[_of_type(pattern) for pattern in event_types]))
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


def _of_type(pattern: str) -> ColumnElement[bool]:
    if pattern.endswith("*"):
        return messages.c.type.startswith(pattern[:-1], autoescape=True)
    return messages.c.type == pattern


async def _restart(conn: AsyncConnection, delivery_ids: Sequence[UUID], now: datetime) -> None:
    """Begin a new round; deliveries in flight are left alone."""
    if delivery_ids:
        await conn.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(padded(delivery_ids)), deliveries.c.lease.is_(None))
            .values(**_RESTARTED, next_at=now)
        )
