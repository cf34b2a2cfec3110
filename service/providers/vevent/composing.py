"""Drafts and patches written as the properties of a VEVENT (RFC 5545, section 3.6.1), what else is in it left alone."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Component, Event, vCalAddress, vDDDTypes
from icalendar.prop import vBroken

from service.core.drafts import Draft, Guest
from service.errors import RequestRefused
from service.providers.vevent.links import CONFERENCE, EXTERNAL, GOOGLE, TEAMS
from service.providers.vevent.spelt_zone import spell_out
from service.providers.vevent.zones import recognise

PRODUCT: Final = "-//calgate//calgate//EN"
RECURRENCE: Final = ("RRULE", "RDATE", "EXDATE", "EXRULE")
OWN: Final = ("title", "description", "location", "attendees", "conference", "visibility", "is_busy", "reminders")
"""The fields that are not about time, in the order in which they are written."""

_PROPERTIES: Final[Mapping[str, tuple[str, ...]]] = {
    "title": ("SUMMARY",),
    # The second is the same in HTML, or the same as a place on a map: neither may outlive the first.
    "description": ("DESCRIPTION", "X-ALT-DESC"),
    "location": ("LOCATION", "X-APPLE-STRUCTURED-LOCATION"),
    "conference": (GOOGLE, TEAMS, CONFERENCE, EXTERNAL),
    "visibility": ("CLASS",),
    "is_busy": ("TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"),
}
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What no line of iCalendar may hold, or no XML, in which servers hand it out."""

_ADDRESS: Final = re.compile(r"[^\s@\0-\x1f\x7f,;:\"<>]+@[^\s@\0-\x1f\x7f,;:\"<>]+")
_WEB: Final = re.compile(r"https?://[^\s\"<>\\]{1,2000}", re.IGNORECASE)


class Style(NamedTuple):
    """How somebody writes: the moment, the calendar's zone (IANA), and the address that guests are asked from."""

    now: datetime
    time_zone: str | None = None
    organizer: str | None = None


class Form(NamedTuple):
    """How a time is written: as a day, in UTC, by a TZID, or floating (none of these)."""

    zone: tzinfo
    tzid: str | None = None
    is_day: bool = False
    is_utc: bool = False

    def write(self, at: datetime | date) -> vDDDTypes:
        """A moment, or a day where it is of days, as the value of a property."""
        if not isinstance(at, datetime):
            return vDDDTypes(at)
        local = at.astimezone(self.zone)
        if self.is_utc or local.fold:
            # Of the two hours when the clock is set back only the first can be said in local time.
            return vDDDTypes(at.astimezone(UTC))
        value = vDDDTypes(local.replace(tzinfo=None))
        if self.tzid is not None:
            value.params["TZID"] = self.tzid
        return value


class Span(NamedTuple):
    """From when until when: moments (UTC), or days and the last of them exclusive."""

    form: Form
    start: datetime | date
    end: datetime | date


def form_of(name: str | None) -> Form:
    """Of the zone of this name; UTC without one. Raises RequestRefused for a zone that nobody knows."""
    known = recognise(name) if name else "UTC"
    if known is None:
        raise RequestRefused("no such time zone")
    zone = ZoneInfo(known)
    return Form(zone, is_utc=True) if known in {"UTC", "Etc/UTC", "Zulu", "Etc/UCT"} else Form(zone, known)


def compose(draft: Draft, uid: str, style: Style) -> bytes:
    """A new calendar object of one event. Raises RequestRefused for what cannot be written."""
    calendar = Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", PRODUCT)
    event = Event()
    event.add("UID", uid)
    event.add("DTSTAMP", style.now.astimezone(UTC).replace(microsecond=0))
    event.add("CREATED", style.now.astimezone(UTC).replace(microsecond=0))
    span = _span(draft, style)
    write_span(event, span)
    write_recurrence(event, draft.recurrence, span.form)
    fields = {name: getattr(draft, name) for name in OWN}
    write_fields(event, fields, style, notify=draft.notify)
    event.add("SEQUENCE", 0)
    calendar.add_component(event)
    return octets_of(calendar, zone_of(span.form, span.start))


def write_fields(event: Event, fields: Mapping[str, Any], style: Style, *, notify: bool) -> None:
    """Set the fields in OWN that are given; one that says what is there already leaves it as it is written."""
    for name in OWN:
        if name in fields:
            _WRITERS[name](event, fields[name])
    if "attendees" in fields:
        _write_attendees(event, fields["attendees"], style.organizer, notify=notify)


def state_of(event: Event, name: str) -> object:
    """What a component says of one of the fields in OWN, to be compared."""
    if name == "reminders":
        return [each.to_ical() for each in event.walk("VALARM")]
    if name == "attendees":
        return sorted(address_of(each) for each in all_of(event, "ATTENDEE"))
    values = [value for each in _PROPERTIES[name] for value in all_of(event, each)]
    return [(value.to_ical(), sorted(value.params.items())) for value in values]


