"""Graph's rows in our words: `WireEvent` → `Event`, and what to do with a row that is sparse, or cannot be read.

A delta shows an occurrence by its ids and times alone: what it is about stands in its series' master. The master itself
is nobody's event; it is a row to read the others by.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec

from service.core.event import Attendee, Event, Organizer
from service.core.meeting_links.evidence import Evidence, LinkRules
from service.core.meeting_links.finding import find
from service.core.sync import Item, Listed, Malformed, Removed
from service.providers.lenient import UNREADABLE, repair
from service.providers.microsoft.links import WireLinks, evidence_of
from service.providers.microsoft.rows import EXCEPTION, LONGEST_ID, OCCURRENCE, Row, name_of
from service.providers.microsoft.wire import WireAddress, WireAttendee, WireEvent, WireMoment
from service.providers.microsoft.zones import iana_name

_RESPONSES: Final = {
    "organizer": "accepted",
    "accepted": "accepted",
    "tentativelyAccepted": "tentative",
    "declined": "declined",
    "none": "needsAction",
    "notResponded": "needsAction",
}
_VISIBILITY: Final = {"normal": "default", "personal": "private", "private": "private", "confidential": "confidential"}
_OUTLOOK: Final = "040000008200E00074C5B7101A82E008"
_DAY: Final = slice(32, 40)
_FREE: Final = frozenset({"free", "workingElsewhere"})

_links: Final = msgspec.json.Decoder(WireLinks)


class Lens(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are to be read: the zone in which days begin, the link rules, and whose calendar it is.

    Graph's calendars have no zone (`zone_name` is then None), and a day begins where its event was written.
    """

    zone_name: str | None
    rules: LinkRules
    email: str | None

    def zone_of(self, wire: WireEvent) -> ZoneInfo:
        """Where the days of an event begin."""
        return ZoneInfo(iana_name(self.zone_name) or iana_name(wire.original_start_time_zone) or "UTC")


def read_event(row: Row, lens: Lens, master: WireEvent | None = None) -> Item:
    """The row as an event; a sparse one is completed by its master."""
    wire = row.wire
    if wire is None or wire.id is None:
        return row.item or Malformed(name_of(row.raw), "no event", row.raw)
    if wire.start is None or not wire.start.date_time:
        return Malformed(wire.id, "no start", row.raw)
    raw = row.raw
    event_id = wire.id
    if master is not None and row.is_sparse:
        wire = _completed(wire, master)
        raw = msgspec.json.encode(wire)
    if wire.is_cancelled:
        return Removed(event_id, wire.series_master_id)
    try:
        return Listed(_normalise(wire, event_id, lens), raw)
    except (ValueError, OverflowError) as error:
        return Malformed(event_id, str(error), row.raw)


def read_evidence(raw: bytes) -> Evidence:
    """What a row, as it was received, says about how to join. Raises ValueError when it cannot be read."""
    try:
        return evidence_of(_links.decode(repair(raw)))
    except UNREADABLE as error:
        raise ValueError(str(error)) from error


def _completed(wire: WireEvent, master: WireEvent) -> WireEvent:
    own = {"id", "type", "series_master_id", "start", "end", "original_start", "removed"}
    said = {
        name: value for name in WireEvent.__struct_fields__ if (value := getattr(wire, name)) is not None or name in own
    }
    if wire.web_link is None and _is_about(master.web_link, master.id):
        said["web_link"] = (master.web_link or "").replace(
            quote(master.id or "", safe=""), quote(wire.id or "", safe="")
        )
    return msgspec.structs.replace(master, **said)


def _link(wire: WireEvent) -> str | None:
    """The page of the event; of an occurrence only one that its master's would lead to, however the row came."""
    if wire.type != OCCURRENCE or _is_about(wire.web_link, wire.id):
        return wire.web_link
    return None


def _is_about(link: str | None, event_id: str | None) -> bool:
    return bool(link and event_id) and quote(event_id or "", safe="") in (link or "")


