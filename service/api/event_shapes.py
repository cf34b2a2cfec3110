"""What may be said of an event that is to be written, checked field by field."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.api.problems import invalid
from service.api.time_zones import check_zone
from service.core.drafts import Draft, Guest, Patch
from service.core.event import Event
from service.core.recurrence_rules import Rule, Unusable

EMAIL: Final = re.compile(r"[^\s@<>,;:\"\\]{1,64}@[^\s@<>,;:\"\\]{1,253}")
MOST_DAYS: Final = 366 * 5
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2200
SOME_DAY: Final = datetime(2000, 1, 3, 9, tzinfo=UTC)
"""Whether a rule has sense does not depend on where it begins."""

Title = Annotated[str, Meta(max_length=1024)]
LongText = Annotated[str, Meta(max_length=32_768)]
Place = Annotated[str, Meta(max_length=1024)]
Zone = Annotated[str, Meta(max_length=64)]
Minutes = Annotated[int, Meta(ge=0, le=40_320)]
Buffer = Annotated[int, Meta(ge=0, le=720)]
Line = Annotated[str, Meta(max_length=500)]
Conference = Literal["google_meet", "microsoft_teams", "zoom", "none"]
Visibility = Literal["default", "public", "private", "confidential"]


class GuestWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to be invited.

    What else an event's own `attendees` say of them may stand here, and changes nothing: an answer is its guest's to give.
    """

    email: Annotated[str, Meta(max_length=320)]
    name: Annotated[str, Meta(max_length=256)] | None = None
    optional: bool = False
    response_status: str | None = None
    organizer: bool = False
    self: bool = False
    resource: bool = False


class EventWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to be written: `starts_at` and `ends_at`, or `start_date` and `end_date` (exclusive) for whole days.

    Times without an offset are of `time_zone`, which is also the zone that the event repeats in; default: the calendar's.
    `recurrence` has lines of RFC 5545 (`RRULE:FREQ=WEEKLY;COUNT=4`). `reminders` are minutes before the start. `notify`
    false: guests get no mail; true: they do, also where the connection's `disable_attendee_notification` is set. The buffers keep minutes before and after the event free.
    """

    title: Title | None = None
    description: LongText | None = None
    location: Place | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    start_date: date | None = None
    end_date: date | None = None
    time_zone: Zone | None = None
    recurrence: Annotated[list[Line], Meta(max_length=20)] = []
    attendees: Annotated[list[GuestWish], Meta(max_length=200)] = []
    conference: Conference | None = None
    visibility: Visibility | None = None
    is_busy: bool = True
    reminders: Annotated[list[Minutes], Meta(max_length=5)] | None = None
    notify: bool | UnsetType = UNSET
    buffer_before: Buffer = 0
    buffer_after: Buffer = 0


class EventChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change of an event; what is not named stays, null empties, a list replaces the whole list.

    With `starts_at` alone the event moves and stays as long as it is.
    """

    title: Title | UnsetType | None = UNSET
    description: LongText | UnsetType | None = UNSET
    location: Place | UnsetType | None = UNSET
    starts_at: datetime | UnsetType = UNSET
    ends_at: datetime | UnsetType = UNSET
    start_date: date | UnsetType = UNSET
    end_date: date | UnsetType = UNSET
    time_zone: Zone | UnsetType = UNSET
    recurrence: Annotated[list[Line], Meta(max_length=20)] | UnsetType = UNSET
    attendees: Annotated[list[GuestWish], Meta(max_length=200)] | UnsetType = UNSET
    conference: Conference | UnsetType | None = UNSET
    visibility: Visibility | UnsetType = UNSET
    is_busy: bool | UnsetType = UNSET
    reminders: Annotated[list[Minutes], Meta(max_length=5)] | UnsetType | None = UNSET
    notify: bool | UnsetType = UNSET
    buffer_before: Buffer | UnsetType = UNSET
    buffer_after: Buffer | UnsetType = UNSET