def write_span(event: Event, span: Span) -> None:
    """DTSTART and DTEND; DURATION goes, as DTEND says it (iCloud wants that one)."""
    for name in ("DTSTART", "DTEND", "DURATION"):
        event.pop(name, None)
    event.add("DTSTART", span.form.write(span.start), encode=False)
    event.add("DTEND", span.form.write(span.end), encode=False)


def write_recurrence(event: Event, lines: Sequence[str], form: Form) -> None:
    """The lines of RFC 5545 instead of those that are there. Raises RequestRefused for what is none."""
    written = read_recurrence(lines, form)
    for name in RECURRENCE:
        event.pop(name, None)
    for name, value in written:
        event.add(name, value, encode=False)


def read_recurrence(lines: Sequence[str], form: Form) -> list[tuple[str, Any]]:
    """Lines such as `RRULE:FREQ=WEEKLY` as properties."""
    found: list[tuple[str, Any]] = []
    for line in lines:
        name = re.split("[:;]", line, maxsplit=1)[0].strip().upper()
        if name not in RECURRENCE or _CONTROL.search(line) or "\n" in line or "\r" in line:
            raise RequestRefused("a line of recurrence that is none")
        try:
            event = Event.from_ical(f"BEGIN:VEVENT\r\n{line}\r\nEND:VEVENT\r\n")
        except ValueError:
            raise RequestRefused("a line of recurrence that cannot be read") from None
        values = all_of(event, name)
        if not values or event.errors or any(isinstance(each, vBroken) for each in values):
            raise RequestRefused("a line of recurrence that cannot be read")
        for value in values:
            if name in {"RRULE", "EXRULE"}:
                _fit_until(value, form)
            found.append((name, value))
    return found


def zone_of(form: Form, start: datetime | date) -> bytes:
    """The VTIMEZONE (section 3.6.5) that goes with a form; empty where none has to."""
    # A name of somebody's own stays his to explain.
    return spell_out(form.tzid, start.year) if form.tzid and form.tzid == getattr(form.zone, "key", None) else b""


def octets_of(calendar: Calendar, zones: bytes) -> bytes:
    """A calendar object as it is sent, its properties in the order in which they came, the zones before the events.

    The library never sees a VTIMEZONE: it reckons what one says to the year 2038, however often that is.
    """
    octets: bytes = calendar.to_ical(sorted=False)
    head, event, rest = octets.partition(b"BEGIN:VEVENT\r\n")
    return head + zones + event + rest


def _span(draft: Draft, style: Style) -> Span:
    if draft.start_date is not None:
        end_date = draft.end_date or draft.start_date + timedelta(days=1)
        span = Span(Form(UTC, is_day=True), draft.start_date, end_date)
    elif draft.starts_at is not None and draft.ends_at is not None:
        form = form_of(draft.time_zone or style.time_zone)
        span = Span(form, draft.starts_at, draft.ends_at)
    else:
        raise RequestRefused("an event without a start or an end")
    return checked(span)


def checked(span: Span) -> Span:
    """The span, unless it ends before it begins."""
    if span.end < span.start or (span.form.is_day and span.end == span.start):
        raise RequestRefused("an event that ends before it begins")
    return span


def _fit_until(rule: Any, form: Form) -> None:
    """UNTIL is a day where the start is one, else a moment in UTC (section 3.3.10); some servers refuse another."""
    for index, until in enumerate(rule.get("UNTIL") or []):
        if form.is_day and isinstance(until, datetime):
            rule["UNTIL"][index] = until.date()
        elif not form.is_day and not isinstance(until, datetime):
            last = datetime(until.year, until.month, until.day, 23, 59, 59, tzinfo=form.zone)
            rule["UNTIL"][index] = last.astimezone(UTC)


def all_of(event: Component, name: str) -> list[Any]:
    """The values of a property, however often it comes."""
    given = event.get(name)
    return [] if given is None else list(given) if isinstance(given, list) else [given]


def _write_text(event: Event, name: str, text: str | None, *stale: str) -> None:
    text = _CONTROL.sub("", (text or "").replace("\r\n", "\n").replace("\r", "\n"))
    if str(event.get(name, "")) == text:
        return
    for each in (name, *stale):
        event.pop(each, None)
    if text:
        event.add(name, text)


def _write_title(event: Event, title: str | None) -> None:
    _write_text(event, "SUMMARY", (title or "").replace("\n", " "))


def _write_description(event: Event, description: str | None) -> None:
    _write_text(event, "DESCRIPTION", description, "X-ALT-DESC")


def _write_location(event: Event, location: str | None) -> None:
    """A place that is a web address is the event's URL, too, where it has no other: that is where clients show a button."""
    before = str(event.get("LOCATION", ""))
    _write_text(event, "LOCATION", location, "X-APPLE-STRUCTURED-LOCATION")
    after = str(event.get("LOCATION", ""))
    if before and str(event.get("URL", "")) == before != after:
        event.pop("URL")
    if _WEB.fullmatch(after) and "URL" not in event:
        event.add("URL", after)


def _write_conference(event: Event, conference: str | None) -> None:
    """Raises RequestRefused for one that would have to be made: that of Zoom stands in the text already."""
    if conference in {"google_meet", "microsoft_teams"}:
        raise RequestRefused(f"CalDAV servers make no conferences: {conference}")
    if conference == "none":
        for name in _PROPERTIES["conference"]:
            event.pop(name, None)


