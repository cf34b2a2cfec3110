"""Google's rows in our words: `WireEvent` → `Event`, and what to do with a row that cannot be read."""

import functools
import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from service.core.event import Attendee, Event, Organizer
from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.meeting_links.finding import find
from service.core.sync import Item, Listed, Malformed, Removed
from service.providers.google.links import evidence_of
from service.providers.google.wire import WireAttendee, WireEvent, WireMoment, WirePage, WirePerson, WireTombstone
from service.providers.lenient import UNREADABLE, repair

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)
LONGEST_ID: Final = 1024
"""Google's own limit for ids (events.insert), here in bytes: an index of PostgreSQL takes about 2,700 of them."""

_event: Final = msgspec.json.Decoder(WireEvent)
_tombstone: Final = msgspec.json.Decoder(WireTombstone)
_page: Final = msgspec.json.Decoder(WirePage)
_midnight: Final = time()
_day: Final = timedelta(days=1)


def read_page(body: bytes) -> WirePage:
    """The page with its rows still raw; raises one of UNREADABLE, or ValueError, when it is no JSON of a page."""
    try:
        return _page.decode(body)
    except UNREADABLE:
        # Half an emoji anywhere in a page makes the strict reader refuse it all.
        return _page.decode(repair(body))


def read_rows(rows: Iterable[msgspec.Raw], zone_name: str | None, rules: LinkRules = DEFAULT_RULES) -> list[Item]:
    """Each row by itself, so that a bad one spoils no other; all-day events are placed in the zone named."""
    zone = find_zone(zone_name) or UTC
    return [read_row(bytes(row), zone, zone_name, rules) for row in rows]


def read_evidence(raw: bytes) -> Evidence:
    """What a row, as it was received, says about how to join. Raises ValueError when it cannot be read."""
    try:
        return evidence_of(_event.decode(repair(raw)))
    except UNREADABLE as error:
        raise ValueError(str(error)) from error


def read_row(raw: bytes, zone: tzinfo, zone_name: str | None, rules: LinkRules = DEFAULT_RULES) -> Item:
    """The row as an event, as the news that it is gone, or as something to set aside."""
    try:
        # PostgreSQL's text cannot hold NUL, which JSON can only spell like this.
        wire = _event.decode(repair(raw) if b"\\u0000" in raw else raw)
    except UNREADABLE:
        try:
            wire = _event.decode(repair(raw))
        except (*UNREADABLE, ValueError) as error:
            return _salvage(raw, str(error))
    event_id = wire.id
    if not event_id or _is_too_long(event_id) or _is_too_long(wire.recurring_event_id or ""):
        return Malformed(_name_of(raw), "id missing or too long", raw)
    if wire.status == "cancelled":
        return Removed(event_id, wire.recurring_event_id or None)
    if wire.start is None or not (wire.start.date_time or wire.start.date):
        return Malformed(event_id, "no start", raw)
    try:
        return Listed(_normalise(wire, event_id, wire.start, zone, zone_name, rules), raw)
    except (ValueError, OverflowError) as error:
        return Malformed(event_id, str(error), raw)


