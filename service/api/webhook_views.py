"""What the API shows of endpoints, messages and attempts; none of it has a place for a secret but those that say so."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from webhooks.endpoints import Endpoint
from webhooks.history import Attempt, Delivery, Message


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of webhooks. `state` (and `status`, its older name) is `enabled` or `disabled`.

    `rate_limit` is messages per second. `disabled_reason` is `gone` (it answered 410), `requested` (by the header
    `webhook-delivery: disable`), `failing` (five days without a success) or `manual`. `first_failure_at` is when the
    failure began that still goes on, `failed_messages` how many messages it has hit. `success_rate` is the share of
    attempts of the last 24 hours that succeeded, null without any.
    """

    id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    calendar_ids: list[UUID] | None
    rate_limit: int | None
    ordering: str
    format: str
    state: str
    status: str
    disabled_reason: str | None
    disabled_at: datetime | None
    first_failure_at: datetime | None
    last_success_at: datetime | None
    success_rate: float | None
    failed_messages: int
    version: int
    created_at: datetime
    updated_at: datetime


class NewEndpointView(EndpointView, frozen=True, kw_only=True):
    """A new endpoint with its secret, which is shown here and by `GET .../secret` only."""

    secret: str


class SecretView(msgspec.Struct, frozen=True):
    """The key that signs an endpoint's messages."""

    secret: str


class RotatedView(msgspec.Struct, frozen=True):
    """The new key; the old ones sign too until then."""

    secret: str
    old_secrets_sign_until: datetime


class PortalView(msgspec.Struct, frozen=True):
    """A link that opens the portal to whoever has it, and until when it does."""

    url: str
    expires_at: datetime


class RedeliveryView(msgspec.Struct, frozen=True):
    """How many deliveries are due again."""

    deliveries: int


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one endpoint. `status` is `pending`, `delivered`, `failed`, `parked`, `cancelled` or `merged`.

    `next_attempt_at` is null where none is planned: also while it waits behind another of its calendar (`ordering: fifo`).
    A merged one was never sent: the message `merged_into` says the same and more.
    """

    endpoint_id: UUID
    status: str
    attempts: int
    next_attempt_at: datetime | None
    merged_into: UUID | None


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was sent, or is on its way; `id` is its `webhook-id`."""

    id: UUID
    type: str
    calendar_id: UUID | None
    timestamp: datetime
    created_at: datetime
    deliveries: list[DeliveryView]


class MessageWithPayload(MessageView, frozen=True, kw_only=True):
    """A message with the exact JSON that its receivers get."""

    payload: Any


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was made: `status` is the receiver's, `answer` the first 4 KiB of its body."""

    id: UUID
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


class EventTypeView(msgspec.Struct, frozen=True, kw_only=True):
    """A type of webhook; one that is `on_request` is sent only to endpoints that name it or its family.

    `schema` is the JSON Schema of the whole body, `example` a body that fits it.
    """

    type: str
    description: str
    on_request: bool
    schema: dict[str, Any]
    example: dict[str, Any]


def endpoint_view(endpoint: Endpoint) -> EndpointView:
    """An endpoint as it is shown."""
    return EndpointView(**_endpoint_fields(endpoint))


def new_endpoint_view(endpoint: Endpoint, secret: str) -> NewEndpointView:
    """An endpoint as it is shown to whoever has just made it."""
    return NewEndpointView(**_endpoint_fields(endpoint), secret=secret)


def message_view(message: Message, deliveries: list[Delivery]) -> MessageView:
    """A message as lists show it."""
    return MessageView(**_message_fields(message, deliveries))


def message_with_payload(message: Message, deliveries: list[Delivery]) -> MessageWithPayload:
    """A message as it is shown alone."""
    return MessageWithPayload(**_message_fields(message, deliveries), payload=message.body)


def attempt_view(attempt: Attempt) -> AttemptView:
    """An attempt as it is shown."""
    return msgspec.convert(attempt, AttemptView, from_attributes=True)


def _endpoint_fields(endpoint: Endpoint) -> dict[str, Any]:
    known = msgspec.structs.asdict(endpoint) | {"status": endpoint.state}
    return {name: known[name] for name in EndpointView.__struct_fields__}


def _message_fields(message: Message, deliveries: list[Delivery]) -> dict[str, Any]:
    shown = [
        DeliveryView(
            endpoint_id=delivery.endpoint_id,
            status=delivery.state,
            attempts=delivery.attempts,
            next_attempt_at=delivery.next_attempt_at,
            merged_into=delivery.merged_into,
        )
        for delivery in deliveries
    ]
    return {
        "id": message.id,
        "type": message.type,
        "calendar_id": message.calendar_id,
        "timestamp": message.at,
        "created_at": message.created_at,
        "deliveries": shown,
    }
