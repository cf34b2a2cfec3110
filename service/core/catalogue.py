"""Every type of webhook that there is: the struct of its data, when it is sent, and an example."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from service.core import samples
from service.core.announcements import (
    BotNotice,
    CalendarNotice,
    Change,
    ConnectionNotice,
    Declined,
    EndpointNotice,
    MeetingStarting,
    StaleNotice,
    SyncNotice,
)


class EventType(NamedTuple):
    """A type of webhook. `example` is a whole body: `type`, `timestamp`, `data`.

    One that is `on_request` is sent only to endpoints that name it or its family.
    """

    name: str
    struct: type[msgspec.Struct]
    description: str
    example: Mapping[str, Any]
    on_request: bool = False


ON_REQUEST: Final = ("event.", "integration.")
"""The families of types that are sent only to endpoints that name them."""


def _listed(
    name: str, struct: type[msgspec.Struct], description: str, data: Mapping[str, Any], *, at: str = samples.NOW
) -> EventType:
    example = {"type": name, "timestamp": at, "data": data}
    return EventType(name, struct, description, example, on_request=name.startswith(ON_REQUEST))


CATALOGUE: Final[tuple[EventType, ...]] = (
    _listed(
        "calendar.created",
        CalendarNotice,
        "A calendar was connected. It is read next.",
        samples.calendar("syncing", None),
    ),
    _listed(
        "calendar.active",
        CalendarNotice,
        "It is in step with the provider: after the first complete read, and after an error that was announced.",
        samples.calendar("active", "syncing"),
    ),
    _listed(
        "calendar.error",
        CalendarNotice,
        "Something is wrong; `error_message` says what to do.",
        samples.calendar(
            "error",
            "active",
            "provider_unavailable",
            "The provider cannot be reached or answers with faults; nothing to do, calgate goes on trying. (http_503)",
        ),
    ),
    _listed(
        "calendar.disconnected",
        CalendarNotice,
        "The user's grant, or the calendar, is gone. New credentials are needed.",
        samples.calendar(
            "disconnected",
            "error",
            "credentials_rejected",
            "The user's grant is gone: let the user sign in again and PATCH the calendar with the new refresh_token. "
            "(invalid_grant)",
        ),
    ),
    _listed(
        "calendar.deleted",
        CalendarNotice,
        "It was deleted here. Its events are forgotten, and none of them is announced as cancelled.",
        samples.calendar("active", "active"),
    ),
    _listed(
        "calendar.stale",
        StaleNotice,
        "It was not verified with the provider for longer than promised.",
        samples.calendar("active", "active") | {"last_synced_at": "2026-03-02T08:30:00Z"},
    ),
    _listed(
        "calendar.sync_events",
        SyncNotice,
        "Changes were written to the change log: which numbers, and which events.",
        samples.SYNC,
    ),
    _listed(
        "event.created",
        Change,
        "An event is new, or has come into the window. Not sent for a calendar's first sync.",
        samples.CREATED,
    ),
    _listed("event.updated", Change, "An event differs: `fields` has what, with both values.", samples.UPDATED),
    _listed(
        "event.cancelled", Change, "An event was cancelled or deleted, or has left the calendar.", samples.CANCELLED
    ),
    _listed(
        "event.declined",
        Declined,
        "An attendee has said no to an event: the change as in `event.updated`, and `attendee`.",
        samples.DECLINED,
    ),
    _listed(
        "meeting.starting",
        MeetingStarting,
        "A meeting starts in `lead_seconds` or less.",
        samples.STARTING,
        at="2026-03-02T09:50:00Z",
    ),
    _listed("bot.planned", BotNotice, "A bot is to join a meeting, or the meeting of one has changed.", samples.bot()),
    _listed(
        "bot.launch",
        BotNotice,
        "Send the bot now: once for each meeting, `join_lead_seconds` before it starts.",
        samples.bot(),
        at="2026-03-02T09:59:00Z",
    ),
    _listed(
        "bot.cancelled",
        BotNotice,
        "No bot is to join any more, or the one that was launched is to leave; `reason` says why.",
        samples.bot("cancelled"),
    ),
    _listed("bot.failed", BotNotice, "A bot could not be launched; `reason` says why.", samples.bot("missed")),
    _listed(
        "integration.synced",
        ConnectionNotice,
        "A user's connection is active and all of its calendars have been read: for the first time, or again.",
        samples.connection("active", None),
    ),
    _listed(
        "integration.error",
        ConnectionNotice,
        "A connection has come to `token_expired`, where the user has to sign in again, or to `error`.",
        samples.connection("token_expired", "active", "credentials_rejected", samples.SIGN_IN),
    ),
    _listed(
        "integration.disconnected",
        ConnectionNotice,
        "A connection was deleted, or the provider has none of its calendars any more.",
        samples.connection("disconnected", "active"),
    ),
    _listed(
        "webhook.endpoint_disabled",
        EndpointNotice,
        "Another endpoint of the project is not sent to any more; `reason` is `gone`, `requested` or `failing`.",
        {"endpoint_id": samples.ENDPOINT_ID, "reason": "failing"},
    ),
    _listed(
        "webhook.test",
        EndpointNotice,
        "Somebody asked for a test of this endpoint.",
        {"endpoint_id": samples.ENDPOINT_ID, "reason": "test"},
    ),
)

EVENT_TYPES: Final = tuple(each.name for each in CATALOGUE)


def schema_of(event_type: EventType) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a type's whole body."""
    fields = [("type", str), ("timestamp", Annotated[datetime, msgspec.Meta(tz=True)]), ("data", event_type.struct)]
    envelope = msgspec.defstruct("Message", fields)
    found: dict[str, Any] = msgspec.json.schema(envelope)
    body = found["$defs"]["Message"]
    body["properties"]["type"] = {"const": event_type.name}
    return found
