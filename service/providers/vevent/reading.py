"""A VEVENT in our words: its properties → `Event`, its own times and place in a series apart."""

import hashlib
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from service.core.event import CANCELLED, Attendee, Event, Organizer
from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.meeting_links.finding import find
from service.core.recurrence import Length, end_of
from service.providers.vevent import links
from service.providers.vevent.links import LINK_PROPERTIES, evidence_of
from service.providers.vevent.moments import Moment, between, read_duration, read_moment
from service.providers.vevent.properties import Properties, Property, from_text
from service.providers.vevent.zones import Zones

LONGEST_ID: Final = 1_024
"""In octets, as an index of PostgreSQL takes about 2,700 of them."""

LONGEST_NAME: Final = 1_024
LONGEST_TITLE: Final = 4_096
LONGEST_TEXT: Final = 64 * 1024
MOST_ATTENDEES: Final = 1_000

WANTED: Final = LINK_PROPERTIES | {
    *("DTSTART", "DTEND", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE", "RECURRENCE-ID"),
    *("UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "STATUS", "CLASS", "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"),
    *("ORGANIZER", "ATTENDEE"),
}

_kept: Final = msgspec.json.Decoder(dict[str, str])
_SLOT_ROOM: Final = 24
_RESPONSES: Final = {
    "needs-action": "needsAction",
    "": "needsAction",
    "in-process": "accepted",
    "completed": "accepted",
}
_surrogates: Final = re.compile("[\ud800-\udfff\0]")
_WEB: Final = re.compile(r"https?://[^\s\"<>\\]{1,2000}", re.IGNORECASE)


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One VEVENT read; `raw` is what a row keeps of it: JSON of `{"raw": "BEGIN:VEVENT..."}`."""

    properties: Properties
    raw: bytes
    zones: Zones
    start: Moment
    length: Length
    is_cancelled: bool

    @property
    def starts_at(self) -> datetime:
        return self.start.instant

    @property
    def ends_at(self) -> datetime:
        return max(self.starts_at, end_of(self.start.wall, self.start.zone, self.length))

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The first day and the one after the last, of an all-day event."""
        if not self.start.is_day:
            return None, None
        first = self.start.wall.date()
        room = date.max - first
        return first, first + min(timedelta(days=self.length.days), room)

    def first(self, name: str) -> str:
        """The value of a property that should come once; empty when it is absent."""
        given = self.properties.get(name)
        return given[0].value.strip() if given else ""

    @property
    def sequence(self) -> int:
        text = self.first("SEQUENCE")
        return int(text) if text.isdecimal() and len(text) < 10 else 0

    @property
    def rank(self) -> tuple[int, str, bytes]:
        """Of two versions of one thing the later one is greater."""
        return self.sequence, self.first("LAST-MODIFIED") or self.first("DTSTAMP"), self.raw


def read_component(text: bytes, zones: Zones, *, is_cancelled: bool = False) -> Component:
    """A VEVENT's text, unfolded. Raises ValueError when it has no start that can be read."""
    properties = from_text(text, WANTED)
    starts = properties.get("DTSTART")
    if not starts:
        raise ValueError("no DTSTART")
    start = read_moment(starts[0], zones)
    status = properties.get("STATUS")
    return Component(
        properties=properties,
        raw=keep(text),
        zones=zones,
        start=start,
        length=_length(properties, start, zones),
        is_cancelled=is_cancelled or bool(status and status[0].value.strip().upper() in {"CANCELLED", "CANCELED"}),
    )


def keep(text: bytes) -> bytes:
    """What a row keeps of a VEVENT, in the form that `read_evidence` and `calgate links` take."""
    return msgspec.json.encode({"raw": text.decode("utf-8", "replace")})


def read_evidence(raw: bytes) -> Evidence:
    """What a VEVENT, as a row kept it, says about how to join. Raises ValueError when it is no such row."""
    try:
        return links.read_evidence(_kept.decode(raw))
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def describe(component: Component, *, addresses: frozenset[str], rules: LinkRules = DEFAULT_RULES) -> Event:
    """The event at the component's own time, still without an id; `addresses` are the owner's, in small letters."""
    found = find(evidence_of(component.properties), rules)
    organizer = _organizer(component, addresses)
    attendees = _attendees(component, organizer, addresses)
    start_date, end_date = component.days
    busy = component.first("X-MICROSOFT-CDO-BUSYSTATUS").upper()
    return Event(
        provider_event_id="",
        ical_uid=_clean(component.first("UID"), LONGEST_ID),
        title=_clean(component.first("SUMMARY"), LONGEST_TITLE),
        description=_clean(component.first("DESCRIPTION"), LONGEST_TEXT),
        location=_clean(component.first("LOCATION"), LONGEST_TITLE),
        starts_at=component.starts_at,
        ends_at=component.ends_at,
        is_all_day=component.start.is_day,
        start_date=start_date,
        end_date=end_date,
        time_zone=component.start.zone_name or (component.zones.default_name if component.start.is_utc else None),
        status=CANCELLED if component.is_cancelled else _word(component, "STATUS", "confirmed"),
        visibility=_word(component, "CLASS", "default"),
        is_busy=component.first("TRANSP").upper() != "TRANSPARENT" and busy not in {"FREE", "WORKINGELSEWHERE"},
        organizer=organizer,
        attendees=attendees,
        response_status=_own_response(organizer, attendees),
        event_type="outOfOffice" if busy == "OOF" else "default",
        meeting=found.meeting,
        meeting_hint=found.hint,
        html_link=_web_page(component.first("URL")),
    )


def fallback_id(component: Component) -> str:
    """A name made of start, end and title, for an event without a UID, or of a feed that changes its UIDs."""
    what = f"{component.starts_at.isoformat()}\n{component.ends_at.isoformat()}\n{component.first('SUMMARY')}"
    return f"content-{_digest(what.encode('utf-8', 'replace'))}"


def bounded_id(name: str) -> str:
    """An id that leaves room for a slot behind it; a longer one ends in a digest of itself. Never has a NUL."""
    name = _surrogates.sub("\ufffd", name)
    octets = name.encode()
    room = LONGEST_ID - _SLOT_ROOM
    if len(octets) <= room:
        return name
    return f"{octets[: room - 33].decode('utf-8', 'ignore')}~{_digest(octets)}"


def _digest(octets: bytes) -> str:
    return hashlib.blake2b(octets, digest_size=16).hexdigest()


def _length(properties: Properties, start: Moment, zones: Zones) -> Length:
    """DTEND, else DURATION, else a whole day or no time at all (section 3.6.1)."""
    try:
        if ends := properties.get("DTEND"):
            return between(start, read_moment(ends[0], zones, home=start))
        if durations := properties.get("DURATION"):
            length = read_duration(durations[0].value)
            return Length(max(length.days + length.exact.days, 1)) if start.is_day else length
    except ValueError:
        pass  # an end that cannot be read costs no meeting
    return Length(1 if start.is_day else 0)


def _organizer(component: Component, addresses: frozenset[str]) -> Organizer | None:
    given = component.properties.get("ORGANIZER")
    if not given:
        return None
    email = _email(given[0])
    name = _clean(given[0].parameters.get("CN", ""), LONGEST_NAME)
    return Organizer(email=email, name=name, self=email in addresses) if email or name else None


def _attendees(component: Component, organizer: Organizer | None, addresses: frozenset[str]) -> list[Attendee]:
    """By address, so that a server that writes them in another order changes nothing."""
    caller = organizer.email if organizer else None
    found = {_attendee(each, caller, addresses) for each in component.properties.get("ATTENDEE", [])}
    return sorted((each for each in found if each.email or each.name), key=msgspec.json.encode)[:MOST_ATTENDEES]


def _attendee(given: Property, caller: str | None, addresses: frozenset[str]) -> Attendee:
    email = _email(given)
    response = given.parameters.get("PARTSTAT", "").strip().lower()
    return Attendee(
        email=email,
        name=_clean(given.parameters.get("CN", ""), LONGEST_NAME),
        response_status=_RESPONSES.get(response, response[:100]),
        organizer=email is not None and email == caller,
        self=email in addresses,
        optional=given.parameters.get("ROLE", "").upper() in {"OPT-PARTICIPANT", "NON-PARTICIPANT"},
        resource=given.parameters.get("CUTYPE", "").upper() in {"RESOURCE", "ROOM"},
    )


def _email(given: Property) -> str | None:
    """The address (section 3.3.3), or EMAIL (RFC 7986, section 6.2) where the address is of a server's own kind."""
    value = given.value.strip()
    if value[:7].lower() != "mailto:" and "@" not in value:
        value = given.parameters.get("EMAIL", "")
    address = value.strip().removeprefix("mailto:").removeprefix("MAILTO:").strip().lower()
    address = address.removeprefix("mailto:")
    return _clean(address, LONGEST_NAME) if "@" in address else None


def _own_response(organizer: Organizer | None, attendees: Iterable[Attendee]) -> str | None:
    for attendee in attendees:
        if attendee.self:
            return attendee.response_status
    # Who calls a meeting and is not on the list comes all the same.
    return "accepted" if organizer is not None and organizer.self else None


def _word(component: Component, name: str, default: str) -> str:
    return _surrogates.sub("", component.first(name).lower())[:100] or default


def _web_page(url: str) -> str | None:
    return url if _WEB.fullmatch(url) else None


def _clean(text: str, longest: int) -> str | None:
    """None for an empty text; no NUL and no half character, which PostgreSQL would refuse."""
    return _surrogates.sub("", text)[:longest] or None
