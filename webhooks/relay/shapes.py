"""Svix's words for endpoints, messages and attempts, and ours: pure, both ways.

ours                        Svix's
endpoint id (UUID)     uid, or made of its id and time where somebody made it in the portal
event_types `a.*`      the names that the family has, because Svix knows none; the wish itself in the metadata
calendar_ids           channels, and the one of what is about no calendar
version                the time of the last change, in microseconds
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from svix.models import EndpointOut, MessageAttemptOut, MessageEndpointOut, MessageStatus

from webhooks.attempt import fit
from webhooks.endpoints import Endpoint
from webhooks.filters import covers
from webhooks.history import Attempt, Delivery
from webhooks.message import STANDARD, DeliveryState, EndpointState
from webhooks.relay.remote import KnownType

ANY = "any-calendar"
"""The channel of messages that are about no calendar, or about more than a message may have channels: endpoints that want
certain calendars listen to it too, and rather get too much than miss something."""

MOST_OF_A_MESSAGE = 5
"""Channels that a message may have on Svix's own server; the hosted service takes ten."""

MOST_OF_AN_ENDPOINT = 10

WISH = "calgate_event_types"
"""The metadata that has an endpoint's `event_types` as they were wished for, as JSON."""

STATES = {
    MessageStatus.SUCCESS: DeliveryState.DELIVERED,
    MessageStatus.PENDING: DeliveryState.PENDING,
    MessageStatus.SENDING: DeliveryState.PENDING,
    MessageStatus.FAIL: DeliveryState.FAILED,
    MessageStatus.CANCELED: DeliveryState.CANCELLED,
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def channels_of(calendar_ids: Sequence[str]) -> list[str]:
    """The channels of a message that is about these calendars."""
    return list(calendar_ids) if 0 < len(calendar_ids) <= MOST_OF_A_MESSAGE else [ANY]


def listened_to(calendar_ids: Iterable[UUID] | None) -> list[str] | None:
    """The channels of an endpoint that wants these calendars; None for all."""
    return None if calendar_ids is None else [*dict.fromkeys(map(str, calendar_ids)), ANY]


def names_of(patterns: Sequence[str] | None, catalogue: Iterable[KnownType]) -> list[str] | None:
    """The types that an endpoint gets which wishes for these; None when that is everything."""
    if patterns is None:
        return [known.name for known in catalogue if not known.on_request]
    if "*" in patterns:
        return None
    return [known.name for known in catalogue if any(covers(pattern, known.name) for pattern in patterns)]


def metadata_of(patterns: Sequence[str] | None) -> dict[str, str]:
    """What is kept with an endpoint, so that its wish can be shown again."""
    return {WISH: msgspec.json.encode(patterns).decode()}


def wished(out: EndpointOut, catalogue: Iterable[KnownType]) -> list[str] | None:
    """The `event_types` of an endpoint: the wish, unless it was given other types since, in the portal for one."""
    have = None if out.event_types is None else set(out.event_types)
    try:
        wish = msgspec.json.decode(out.metadata.get(WISH, ""), type=list[str] | None)
    except (msgspec.DecodeError, ValueError):
        wish = ["*"]
    names = names_of(wish, catalogue)
    if have == (None if names is None else set(names)):
        return wish
    return ["*"] if have is None else sorted(have)


def endpoint_of(out: EndpointOut, project_id: UUID, catalogue: Iterable[KnownType]) -> Endpoint:
    """An endpoint of Svix's as the API shows it. Why and since when it is disabled, or fails, Svix does not say."""
    return Endpoint(
        id=endpoint_id_of(out),
        project_id=project_id,
        url=out.url,
        description=out.description or None,
        event_types=wished(out, catalogue),
        calendar_ids=_calendars(out.channels),
        rate_limit=out.throttle_rate or None,
        ordering="best_effort",
        format=STANDARD,
        state=(EndpointState.DISABLED if out.disabled else EndpointState.ENABLED).value,
        disabled_reason=None,
        disabled_at=None,
        first_failure_at=None,
        failed_messages=0,
        version=(in_utc(out.updated_at) - _EPOCH) // timedelta(microseconds=1),
        created_at=in_utc(out.created_at),
        updated_at=in_utc(out.updated_at),
    )


def _calendars(channels: Sequence[str] | None) -> list[UUID] | None:
    if channels is None:
        return None
    return [found for channel in channels if (found := as_uuid(channel)) is not None]


def endpoint_id_of(out: EndpointOut | MessageEndpointOut) -> UUID:
    """Our id of an endpoint, always the same, whoever has made it."""
    return as_uuid(out.uid) or id_of(out.id, out.created_at)


def as_uuid(text: str | None) -> UUID | None:
    """The UUID that a text spells in the one way that we do."""
    try:
        found = UUID(text or "")
    except ValueError:
        return None
    return found if str(found) == text else None


def id_of(svix_id: str, at: datetime) -> UUID:
    """A UUIDv7 for what only Svix has an id of: its time, and the rest out of that id."""
    milliseconds = max(0, (in_utc(at) - _EPOCH) // timedelta(milliseconds=1)) & (1 << 48) - 1
    noise = int.from_bytes(hashlib.sha256(svix_id.encode()).digest()[:10])
    value = milliseconds << 80 | noise
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def delivery_of(out: MessageEndpointOut, message_id: UUID, attempts: int) -> Delivery:
    """Where a message to one endpoint stands; Svix does not say with it how many attempts there were."""
    state = STATES.get(out.status, DeliveryState.PENDING)
    return Delivery(
        id=_delivery_id(message_id, out.id),
        message_id=message_id,
        endpoint_id=endpoint_id_of(out),
        state=state.value,
        attempts=attempts,
        next_attempt_at=_moment(out.next_attempt) if state is DeliveryState.PENDING else None,
    )


def attempt_of(
    out: MessageAttemptOut, *, message_id: UUID, endpoint_id: UUID, number: int, next_attempt_at: datetime | None
) -> Attempt:
    """One attempt of Svix's; a status of 0 is one that got no answer."""
    failed = out.status not in (MessageStatus.SUCCESS, MessageStatus.CANCELED)
    kind = None if not failed else ("status" if out.response_status_code else "connect")
    return Attempt(
        id=id_of(out.id, out.timestamp),
        delivery_id=_delivery_id(message_id, out.endpoint_id),
        message_id=message_id,
        endpoint_id=endpoint_id,
        number=number,
        at=in_utc(out.timestamp),
        duration_ms=max(0, out.response_duration_ms),
        status=out.response_status_code or None,
        error_kind=kind,
        error_detail=None if kind is None else f"the receiver answered {out.response_status_code or 'nothing'}",
        answer=fit(out.response),
        next_attempt_at=next_attempt_at,
    )


def _delivery_id(message_id: UUID, svix_endpoint_id: str) -> UUID:
    return id_of(f"{message_id} {svix_endpoint_id}", datetime.fromtimestamp((message_id.int >> 80) / 1000, UTC))


def in_utc(moment: datetime) -> datetime:
    """A time of Svix's, which are in UTC where they have no zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moment(moment: datetime | None) -> datetime | None:
    return None if moment is None else in_utc(moment)


def fields_of(changes: dict[str, Any], catalogue: Iterable[KnownType]) -> dict[str, Any]:
    """Our fields of an endpoint as Svix's, by the names of its client; `metadata` holds only what is ours of it."""
    said: dict[str, Any] = {}
    if "url" in changes:
        said["url"] = changes["url"]
    if "description" in changes:
        said["description"] = changes["description"] or ""
    if "rate_limit" in changes:
        said["throttle_rate"] = changes["rate_limit"]
    if "calendar_ids" in changes:
        said["channels"] = listened_to(changes["calendar_ids"])
    if "event_types" in changes:
        said["event_types"] = names_of(changes["event_types"], catalogue)
        said["metadata"] = metadata_of(changes["event_types"])
    if "state" in changes:
        said["disabled"] = changes["state"] == EndpointState.DISABLED.value
    return said
