"""What the API shows of a row: the shapes of its answers, none of which has a place for a secret."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row

from service.core.announcements import Change
from service.core.event import EventView
from service.core.lifecycle import State
from service.core.meeting_links.evidence import MeetingHost
from service.providers.protocol import RawCalendar
from webhooks.endpoints import Endpoint
from webhooks.history import Attempt, Delivery, Message
from webhooks.message import EndpointState


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    """A project, and what it decides for its calendars; `meeting_hosts` as they were given."""

    id: UUID
    name: str
    starting_lead_seconds: list[int]
    link_preference: str
    meeting_hosts: list[str | MeetingHost]
    version: int
    created_at: datetime
    updated_at: datetime


class CalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """A connected calendar. `status` is `syncing`, `active`, `error` or `disconnected`.

    `link_preference` and `meeting_hosts` are the calendar's own; null where the project decides (`GET /project`).
    """

    id: UUID
    provider: str
    status: str
    raw_calendar_id: str
    calendar_name: str
    name: str | None
    email: str | None
    time_zone: str | None
    is_primary: bool
    metadata: dict[str, Any]
    horizon_days: int
    link_preference: str | None
    meeting_hosts: list[str | MeetingHost] | None
    error_code: str | None
    error_message: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    last_synced_at: datetime | None
    next_sync_at: datetime | None


class PushView(msgspec.Struct, frozen=True):
    """Whether the provider tells us of changes, until when, and when it last did."""

    enabled: bool
    expires_at: datetime | None
    last_received_at: datetime | None


class SyncView(msgspec.Struct, frozen=True, kw_only=True):
    """How a calendar's synchronisation stands; `lag_seconds` is how long ago it was last known to be complete."""

    status: str
    last_synced_at: datetime | None
    last_attempt_at: datetime | None
    next_sync_at: datetime | None
    lag_seconds: float | None
    consecutive_failures: int
    error_code: str | None
    error_message: str | None
    retry_at: datetime | None
    rate_limited_until: datetime | None
    push: PushView
    quarantined_events: int


class RawCalendarsView(msgspec.Struct, frozen=True):
    """Every calendar of an account, as the provider lists them."""

    calendars: list[RawCalendar]


class ResyncView(msgspec.Struct, frozen=True):
    """How many calendars are due now."""

    calendars: int


class ChangesView(msgspec.Struct, frozen=True):
    """Changes in the order of their `seq`; `last_seq` is the number to go on after."""

    data: list[Change]
    last_seq: int


class EventWithSource(EventView, frozen=True, kw_only=True):
    """An event; with `include=raw` also the provider's row behind it, as received."""

    raw: dict[str, Any] | None = None


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of webhooks. `status` is `enabled` or `disabled`; `rate_limit` is messages per second."""

    id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    calendar_ids: list[UUID] | None
    rate_limit: int | None
    ordering: str
    format: str
    status: str
    disabled_reason: str | None
    disabled_at: datetime | None
    failing_since: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class NewEndpointView(EndpointView, frozen=True, kw_only=True):
    """A new endpoint with its secret, which is shown here and by `GET .../secret` only."""

    secret: str


class SecretView(msgspec.Struct, frozen=True):
    """The key that signs an endpoint's messages."""

    secret: str


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one endpoint. `status` is `pending`, `delivered`, `failed`, `parked` or `cancelled`."""

    endpoint_id: UUID
    status: str
    attempts: int
    next_attempt_at: datetime | None


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
    endpoint_id: UUID
    number: int
    at: datetime
    duration_ms: int
    status: int | None
    error_kind: str | None
    error_detail: str | None
    answer: str
    next_attempt_at: datetime | None


def project_view(row: Row[Any]) -> ProjectView:
    """A stored project as it is shown."""
    return ProjectView(**{name: getattr(row, name) for name in ProjectView.__struct_fields__})


def calendar_view(row: Row[Any]) -> CalendarView:
    """A stored calendar as it is shown."""
    stored = {name: getattr(row, name) for name in CalendarView.__struct_fields__ if name != "next_sync_at"}
    return CalendarView(**stored, next_sync_at=_next_sync(row))


def sync_view(row: Row[Any], quarantined: int, now: datetime) -> SyncView:
    """How a stored calendar's synchronisation stands."""
    synced = row.last_synced_at
    return SyncView(
        status=row.status,
        last_synced_at=synced,
        last_attempt_at=row.last_attempt_at,
        next_sync_at=_next_sync(row),
        lag_seconds=None if synced is None else round(max(0.0, (now - synced).total_seconds()), 3),
        consecutive_failures=row.failures,
        error_code=row.error_code,
        error_message=row.error_message,
        retry_at=row.retry_at,
        rate_limited_until=row.rate_limited_until,
        push=PushView(row.push_until is not None and row.push_until > now, row.push_until, row.push_received_at),
        quarantined_events=quarantined,
    )


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


def _next_sync(row: Row[Any]) -> datetime | None:
    # A calendar that is disconnected may be due to have its events examined, which is no reading.
    due_at: datetime | None = row.due_at
    return None if row.status == State.DISCONNECTED.value else due_at


def _endpoint_fields(endpoint: Endpoint) -> dict[str, Any]:
    known = msgspec.structs.asdict(endpoint) | {
        "status": EndpointState(endpoint.state).value,
        "failing_since": endpoint.first_failure_at,
    }
    return {name: known[name] for name in EndpointView.__struct_fields__}


def _message_fields(message: Message, deliveries: list[Delivery]) -> dict[str, Any]:
    shown = [
        DeliveryView(
            endpoint_id=delivery.endpoint_id,
            status=delivery.state,
            attempts=delivery.attempts,
            next_attempt_at=delivery.next_attempt_at,
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
