"""What was sent: messages, their deliveries, every attempt; and forgetting it in time."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, delete, exists, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.due import IS_FIRST
from webhooks.message import DeliveryState, EndpointState
from webhooks.tables import attempts, deliveries, endpoints, messages


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it was put into the outbox; its id is the `webhook-id`. `body` is what receivers get."""

    id: UUID
    project_id: UUID
    type: str
    calendar_id: UUID | None
    at: datetime
    created_at: datetime
    body: msgspec.Raw


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one endpoint: its state, how many attempts were made, when the next one is.

    What waits behind another of its calendar, in order, has no next attempt yet.
    `merged_into` is the message that says instead what this one would have said, when the state is `merged`.
    """

    id: UUID
    message_id: UUID
    endpoint_id: UUID
    state: str
    attempts: int
    next_attempt_at: datetime | None
    merged_into: UUID | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its outcome; `answer` is the first 4 KiB of the receiver's body."""

    id: UUID
    delivery_id: UUID
    message_id: UUID
    endpoint_id: UUID
    number: int
    at: datetime
    duration_ms: int
    status: int | None
    error_kind: str | None
    error_detail: str | None
    answer: str
    next_attempt_at: datetime | None


_MESSAGE = select(*[messages.c[name] for name in Message.__struct_fields__])
_DELIVERY = select(
    deliveries.c.id,
    deliveries.c.message_id,
    deliveries.c.endpoint_id,
    deliveries.c.state,
    deliveries.c.attempts,
    deliveries.c.next_at,
    deliveries.c.merged_into,
    IS_FIRST.label("is_first"),
)
_ATTEMPT = select(
    *[attempts.c[name] for name in Attempt.__struct_fields__ if name in attempts.c],
    deliveries.c.message_id,
    deliveries.c.endpoint_id,
).join(deliveries, deliveries.c.id == attempts.c.delivery_id)


async def page(
    conn: AsyncConnection,
    project_id: UUID,
    *,
    type: str | None = None,  # noqa: A002  the contract's name for it
    calendar_id: UUID | None = None,
    endpoint_id: UUID | None = None,
    state: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[Message]:
    """The project's messages, newest first; `before` is the last id of the page before.

    `endpoint_id` and `state` are those of one delivery; `since` and `until` span when messages were made.
    """
    query = _MESSAGE.where(messages.c.project_id == project_id)
    if type is not None:
        query = query.where(messages.c.type == type)
    if calendar_id is not None:
        query = query.where(messages.c.calendar_id == calendar_id)
    if since is not None:
        query = query.where(messages.c.created_at >= since)
    if until is not None:
        query = query.where(messages.c.created_at < until)
    if endpoint_id is not None or state is not None:
        query = query.where(exists().where(*_goes_to(endpoint_id, state)))
    if before is not None:
        query = query.where(messages.c.id < before)
    rows = await conn.execute(query.order_by(messages.c.id.desc()).limit(limit))
    return [_message(row) for row in rows]


def _goes_to(endpoint_id: UUID | None, state: str | None) -> list[ColumnElement[bool]]:
    conditions = [deliveries.c.message_id == messages.c.id]
    if endpoint_id is not None:
        conditions.append(deliveries.c.endpoint_id == endpoint_id)
    if state is not None:
        conditions.append(deliveries.c.state == literal_column(f"'{DeliveryState(state).value}'"))
    return conditions


async def message(conn: AsyncConnection, project_id: UUID, message_id: UUID) -> tuple[Message, list[Delivery]] | None:
    """One message and where its deliveries stand, or None when the project has none of this id."""
    query = _MESSAGE.where(messages.c.project_id == project_id, messages.c.id == message_id)
    row = (await conn.execute(query)).first()
    return (_message(row), await message_deliveries(conn, project_id, [message_id])) if row else None


async def some(conn: AsyncConnection, project_id: UUID, message_ids: list[UUID]) -> list[Message]:
    """The project's messages of these ids, in no order."""
    query = _MESSAGE.where(messages.c.project_id == project_id, messages.c.id.in_(message_ids))
    return [_message(row) for row in await conn.execute(query)]


def _message(row: Any) -> Message:
    return Message(**row._asdict() | {"body": msgspec.Raw(row.body)})


async def message_deliveries(conn: AsyncConnection, project_id: UUID, message_ids: list[UUID]) -> list[Delivery]:
    """The deliveries of several messages, in the order in which they were made."""
    query = _DELIVERY.where(deliveries.c.project_id == project_id, deliveries.c.message_id.in_(message_ids))
    rows = await conn.execute(query.order_by(deliveries.c.id))
    return [
        Delivery(
            id=row.id,
            message_id=row.message_id,
            endpoint_id=row.endpoint_id,
            state=row.state,
            attempts=row.attempts,
            next_attempt_at=row.next_at if row.state == DeliveryState.PENDING and row.is_first else None,
            merged_into=row.merged_into,
        )
        for row in rows
    ]


async def message_attempts(conn: AsyncConnection, project_id: UUID, message_id: UUID) -> list[Attempt]:
    """Every attempt of a message to any endpoint, oldest first; empty for an unknown message."""
    query = _ATTEMPT.where(deliveries.c.project_id == project_id, deliveries.c.message_id == message_id)
    rows = await conn.execute(query.order_by(attempts.c.at, attempts.c.id))
    return [Attempt(**row._asdict()) for row in rows]


async def delivery_attempt(conn: AsyncConnection, delivery_id: UUID) -> Attempt | None:
    """The latest attempt of a delivery."""
    query = _ATTEMPT.where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number.desc()).limit(1)
    row = (await conn.execute(query)).first()
    return Attempt(**row._asdict()) if row else None


def first_id_at(moment: datetime) -> UUID:
    """The smallest UUIDv7 of a moment: ids below it are older (RFC 9562, 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def purge(conn: AsyncConnection, cutoff: datetime, *, limit: int = 500) -> int:
    """Forget up to `limit` messages from before `cutoff` with all that belongs to them; call again until it answers 0.

    A message that some endpoint may still get stays. Endpoints that were deleted before the cutoff go when no
    delivery speaks of them any more.
    """
    old = select(messages.c.id).where(messages.c.id < first_id_at(cutoff), ~exists().where(_unfinished()))
    ids = (await conn.execute(old.order_by(messages.c.id).limit(limit))).scalars().all()
    if ids:
        await conn.execute(delete(messages).where(messages.c.id.in_(ids)))
        return len(ids)
    gone = select(endpoints.c.id).where(
        endpoints.c.state == EndpointState.DELETED.value,
        endpoints.c.updated_at < cutoff,
        ~exists().where(deliveries.c.endpoint_id == endpoints.c.id),
    )
    gone_ids = (await conn.execute(gone.limit(limit))).scalars().all()
    if gone_ids:
        await conn.execute(delete(endpoints).where(endpoints.c.id.in_(gone_ids)))
    return 0


def _unfinished() -> ColumnElement[bool]:
    waiting = deliveries.c.state.in_([DeliveryState.PENDING.value, DeliveryState.PARKED.value])
    return (deliveries.c.message_id == messages.c.id) & waiting
