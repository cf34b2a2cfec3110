"""The types of what clients may write in an event, so that a wrong one is refused as Graph refuses it."""

from typing import Annotated, Any, Literal

import msgspec

from simulator.microsoft.errors import invalid
from simulator.microsoft.moments import Moment

Day = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
Response = Literal["none", "organizer", "tentativelyAccepted", "accepted", "declined", "notResponded"]
Provider = Literal["unknown", "skypeForBusiness", "skypeForConsumer", "teamsForBusiness"]


class EmailAddress(msgspec.Struct):
    address: str | None = None
    name: str | None = None


class Recipient(msgspec.Struct):
    emailAddress: EmailAddress | None = None  # noqa: N815 - Graph's spelling


class Status(msgspec.Struct):
    response: Response | None = None
    time: str | None = None


class Attendee(Recipient):
    type: Literal["required", "optional", "resource"] | None = None
    status: Status | None = None


class Body(msgspec.Struct):
    content: str | None = None
    contentType: str | None = None  # noqa: N815


class Time(msgspec.Struct):
    dateTime: str  # noqa: N815
    timeZone: str | None = None  # noqa: N815


class Pattern(msgspec.Struct):
    type: Literal["daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"]
    interval: Annotated[int, msgspec.Meta(ge=1, le=99)] | None = None
    month: Annotated[int, msgspec.Meta(ge=0, le=12)] | None = None
    dayOfMonth: Annotated[int, msgspec.Meta(ge=0, le=31)] | None = None  # noqa: N815
    daysOfWeek: list[Day] | None = None  # noqa: N815
    firstDayOfWeek: Day | None = None  # noqa: N815
    index: Literal["first", "second", "third", "fourth", "last"] | None = None


class Range(msgspec.Struct):
    type: Literal["endDate", "noEnd", "numbered"]
    startDate: str | None = None  # noqa: N815
    endDate: str | None = None  # noqa: N815
    recurrenceTimeZone: str | None = None  # noqa: N815
    numberOfOccurrences: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None  # noqa: N815


class Recurrence(msgspec.Struct):
    pattern: Pattern
    range: Range


class Location(msgspec.Struct):
    displayName: str | None = None  # noqa: N815
    locationType: str | None = None  # noqa: N815
    locationUri: str | None = None  # noqa: N815


class ExtendedProperty(msgspec.Struct):
    id: str
    value: str


TYPES: dict[str, Any] = {
    "allowNewTimeProposals": bool,
    "attendees": list[Attendee],
    "body": Body,
    "categories": list[str],
    "end": Time,
    "hideAttendees": bool,
    "importance": Literal["low", "normal", "high"],
    "isAllDay": bool,
    "isOnlineMeeting": bool,
    "isReminderOn": bool,
    "location": Location,
    "locations": list[Location],
    "onlineMeetingProvider": Provider,
    "recurrence": Recurrence,
    "reminderMinutesBeforeStart": int,
    "responseRequested": bool,
    "sensitivity": Literal["normal", "personal", "private", "confidential"],
    "singleValueExtendedProperties": list[ExtendedProperty],
    "showAs": Literal["free", "tentative", "busy", "oof", "workingElsewhere", "unknown"],
    "start": Time,
    "subject": str,
    "transactionId": str,
}
# What only Exchange writes, and scripts.
SCRIPTED: dict[str, Any] = {
    "isCancelled": bool,
    "onlineMeeting": dict[str, Any],
    "onlineMeetingUrl": str,
    "organizer": Recipient,
    "responseStatus": Status,
}


def check_shape(name: str, value: Any) -> None:
    """Raise GraphError when a property has not its type. Null is of every type, and a Moment is a time."""
    if value is None or isinstance(value, Moment):
        return
    try:
        msgspec.convert(value, {**TYPES, **SCRIPTED}[name])
    except msgspec.ValidationError as error:
        code = "ErrorPropertyValidationFailure" if name == "recurrence" else "RequestBodyRead"
        raise invalid(f"The value of '{name}' cannot be read: {error}", code) from error
