"""Sending again by hand: one message, or everything that an endpoint missed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.message import DeliveryState, EndpointState
from webhooks.tables import deliveries, endpoints, messages

_ENABLED = select(endpoints.c.id).where(endpoints.c.state == EndpointState.ENABLED.value)


async def resend(conn: AsyncConnection, project_id: UUID, message_id: UUID, *, now: datetime) -> int:
    """Make a message due again to every enabled endpoint that it was for; how many that are.

    Same id, same bytes, and a new round of retries. Wake a deliverer after the commit.
    """
    return await _restart(
        conn,
        now,
        deliveries.c.project_id == project_id,
        deliveries.c.message_id == message_id,
        deliveries.c.endpoint_id.in_(_ENABLED),
        deliveries.c.state != DeliveryState.CANCELLED.value,
    )


async def recover(
    conn: AsyncConnection,
    project_id: UUID,
    endpoint_id: UUID,
    *,
    since: datetime,
    until: datetime | None = None,
    event_types: Sequence[str] | None = None,
    now: datetime,
) -> int:
    """Make the endpoint's failed messages of a time span due again; how many. Types as in a subscription."""
    wanted = [messages.c.created_at >= since]
    if until is not None:
        wanted.append(messages.c.created_at < until)
    if event_types:
        wanted.append(or_(*[_of_type(pattern) for pattern in event_types]))
    return await _restart(
        conn,
        now,
        deliveries.c.project_id == project_id,
        deliveries.c.endpoint_id == endpoint_id,
        deliveries.c.endpoint_id.in_(_ENABLED),
        deliveries.c.state == literal_column(f"'{DeliveryState.FAILED.value}'"),
        deliveries.c.message_id.in_(select(messages.c.id).where(messages.c.project_id == project_id, *wanted)),
    )


def _of_type(pattern: str) -> ColumnElement[bool]:
    if pattern.endswith("*"):
        return messages.c.type.startswith(pattern[:-1], autoescape=True)
    return messages.c.type == pattern


async def _restart(conn: AsyncConnection, now: datetime, *conditions: Any) -> int:
    """Begin a new round of retries; deliveries in flight are left alone."""
    result = await conn.execute(
        update(deliveries)
        .where(deliveries.c.lease.is_(None), *conditions)
        .values(state=DeliveryState.PENDING.value, next_at=now, schedule_start=deliveries.c.attempts)
    )
    return result.rowcount
