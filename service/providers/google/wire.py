"""Google's JSON as typed structs: every field optional, every word of theirs a plain string, only what we keep."""

from typing import Any, Final

import msgspec


class WirePerson(msgspec.Struct, gc=False, rename="camel"):
    email: str | None = None
    display_name: str | None = None
    self: bool | None = None


class WireAttendee(msgspec.Struct, gc=False, rename="camel"):
    email: str | None = None
    display_name: str | None = None
    self: bool | None = None
    organizer: bool | None = None
    resource: bool | None = None
    optional: bool | None = None
    response_status: str | None = None


class WireMoment(msgspec.Struct, gc=False, rename="camel"):
    """A day, or an RFC 3339 instant with the zone that it was entered in."""

    date: str | None = None
    date_time: str | None = None
    time_zone: str | None = None


class WireEntryPoint(msgspec.Struct, gc=False, rename="camel"):
    entry_point_type: str | None = None
    uri: str | None = None
    passcode: str | None = None
    password: str | None = None
    pin: str | None = None
    access_code: str | None = None
    meeting_code: str | None = None


class WireConference(msgspec.Struct, gc=False, rename="camel"):
    entry_points: list[WireEntryPoint] | None = None


class WireEvent(msgspec.Struct, gc=False, rename="camel"):
    """A row of `events.list`; of a cancelled one often nothing but `id` and `status` comes."""

    id: str | None = None
    status: str | None = None
    ical_uid: str | None = msgspec.field(default=None, name="iCalUID")
    recurring_event_id: str | None = None
    original_start_time: WireMoment | None = None
    summary: str | None = None
    description: str | None = None
    location: str | None = None
    start: WireMoment | None = None
    end: WireMoment | None = None
    transparency: str | None = None
    visibility: str | None = None
    organizer: WirePerson | None = None
    attendees: list[WireAttendee] | None = None
    event_type: str | None = None
    hangout_link: str | None = None
    conference_data: WireConference | None = None
    html_link: str | None = None


class WireTombstone(msgspec.Struct, gc=False, rename="camel"):
    """The part of a row that says whether it is gone; readable when the rest is not."""

    id: str | None = None
    status: str | None = None
    recurring_event_id: str | None = None


class WirePage(msgspec.Struct, rename="camel"):
    """A page of events, its rows not yet read."""

    items: list[msgspec.Raw] | None = None
    next_page_token: str | None = None
    next_sync_token: str | None = None
    time_zone: str | None = None


class WireCalendar(msgspec.Struct, gc=False, rename="camel"):
    id: str | None = None
    summary: str | None = None
    summary_override: str | None = None
    description: str | None = None
    primary: bool | None = None
    time_zone: str | None = None
    access_role: str | None = None
    background_color: str | None = None


class WireChannel(msgspec.Struct, gc=False, rename="camel"):
    """The answer to a watch; `expiration` is in milliseconds, as a string or a number."""

    resource_id: str | None = None
    expiration: str | int | None = None


class WireCause(msgspec.Struct, gc=False, rename="camel"):
    domain: str | None = None
    reason: str | None = None
    message: str | None = None
    location: str | None = None


class WireDetail(msgspec.Struct, rename="camel"):
    """An entry of `details`; Google puts a google.rpc.ErrorInfo there beside others that we do not read."""

    reason: str | None = None
    metadata: dict[str, Any] | None = None


class WireError(msgspec.Struct, rename="camel"):
    message: str | None = None
    status: str | None = None
    errors: list[WireCause] | None = None
    details: list[WireDetail] | None = None


class WireRefusal(msgspec.Struct, rename="camel"):
    """The envelope of every error of the Calendar API."""

    error: WireError | None = None


PEOPLE: Final = "email,displayName,self"
MOMENT: Final = "date,dateTime,timeZone"
EVENT_FIELDS: Final = (
    "id,status,iCalUID,recurringEventId,summary,description,location,transparency,visibility,eventType,hangoutLink,htmlLink,"
    f"start({MOMENT}),end({MOMENT}),originalStartTime({MOMENT}),organizer({PEOPLE}),"
    f"attendees({PEOPLE},organizer,resource,optional,responseStatus),"
    "conferenceData(entryPoints(entryPointType,uri,passcode,password,pin,accessCode,meetingCode))"
)
WRITTEN_FIELDS: Final = (
    "id,status,etag,created,iCalUID,recurrence,recurringEventId,summary,description,location,transparency,visibility,eventType,"
    f"hangoutLink,htmlLink,start({MOMENT}),end({MOMENT}),originalStartTime({MOMENT}),organizer({PEOPLE}),attendees,"
    "extendedProperties(private),conferenceData(createRequest,entryPoints)"
)
"""The same of an event that is written, and what else has to be known for that: attendees go back whole, or lose something."""

PAGE_FIELDS: Final = f"nextPageToken,nextSyncToken,timeZone,items({EVENT_FIELDS})"
CALENDAR_FIELDS: Final = (
    "nextPageToken,items(id,summary,summaryOverride,description,primary,timeZone,accessRole,backgroundColor)"
)
"""Partial responses (`fields=`): a page with them has less than half the bytes. The tokens vanish unless they are named."""
