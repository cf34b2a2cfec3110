"""What the v2 dialect shows: its shapes, and what becomes of our calendars and events in them."""

from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from service.core.event import Attendee, EventView
from service.core.meeting_baas.identity import (
    CalendarStatus,
    EventStatus,
    MeetingPlatform,
    calendar_status,
    event_status,
    meeting_platform,
)
from service.core.meeting_baas.series import SeriesKind, series_kind, series_uuid

T = TypeVar("T")

_RESPONSES: Final = frozenset({"accepted", "declined", "tentative", "needsAction"})


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The envelope of one thing."""

    success: bool = True
    data: T


class PageV2(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The envelope of a list; both cursors are always there."""

    success: bool = True
    data: list[T]
    cursor: str | None
    prev_cursor: str | None


class Message(msgspec.Struct, frozen=True):
    """A sentence."""

    message: str


class RawCalendarV2(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar that the provider lists."""

    id: str
    name: str
    email: str
    is_primary: bool


class CreatedV2(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar that was connected."""

    calendar_id: UUID
    calendar_platform: str
    account_email: str
    status: CalendarStatus
    created_at: datetime


class ChangedV2(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar that has new credentials."""

    calendar_id: UUID
    calendar_platform: str
    account_email: str
    status: CalendarStatus
    updated_at: datetime


class CalendarItem(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar in a list."""

    calendar_id: UUID
    calendar_platform: str
    account_email: str
    status: CalendarStatus
    synced_at: datetime | None
    created_at: datetime


class CalendarDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar alone; `provider_metadata` is a free object, in which ours says which calendar of the account it is."""

    calendar_id: UUID
    calendar_platform: str
    account_email: str
    status: CalendarStatus
    status_message: str | None
    subscription_id: str | None
    subscription_expires_at: datetime | None
    synced_at: datetime | None
    sync_status: Literal["success", "failed", "partial"] | None
    sync_error: str | None
    provider_metadata: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class Resubscribed(msgspec.Struct, frozen=True):
    """When a calendar's push channel was renewed."""

    calendar_id: UUID
    resubscribed_at: datetime


class SeriesEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event inside its series."""

    event_id: UUID
    title: str
    start_time: datetime
    end_time: datetime
    status: EventStatus
    is_exception: bool
    meeting_url: str | None
    meeting_platform: MeetingPlatform | None
    calendar_id: UUID
    bot_scheduled: bool
    created_at: datetime


class EventItem(SeriesEvent, frozen=True, kw_only=True):
    """An event in a list."""

    series_id: UUID
    event_type: SeriesKind


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series with its events in the window."""

    series_id: UUID
    event_type: SeriesKind
    calendar_id: UUID
    created_at: datetime
    events: list[SeriesEvent]


class AttendeeV2(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is invited; the two flags are there where they are true."""

    email: str
    name: str | None
    response_status: str
    organizer: bool | UnsetType = UNSET
    self: bool | UnsetType = UNSET


class EventDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An event alone, with the provider's row behind it."""

    event_id: UUID
    series_id: UUID
    event_type: SeriesKind
    title: str
    description: str | None
    location: str | None
    start_time: datetime
    end_time: datetime
    timezone: str | None
    is_all_day: bool
    status: EventStatus
    organizer_email: str | None
    organizer_name: str | None
    attendees: list[AttendeeV2] | None
    meeting_url: str | None
    meeting_platform: MeetingPlatform | None
    calendar_id: UUID
    calendar_platform: str
    bot_scheduled: bool
    raw_payload: msgspec.Raw
    created_at: datetime
    updated_at: datetime


class EventRef(msgspec.Struct, frozen=True):
    """An event for which a bot was scheduled, changed or taken back."""

    event_id: UUID


class EventFault(msgspec.Struct, frozen=True, kw_only=True):
    """An event for which that could not be done."""

    event_id: UUID
    code: str
    message: str
    details: str | None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of what was done to several events."""

    success: bool = True
    data: list[EventRef]
    errors: list[EventFault]


def created(row: Any) -> CreatedV2:
    """A stored calendar as the answer to connecting it."""
    return CreatedV2(**_named(row), created_at=row.created_at)


def changed(row: Any) -> ChangedV2:
    """A stored calendar as the answer to new credentials."""
    return ChangedV2(**_named(row), updated_at=row.updated_at)


def calendar_item(row: Any) -> CalendarItem:
    """A stored calendar in a list."""
    return CalendarItem(**_named(row), synced_at=row.last_synced_at, created_at=row.created_at)


def calendar_details(
    row: Any, *, subscription_id: str | None, expires_at: datetime | None, quarantined: int
) -> CalendarDetails:
    """A stored calendar with its push channel; `quarantined` rows of it could not be read."""
    failed = row.error_code is not None
    known = row.last_synced_at is not None
    return CalendarDetails(
        **_named(row),
        status_message=row.error_message,
        subscription_id=subscription_id,
        subscription_expires_at=expires_at,
        synced_at=row.last_synced_at,
        sync_status="failed" if failed else ("partial" if quarantined else "success") if known else None,
        sync_error=row.error_message,
        provider_metadata={
            "raw_calendar_id": row.raw_calendar_id,
            "calendar_name": row.calendar_name,
            "time_zone": row.time_zone,
            "is_primary": row.is_primary,
        },
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def series_event(found: EventView, *, bot_scheduled: bool) -> SeriesEvent:
    """A stored event inside its series."""
    return SeriesEvent(**_shown(found, bot_scheduled=bot_scheduled))


def event_item(found: EventView, *, bot_scheduled: bool) -> EventItem:
    """A stored event in a list."""
    return EventItem(**_shown(found, bot_scheduled=bot_scheduled), **_series(found))


def event_details(found: EventView, provider: str, source: bytes | None, *, bot_scheduled: bool) -> EventDetails:
    """A stored event alone, on a calendar of this provider, with the provider's row as JSON."""
    return EventDetails(
        event_id=found.id,
        **_series(found),
        title=found.title or "",
        description=found.description,
        location=found.location,
        start_time=found.starts_at,
        end_time=found.ends_at,
        timezone=found.time_zone,
        is_all_day=found.is_all_day,
        status=event_status(found.status, found.response_status),
        organizer_email=found.organizer.email if found.organizer else None,
        organizer_name=found.organizer.name if found.organizer else None,
        attendees=[_attendee(one) for one in found.attendees if one.email],
        meeting_url=found.meeting.url if found.meeting else None,
        meeting_platform=meeting_platform(found.meeting.platform if found.meeting else None),
        calendar_id=found.calendar_id,
        calendar_platform=provider,
        bot_scheduled=bot_scheduled,
        raw_payload=msgspec.Raw(source or b"null"),
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _named(row: Any) -> dict[str, Any]:
    return {
        "calendar_id": row.id,
        "calendar_platform": row.provider,
        "account_email": row.email or "",
        "status": calendar_status(row.status, row.error_code),
    }


def _shown(found: EventView, *, bot_scheduled: bool) -> dict[str, Any]:
    return {
        "event_id": found.id,
        "title": found.title or "",
        "start_time": found.starts_at,
        "end_time": found.ends_at,
        "status": event_status(found.status, found.response_status),
        "is_exception": found.is_exception,
        "meeting_url": found.meeting.url if found.meeting else None,
        "meeting_platform": meeting_platform(found.meeting.platform if found.meeting else None),
        "calendar_id": found.calendar_id,
        "bot_scheduled": bot_scheduled,
        "created_at": found.created_at,
    }


def _series(found: EventView) -> dict[str, Any]:
    return {
        "series_id": series_uuid(found.calendar_id, found.series_id, found.id),
        "event_type": series_kind(found.series_id),
    }


def _attendee(person: Attendee) -> AttendeeV2:
    response = person.response_status
    return AttendeeV2(
        email=person.email or "",
        name=person.name,
        response_status=response if response in _RESPONSES else "needsAction",
        organizer=person.organizer or UNSET,
        self=person.self or UNSET,
    )