def _normalise(wire: WireEvent, event_id: str, lens: Lens) -> Event:
    zone, all_day = lens.zone_of(wire), bool(wire.is_all_day)
    start_date = end_date = None
    if all_day:
        start_date, end_date = _days(wire.start, wire.end)
        starts_at, ends_at = _midnight(start_date, zone), _midnight(end_date, zone)
    else:
        starts_at = _instant(wire.start)
        ends_at = _instant(wire.end) if wire.end and wire.end.date_time else starts_at
    series_id = wire.series_master_id or None
    original, original_date = _slot(wire, starts_at, start_date, zone) if series_id else (None, None)
    found = find(evidence_of(_links_of(wire)), lens.rules)
    attendees = [_attendee(each, lens.email) for each in wire.attendees or ()]
    return Event(
        provider_event_id=event_id,
        ical_uid=_uid(wire),
        series_id=series_id,
        original_starts_at=original,
        original_start_date=original_date,
        is_exception=original is not None and (original, original_date) != (starts_at, start_date),
        title=wire.subject,
        description=wire.body.content if wire.body else None,
        location=wire.location.display_name or None if wire.location else None,
        starts_at=starts_at,
        ends_at=max(ends_at, starts_at),
        is_all_day=all_day,
        start_date=start_date,
        end_date=end_date,
        time_zone=iana_name(wire.original_start_time_zone) or lens.zone_name,
        visibility=_VISIBILITY.get(wire.sensitivity or "normal", wire.sensitivity or "default"),
        is_busy=wire.show_as not in _FREE,
        organizer=_organizer(wire),
        attendees=attendees,
        response_status=_own_response(wire),
        meeting=found.meeting,
        meeting_hint=found.hint,
        html_link=_link(wire),
    )


def _uid(wire: WireEvent) -> str | None:
    """The UID, of all occurrences of a series the same: Outlook writes the day of each into it (MS-OXOCAL 2.2.1.27)."""
    uid = (wire.ical_uid or "")[:LONGEST_ID]
    if wire.series_master_id and uid.upper().startswith(_OUTLOOK) and len(uid) > _DAY.stop:
        uid = f"{uid[: _DAY.start]}00000000{uid[_DAY.stop :]}"
    return uid or None


def _links_of(wire: WireEvent) -> WireLinks:
    return WireLinks(
        online_meeting=wire.online_meeting,
        online_meeting_url=wire.online_meeting_url,
        online_meeting_provider=wire.online_meeting_provider,
        location=wire.location,
        locations=wire.locations,
        subject=wire.subject,
        body=wire.body,
    )


def _instant(moment: WireMoment | None) -> datetime:
    """Seven digits of a second and no offset: we ask for UTC, and a zone that is named all the same is believed."""
    text = (moment.date_time if moment else None) or ""
    whole, _, fraction = text.partition(".")
    at = datetime.fromisoformat(whole if not fraction.rstrip("Z").isdigit() else f"{whole}{'Z' * text.endswith('Z')}")
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(iana_name(moment.time_zone if moment else None) or "UTC"))
    return at.astimezone(UTC)


def _days(start: WireMoment | None, end: WireMoment | None) -> tuple[date, date]:
    first = date.fromisoformat(((start.date_time if start else None) or "")[:10])
    last = date.fromisoformat(end.date_time[:10]) if end and end.date_time else first
    return first, max(last, first + timedelta(days=1))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _slot(
    wire: WireEvent, starts_at: datetime, start_date: date | None, zone: ZoneInfo
) -> tuple[datetime, date | None]:
    """The occurrence's place in the series; one that does not name it stands where it was put."""
    if not wire.original_start or wire.type != EXCEPTION:
        return starts_at, start_date
    original = _instant(WireMoment(date_time=wire.original_start))
    if start_date is None:
        return original, None
    # Of a day only the date counts, and midnight of a mailbox east of Greenwich is the day before in UTC.
    here = original.astimezone(zone)
    if original.time() != time() and here.time() == time():
        return original, here.date()
    day = (original + timedelta(hours=12)).date() if original.time() != time() else original.date()
    return _midnight(day, zone), day


def _attendee(wire: WireAttendee, own: str | None) -> Attendee:
    address = wire.email_address or WireAddress()
    email = address.address.strip().lower() if address.address else None
    answer = wire.status.response if wire.status else None
    return Attendee(
        email=email,
        name=address.name,
        response_status=_RESPONSES.get(answer or "", answer),
        organizer=answer == "organizer",
        self=email is not None and own is not None and email == own.lower(),
        optional=wire.type == "optional",
        resource=wire.type == "resource",
    )


def _organizer(wire: WireEvent) -> Organizer | None:
    address = wire.organizer.email_address if wire.organizer else None
    if address is None and not wire.is_organizer:
        return None
    address = address or WireAddress()
    email = address.address.strip().lower() if address.address else None
    return Organizer(email=email, name=address.name, self=bool(wire.is_organizer))


def _own_response(wire: WireEvent) -> str | None:
    answer = wire.response_status.response if wire.response_status else None
    if wire.is_organizer:
        return "accepted"
    return _RESPONSES.get(answer or "", answer) if answer else None
