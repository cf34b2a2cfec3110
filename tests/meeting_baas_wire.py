"""The vendor's published shapes of calendar webhooks, v1 and v2, restated field by field."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$")]
Status = Literal["confirmed", "cancelled", "tentative"]
Standing = Literal["active", "error", "revoked", "permission_denied"]
Recurs = Literal["one_off", "recurring"]


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All fields required, and no other."""


class WireInstance(Strict):
    event_id: UUID
    start: Moment
    end: Moment
    title: str
    status: Status
    is_all_day: bool
    is_exception: bool
    bot_scheduled: bool
    meeting_url: str | None
    meeting_platform: Literal["zoom", "meet", "teams"] | None


class WireSeries(Strict):
    event_type: Recurs
    series_id: UUID | None
    series_bot_scheduled: bool
    instances: list[WireInstance]


class WireCreated(Strict):
    calendar_id: UUID
    calendar_platform: Literal["google", "microsoft"]
    account_email: str
    status: Standing
    created_at: Moment


class WireUpdated(WireCreated):
    updated_at: Moment


class WireDeleted(Strict):
    calendar_id: UUID
    calendar_platform: Literal["google", "microsoft"]
    deleted_at: Moment


class WireError(Strict):
    calendar_id: UUID
    platform: Literal["google", "microsoft"]
    error: str
    status: Literal["error"]


class WireSynced(Strict):
    calendar_id: UUID
    events: list[WireSeries]


class WireEventCreated(WireSeries):
    calendar_id: UUID


class WireEventUpdated(Strict):
    calendar_id: UUID
    event_type: Recurs
    series_id: UUID | None
    series_bot_scheduled: bool
    is_exception: bool
    affected_instances: list[WireInstance]


class WireEventCancelled(Strict):
    calendar_id: UUID
    event_type: Recurs
    series_id: UUID | None
    cancelled_instances: list[WireInstance]


class WireSyncEvents(Strict):
    calendar_id: UUID
    last_updated_ts: Moment
    affected_event_uuids: list[UUID]


WIRE = {
    "calendar.connection_created": WireCreated,
    "calendar.connection_updated": WireUpdated,
    "calendar.connection_deleted": WireDeleted,
    "calendar.connection_error": WireError,
    "calendar.events_synced": WireSynced,
    "calendar.event_created": WireEventCreated,
    "calendar.event_updated": WireEventUpdated,
    "calendar.event_cancelled": WireEventCancelled,
    "calendar.sync_events": WireSyncEvents,
}


class Envelope(Strict):
    event: str
    data: msgspec.Raw


def read(body: bytes) -> tuple[str, Any]:
    """A body as it arrives: its name, and its data through the published shape."""
    envelope = msgspec.json.decode(body, type=Envelope)
    return envelope.event, msgspec.json.decode(envelope.data, type=WIRE[envelope.event])