def _write_visibility(event: Event, visibility: str | None) -> None:
    word = (visibility or "default").upper()
    if str(event.get("CLASS", "DEFAULT")).upper() != word:
        event.pop("CLASS", None)
        if word != "DEFAULT":
            event.add("CLASS", word)


def _write_busy(event: Event, is_busy: bool) -> None:
    wanted = "OPAQUE" if is_busy else "TRANSPARENT"
    if str(event.get("TRANSP", "OPAQUE")).upper() != wanted or "TRANSP" not in event:
        event.pop("TRANSP", None)
        event.add("TRANSP", wanted)
    word = str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper()
    if word and is_busy == (word in {"FREE", "WORKINGELSEWHERE"}):
        event.pop("X-MICROSOFT-CDO-BUSYSTATUS")
        event.add("X-MICROSOFT-CDO-BUSYSTATUS", "BUSY" if is_busy else "FREE")


def _write_reminders(event: Event, reminders: list[int] | None) -> None:
    """Alarms so many minutes before the start; None takes those that are there away, and the client does as it does."""
    before = sorted({-timedelta(minutes=minutes) for minutes in reminders or []})
    there = event.walk("VALARM")
    if sorted(str(each.get("TRIGGER") and each["TRIGGER"].to_ical()) for each in there) == sorted(
        str(vDDDTypes(each).to_ical()) for each in before
    ):
        return
    event.subcomponents[:] = [each for each in event.subcomponents if each.name != "VALARM"]
    for trigger in before:
        alarm = Alarm()
        alarm.add("ACTION", "DISPLAY")
        alarm.add("DESCRIPTION", str(event.get("SUMMARY", "")) or "Reminder")
        alarm.add("TRIGGER", trigger)
        event.add_component(alarm)


def _leave(event: Event, value: object) -> None:
    """Guests need the organizer, and are written at the end."""


_WRITERS: Final[Mapping[str, Any]] = {
    "title": _write_title,
    "description": _write_description,
    "location": _write_location,
    "attendees": _leave,
    "conference": _write_conference,
    "visibility": _write_visibility,
    "is_busy": _write_busy,
    "reminders": _write_reminders,
}


def address_of(given: Any) -> str:
    """The e-mail address of an ATTENDEE or ORGANIZER, in small letters."""
    return str(given).strip().lower().removeprefix("mailto:").strip()


def _write_attendees(event: Event, guests: Sequence[Guest], organizer: str | None, *, notify: bool) -> None:
    """Who stays keeps the answer given; who organizes stays on the list.

    Without `notify` servers are asked not to invite (SCHEDULE-AGENT, RFC 6638, section 7.1) those who are new; to change
    that of somebody whom the server has invited would send him a cancellation (section 3.2.1.2).
    """
    there = {address_of(each): each for each in all_of(event, "ATTENDEE")}
    caller = address_of(event["ORGANIZER"]) if "ORGANIZER" in event else None
    wanted = {guest.email.strip().lower(): guest for guest in guests}
    kept = [each for email, each in there.items() if email == caller and email not in wanted]
    written = [_attendee(there.get(email), guest, notify=notify) for email, guest in wanted.items()]
    event.pop("ATTENDEE", None)
    if written and caller is None:
        if organizer is None:
            raise RequestRefused("the server says no address of this account that guests could be asked from")
        event.add("ORGANIZER", _mailto(organizer), encode=False)
    for each in [*kept, *written]:
        event.add("ATTENDEE", each, encode=False)
    if not written and caller is not None and caller == (organizer or "").lower():
        # A meeting with oneself is none (RFC 5545, section 3.8.4.3).
        for name in ("ORGANIZER", "ATTENDEE"):
            event.pop(name, None)


def _attendee(there: Any, guest: Guest, *, notify: bool) -> Any:
    attendee = there if there is not None else _mailto(guest.email.strip())
    name = _CONTROL.sub("", guest.name or "").replace("\n", " ").strip()
    if name:
        attendee.params["CN"] = name
    was_optional = attendee.params.get("ROLE", "").upper() in {"OPT-PARTICIPANT", "NON-PARTICIPANT"}
    if there is None or was_optional != guest.optional:
        attendee.params["ROLE"] = "OPT-PARTICIPANT" if guest.optional else "REQ-PARTICIPANT"
    if there is None:
        attendee.params["PARTSTAT"] = "NEEDS-ACTION"
        attendee.params["RSVP"] = "TRUE"
    if notify:
        if attendee.params.get("SCHEDULE-AGENT", "").upper() == "CLIENT":
            del attendee.params["SCHEDULE-AGENT"]
    elif there is None:
        attendee.params["SCHEDULE-AGENT"] = "CLIENT"
    return attendee


def _mailto(email: str) -> vCalAddress:
    if _ADDRESS.fullmatch(email) is None:
        raise RequestRefused("no e-mail address of a guest")
    return vCalAddress(f"mailto:{email}")
