"""What the v1 dialect shows: its shapes, and what becomes of our calendars and events in them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from service.core.event import CANCELLED, EventView
from service.core.meeting_baas.bot_param import BotParam, bot_param


class RawCalendarV1(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar that the provider lists."""

    id: str
    email: str
    is_primary: bool


class RawCalendarsV1(msgspec.Struct, frozen=True):
    """What the provider lists."""

    calendars: list[RawCalendarV1]


class CalendarV1(msgspec.Struct, frozen=True, kw_only=True):
    """A connected calendar; `google_id` is the provider's id of it, whichever provider that is."""

    uuid: UUID
    name: str
    email: str
    google_id: str
    resource_id: str | None


class ConnectedV1(msgspec.Struct, frozen=True):
    """The answer to connecting and to new credentials."""

    calendar: CalendarV1


class AttendeeV1(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is invited."""

    email: str
    name: str | None


class EventV1(msgspec.Struct, frozen=True, kw_only=True):
    """An event; a text that it lacks is empty, for the dialect has no null there."""

    uuid: UUID
    calendar_uuid: UUID
    google_id: str
    name: str
    meeting_url: str
    start_time: datetime
    end_time: datetime
    is_organizer: bool
    is_recurring: bool
    recurring_event_id: str | None
    attendees: list[AttendeeV1]
    raw: msgspec.Raw
    bot_param: BotParam | None
    deleted: bool
    last_updated_at: datetime


class EventsV1(msgspec.Struct, frozen=True):
    """A page of events; `next` is the `cursor` of the one behind it."""

    data: list[EventV1]
    next: str | None


class ResyncedV1(msgspec.Struct, frozen=True):
    """Which calendars are read again, and which cannot be, with the reason."""

    synced_calendars: list[UUID]
    errors: list[tuple[UUID, str]]


def raw_calendar(raw_id: str, account_email: str | None, *, is_primary: bool) -> RawCalendarV1:
    """A calendar as a provider lists it; `email` is the account's."""
    return RawCalendarV1(id=raw_id, email=account_email or "", is_primary=is_primary)


def calendar(row: Any, resource_id: str | None) -> CalendarV1:
    """A stored calendar; `resource_id` is its open push channel's."""
    return CalendarV1(
        uuid=row.id,
        name=row.name or row.calendar_name,
        email=row.email or "",
        google_id=row.raw_calendar_id,
        resource_id=resource_id,
    )


def event(found: EventView, source: bytes | None, config: Mapping[str, Any] | None) -> EventV1:
    """A stored event with the provider's row behind it; `config` is that of the bot which is to attend."""
    return EventV1(
        uuid=found.id,
        calendar_uuid=found.calendar_id,
        google_id=found.provider_event_id,
        name=found.title or "",
        meeting_url=found.meeting.url if found.meeting else "",
        start_time=found.starts_at,
        end_time=found.ends_at,
        is_organizer=found.organizer is not None and found.organizer.self,
        is_recurring=found.series_id is not None,
        recurring_event_id=found.series_id,
        attendees=[AttendeeV1(email=one.email, name=one.name) for one in found.attendees if one.email],
        raw=msgspec.Raw(source or b"{}"),
        bot_param=None if config is None else bot_param(config),
        deleted=found.status == CANCELLED,
        last_updated_at=found.updated_at,
    )