@functools.lru_cache(maxsize=1024)
def find_zone(name: str | None) -> ZoneInfo | None:
    """The zone of an IANA name, None when there is no such zone."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _normalise(
    wire: WireEvent, event_id: str, start: WireMoment, zone: tzinfo, zone_name: str | None, rules: LinkRules
) -> Event:
    starts_at = _instant(start, zone)
    start_date, end_date = None, None
    if start.date_time:
        ends_at = _instant(wire.end, zone) if wire.end and (wire.end.date_time or wire.end.date) else starts_at
    else:
        start_date, end_date = _days(start, wire.end)
        ends_at = _at_midnight(end_date, zone)
    original, original_date = _original(wire, event_id, (starts_at, start_date), zone)
    attendees = [_attendee(each) for each in wire.attendees] if wire.attendees else []
    found = find(evidence_of(wire), rules)
    return Event(
        provider_event_id=event_id,
        ical_uid=wire.ical_uid[:LONGEST_ID] if wire.ical_uid else None,
        series_id=wire.recurring_event_id or None,
        original_starts_at=original,
        original_start_date=original_date,
        is_exception=original is not None and (original, original_date) != (starts_at, start_date),
        title=wire.summary,
        description=wire.description,
        location=wire.location,
        starts_at=starts_at,
        ends_at=max(ends_at, starts_at),
        is_all_day=start_date is not None,
        start_date=start_date,
        end_date=end_date,
        time_zone=start.time_zone or zone_name,
        status=wire.status or "confirmed",
        visibility=wire.visibility or "default",
        is_busy=wire.transparency != "transparent",
        organizer=_organizer(wire.organizer) if wire.organizer else None,
        attendees=attendees,
        response_status=_own_response(wire, attendees),
        event_type=wire.event_type or "default",
        meeting=found.meeting,
        meeting_hint=found.hint,
        html_link=wire.html_link,
    )


def _instant(moment: WireMoment, zone: tzinfo) -> datetime:
    if not moment.date_time:
        return _at_midnight(date.fromisoformat(moment.date or ""), zone)
    at = datetime.fromisoformat(moment.date_time)
    if at.tzinfo is None:
        at = at.replace(tzinfo=find_zone(moment.time_zone) or zone)
    return _in_utc(at)


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError):
        # The first or the last day that a datetime can hold, west or east of Greenwich.
        return EARLIEST if at.year < 5000 else LATEST


def _at_midnight(day: date, zone: tzinfo) -> datetime:
    return _in_utc(datetime.combine(day, _midnight, zone))


def _days(start: WireMoment, end: WireMoment | None) -> tuple[date, date]:
    first = date.fromisoformat(start.date or "")
    last = date.fromisoformat(end.date) if end and end.date else first
    if last <= first:
        last = first + _day if first < date.max else date.max
    return first, last


def _original(
    wire: WireEvent, event_id: str, start: tuple[datetime, date | None], zone: tzinfo
) -> tuple[datetime | None, date | None]:
    """The slot in the series, and its day when it is one of an all-day series.

    Where Google does not give it, the id has it: `<series>_20250325T130000Z`, `<series>_20250325`;
    failing that, an occurrence is where it was meant to be.
    """
    if not wire.recurring_event_id:
        return None, None
    given = wire.original_start_time
    try:
        if given is not None and given.date_time:
            return _instant(given, zone), None
        slot = (given.date if given is not None else None) or event_id.rpartition("_")[2]
        if "T" in slot:
            return _in_utc(datetime.fromisoformat(slot)), None
        day = date.fromisoformat(slot)
    except ValueError:
        return start
    return _at_midnight(day, zone), day


def _attendee(wire: WireAttendee) -> Attendee:
    return Attendee(
        email=wire.email.strip().lower() if wire.email else None,
        name=wire.display_name,
        response_status=wire.response_status,
        organizer=bool(wire.organizer),
        self=bool(wire.self),
        optional=bool(wire.optional),
        resource=bool(wire.resource),
    )


def _organizer(wire: WirePerson) -> Organizer:
    return Organizer(
        email=wire.email.strip().lower() if wire.email else None, name=wire.display_name, self=bool(wire.self)
    )


def _own_response(wire: WireEvent, attendees: list[Attendee]) -> str | None:
    for attendee in attendees:
        if attendee.self:
            return attendee.response_status
    # Who calls a meeting and is not on the list comes all the same.
    return "accepted" if wire.organizer and wire.organizer.self else None


def _salvage(raw: bytes, reason: str) -> Item:
    try:
        tombstone = _tombstone.decode(repair(raw))
    except (*UNREADABLE, ValueError):
        return Malformed(_name_of(raw), reason, raw)
    if not tombstone.id or _is_too_long(tombstone.id):
        return Malformed(_name_of(raw), reason, raw)
    if tombstone.status == "cancelled":
        return Removed(tombstone.id, tombstone.recurring_event_id or None)
    return Malformed(tombstone.id, reason, raw)


def _is_too_long(provider_id: str) -> bool:
    return len(provider_id.encode()) > LONGEST_ID


def _name_of(raw: bytes) -> str:
    return f"unreadable-{hashlib.blake2b(raw, digest_size=16).hexdigest()}"