class Sentence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event in a sentence: `Lunch with Sarah tomorrow at 1pm`."""

    text: Annotated[str, Meta(min_length=1, max_length=1024)]
    notify: bool | UnsetType = UNSET


def draft_of(wish: EventWish, zone: str | None) -> Draft:
    """The draft that a wish means in a calendar of this zone. Raises GatewayError 422 with the field that is wrong."""
    check_zone(wish.time_zone)
    zone = wish.time_zone or zone or "UTC"
    _check_lines(wish.recurrence)
    _check_guests(wish.attendees)
    times = _times(wish, zone)
    return Draft(
        title=wish.title,
        description=wish.description,
        location=wish.location,
        **times,
        time_zone=zone,
        recurrence=wish.recurrence,
        attendees=[_guest(each) for each in wish.attendees],
        conference=None if wish.conference == "none" else wish.conference,
        visibility=wish.visibility,
        is_busy=wish.is_busy,
        reminders=wish.reminders,
        notify=told(wish) is not False,
    )


def told(wish: EventWish | EventChanges | Sentence) -> bool | None:
    """Whether guests get mail of a wish, None where it does not say so."""
    return None if wish.notify is UNSET else wish.notify


def patch_of(wish: EventChanges, event: Event, zone: str | None) -> Patch:
    """The patch that a wish means for an event. Raises GatewayError 422 with the field that is wrong."""
    named = {name for name in EventChanges.__struct_fields__ if getattr(wish, name) is not UNSET}
    fields: dict[str, Any] = {
        name: getattr(wish, name) for name in named - {"notify", "buffer_before", "buffer_after", *_TIMES, "attendees"}
    }
    if "attendees" in named and wish.attendees is not UNSET:
        _check_guests(wish.attendees)
        fields["attendees"] = [_guest(each) for each in wish.attendees]
    if wish.recurrence is not UNSET:
        _check_lines(wish.recurrence)
    if wish.time_zone is not UNSET:
        check_zone(wish.time_zone)
    zone = (wish.time_zone if wish.time_zone is not UNSET else None) or event.time_zone or zone or "UTC"
    fields |= _moved(wish, event, zone)
    return Patch(**fields, notify=told(wish) is not False)


_TIMES: Final = ("starts_at", "ends_at", "start_date", "end_date")


def _times(wish: EventWish, zone: str) -> dict[str, Any]:
    timed = wish.starts_at is not None or wish.ends_at is not None
    whole = wish.start_date is not None or wish.end_date is not None
    if timed == whole:
        raise invalid("starts_at", "is required with ends_at, or else start_date with end_date")
    if timed:
        if wish.starts_at is None or wish.ends_at is None:
            raise invalid("ends_at" if wish.ends_at is None else "starts_at", "is required")
        return _span(_in_utc(wish.starts_at, zone), _in_utc(wish.ends_at, zone))
    if wish.start_date is None:
        raise invalid("start_date", "is required")
    return _days(wish.start_date, wish.end_date or _after(wish.start_date, timedelta(days=1)))


def _moved(wish: EventChanges, event: Event, zone: str) -> dict[str, Any]:
    """The times that an event has after a change, all that are needed to say them; nothing where it says nothing."""
    if wish.starts_at is not UNSET or wish.ends_at is not UNSET:
        if wish.start_date is not UNSET or wish.end_date is not UNSET:
            raise invalid("start_date", "cannot be given together with starts_at")
        start = event.starts_at if wish.starts_at is UNSET else _in_utc(wish.starts_at, zone)
        lasts = event.ends_at - event.starts_at
        end = (start + lasts) if wish.ends_at is UNSET else _in_utc(wish.ends_at, zone)
        return _span(start, end)
    if wish.start_date is UNSET and wish.end_date is UNSET:
        return {}
    first = wish.start_date if wish.start_date is not UNSET else event.start_date
    if first is None:
        raise invalid("start_date", "is required to make it an event of whole days")
    days = (event.end_date - event.start_date) if event.end_date and event.start_date else timedelta(days=1)
    return _days(first, wish.end_date if wish.end_date is not UNSET else _after(first, days))


def _after(first: date, days: timedelta) -> date:
    try:
        return first + days
    except OverflowError:
        raise invalid("start_date", f"is not in the years {FIRST_YEAR} to {LAST_YEAR}") from None


def _span(start: datetime, end: datetime) -> dict[str, Any]:
    if end < start:
        raise invalid("ends_at", "is before starts_at")
    if end - start > timedelta(days=MOST_DAYS):
        raise invalid("ends_at", f"is more than {MOST_DAYS} days after starts_at")
    return {"starts_at": start, "ends_at": end}


def _days(first: date, end: date) -> dict[str, Any]:
    if not FIRST_YEAR <= first.year <= end.year <= LAST_YEAR:
        raise invalid("start_date", f"is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    if end <= first:
        raise invalid("end_date", "has to be after start_date: it is the first day that is free again")
    if end - first > timedelta(days=MOST_DAYS):
        raise invalid("end_date", f"is more than {MOST_DAYS} days after start_date")
    return {"start_date": first, "end_date": end}


def _in_utc(moment: datetime, zone: str) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise invalid("starts_at", f"is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (OverflowError, ValueError):
        raise invalid("starts_at", "is out of the calendar") from None


def _check_lines(lines: list[str]) -> None:
    for line in lines:
        name, _, value = line.partition(":")
        kind = name.partition(";")[0].upper()
        if kind not in {"RRULE", "EXDATE", "RDATE"} or not value or "\n" in line or "\r" in line:
            raise invalid("recurrence", "has lines such as RRULE:FREQ=WEEKLY;COUNT=4 (RFC 5545)")
        if kind == "RRULE":
            try:
                Rule.read(value, SOME_DAY, UTC, is_all_day=False)
            except Unusable as error:
                raise invalid("recurrence", str(error)) from None
    if lines and sum(line.upper().startswith("RRULE") for line in lines) != 1:
        raise invalid("recurrence", "needs exactly one RRULE")


def _check_guests(guests: list[GuestWish]) -> None:
    for guest in guests:
        if not EMAIL.fullmatch(guest.email):
            raise invalid("attendees.email", "is not an e-mail address")
    if len({guest.email.lower() for guest in guests}) != len(guests):
        raise invalid("attendees", "has an address twice")


def _guest(wish: GuestWish) -> Guest:
    return Guest(email=wish.email, name=wish.name, optional=wish.optional)
