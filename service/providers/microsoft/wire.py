"""Graph's JSON as typed structs: every field optional, every word of theirs a plain string, only what we keep."""

from typing import Final

import msgspec

from service.providers.microsoft.links import LINK_FIELDS, WireBody, WireLocation, WireOnlineMeeting


class WireMoment(msgspec.Struct, gc=False, rename="camel"):
    """dateTimeTimeZone: `2026-11-20T09:00:00.0000000`, without an offset, in the zone that is named beside it."""

    date_time: str | None = None
    time_zone: str | None = None


class WireAddress(msgspec.Struct, gc=False):
    name: str | None = None
    address: str | None = None


class WireRecipient(msgspec.Struct, gc=False, rename="camel"):
    email_address: WireAddress | None = None


class WireResponse(msgspec.Struct, gc=False):
    response: str | None = None


class WireAttendee(msgspec.Struct, gc=False, rename="camel"):
    type: str | None = None
    status: WireResponse | None = None
    email_address: WireAddress | None = None


class WireRemoved(msgspec.Struct, gc=False):
    reason: str | None = None


class WireEvent(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    """A row of a calendarView; of an occurrence in a delta nothing comes but ids, `start` and `end`."""

    id: str | None = None
    removed: WireRemoved | None = msgspec.field(default=None, name="@removed")
    type: str | None = None
    series_master_id: str | None = None
    ical_uid: str | None = msgspec.field(default=None, name="iCalUId")
    subject: str | None = None
    body: WireBody | None = None
    start: WireMoment | None = None
    end: WireMoment | None = None
    original_start: str | None = None
    original_start_time_zone: str | None = None
    is_all_day: bool | None = None
    is_cancelled: bool | None = None
    is_organizer: bool | None = None
    response_status: WireResponse | None = None
    attendees: list[WireAttendee] | None = None
    organizer: WireRecipient | None = None
    location: WireLocation | None = None
    locations: list[WireLocation] | None = None
    show_as: str | None = None
    sensitivity: str | None = None
    online_meeting: WireOnlineMeeting | None = None
    online_meeting_url: str | None = None
    online_meeting_provider: str | None = None
    web_link: str | None = None


class WireTombstone(msgspec.Struct, gc=False, rename="camel"):
    """The part of a row that says which it is and whether it is gone; readable when the rest is not."""

    id: str | None = None
    removed: WireRemoved | None = msgspec.field(default=None, name="@removed")
    type: str | None = None
    series_master_id: str | None = None


class WirePage(msgspec.Struct, gc=False):
    """A page of events, its rows not yet read."""

    value: list[msgspec.Raw] | None = None
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")
    delta_link: str | None = msgspec.field(default=None, name="@odata.deltaLink")


class WireCalendar(msgspec.Struct, gc=False, rename="camel"):
    id: str | None = None
    name: str | None = None
    color: str | None = None
    hex_color: str | None = None
    is_default_calendar: bool | None = None
    can_edit: bool | None = None


class WireUser(msgspec.Struct, gc=False, rename="camel"):
    id: str | None = None
    mail: str | None = None
    user_principal_name: str | None = None


class WireSubscription(msgspec.Struct, gc=False, rename="camel"):
    id: str | None = None
    notification_url: str | None = None
    expiration_date_time: str | None = None


class WireNotification(msgspec.Struct, gc=False, rename="camel"):
    """A change notification, or with `lifecycle_event` one about the subscription itself."""

    subscription_id: str | None = None
    client_state: str | None = None
    lifecycle_event: str | None = None


class WireNotifications(msgspec.Struct, gc=False):
    """The body of one POST, its items not yet read: one that is bad spoils no other."""

    value: list[msgspec.Raw] | None = None


EVENT_FIELDS: Final = ",".join(
    (
        "id", "type", "seriesMasterId", "iCalUId", "start", "end", "originalStart", "originalStartTimeZone", "isAllDay",
        "isCancelled", "isOrganizer", "responseStatus", "attendees", "organizer", "showAs", "sensitivity", "webLink",
        *LINK_FIELDS,
    )
)  # fmt: skip
"""For `$select`, wherever it is allowed: a delta query takes none."""
