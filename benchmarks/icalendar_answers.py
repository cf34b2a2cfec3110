"""A CalDAV server's answers and a feed: 160 single events and ten weekly series of four, 200 occurrences in all."""

from datetime import datetime, timedelta
from html import escape
from typing import Final

from google_answers import begin, meet, prose

SINGLE: Final = 160
SERIES: Final = 10
CHUNK: Final = 100
"""Resources that are asked for at once."""

_ZONE: Final = """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE
"""
_HEAD: Final = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Example//Calendar 1.0//EN\nCALSCALE:GREGORIAN\n"
_MULTISTATUS: Final = '<?xml version="1.0" encoding="utf-8"?>\n<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:cs="http://calendarserver.org/ns/">'


def event(number: int, starts_at: datetime, rule: str = "") -> str:
    """A VEVENT: a meeting with a link, eight guests and half a page of text."""
    ends_at = starts_at + timedelta(minutes=30)
    guests = "".join(
        f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;CN=Guest {who}:mailto:guest{number}.{who}@example.com\n"
        for who in range(8)
    )
    lines = (
        f"BEGIN:VEVENT\nUID:event{number:06d}abcdefghij@example.com\nDTSTAMP:20260101T000000Z\n"
        f"DTSTART;TZID=Europe/Berlin:{starts_at:%Y%m%dT%H%M%S}\nDTEND;TZID=Europe/Berlin:{ends_at:%Y%m%dT%H%M%S}\n{rule}"
        f"ORGANIZER;CN=The Owner:mailto:owner@example.com\n{guests}SUMMARY:Planning number {number}\n"
        f"DESCRIPTION:Agenda of meeting {number}: {prose(number, 300)}\nLOCATION:Room 4\\, second floor\n"
        f"X-GOOGLE-CONFERENCE:{meet(number)}\nSTATUS:CONFIRMED\nTRANSP:OPAQUE\nSEQUENCE:0\nEND:VEVENT\n"
    )
    return "".join(_fold(line) for line in lines.splitlines(keepends=True))


def events(variant: int, now: datetime) -> list[str]:
    """The VEVENTs of a window of four weeks."""
    single = [event(variant * 1000 + place, begin(variant, place, now)) for place in range(SINGLE)]
    weekly = [
        event(variant * 1000 + 500 + place, begin(variant, 2 + place, now), "RRULE:FREQ=WEEKLY;COUNT=4\n")
        for place in range(SERIES)
    ]
    return single + weekly


def feed(variant: int, now: datetime) -> bytes:
    """Everything in one text."""
    return _text("X-WR-CALNAME:Work\nX-WR-TIMEZONE:Europe/Berlin\n" + _ZONE + "".join(events(variant, now)))


def about() -> bytes:
    """What the collection says of itself."""
    reports = "".join(
        f"<d:supported-report><d:report><{name}/></d:report></d:supported-report>"
        for name in ("d:sync-collection", "c:calendar-multiget", "c:calendar-query")
    )
    said = (
        "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype><d:sync-token>token-0</d:sync-token>"
        f"<cs:getctag>token-0</cs:getctag><d:supported-report-set>{reports}</d:supported-report-set>"
    )
    return f"{_MULTISTATUS}{_response('/dav/work/', said)}</d:multistatus>".encode()


def changes(variant: int | None) -> bytes:
    """The answer to sync-collection: every resource of a variant, or nothing."""
    rows = ""
    if variant is not None:
        rows = "".join(_response(_href(variant, place), _etag(place)) for place in range(SINGLE + SERIES))
    return f"{_MULTISTATUS}{rows}<d:sync-token>token-0</d:sync-token></d:multistatus>".encode()


def resources(variant: int, now: datetime) -> dict[bytes, bytes]:
    """The answers to multiget, by the first href of each chunk."""
    found = events(variant, now)
    answers = {}
    for start in range(0, len(found), CHUNK):
        rows = "".join(
            _response(_href(variant, place), _etag(place) + _data(found[place]))
            for place in range(start, min(start + CHUNK, len(found)))
        )
        answers[_href(variant, start).encode()] = f"{_MULTISTATUS}{rows}</d:multistatus>".encode()
    return answers


def _data(found: str) -> str:
    text = escape(_text(_ZONE + found).decode(), quote=False).replace("\r", "&#13;")
    return f"<c:calendar-data>{text}</c:calendar-data>"


def _etag(place: int) -> str:
    return f"<d:getetag>&quot;{place:032d}&quot;</d:getetag>"


def _href(variant: int, place: int) -> str:
    return f"/dav/work/{variant}-{place:03d}.ics"


def _response(href: str, said: str) -> str:
    status = "<d:status>HTTP/1.1 200 OK</d:status>"
    return f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>{said}</d:prop>{status}</d:propstat></d:response>\n"


def _text(inner: str) -> bytes:
    return f"{_HEAD}{inner}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def _fold(line: str) -> str:
    """RFC 5545, section 3.1: 75 octets at most, and a blank before what follows."""
    pieces = [line[:75]]
    pieces += [line[at : at + 74] for at in range(75, len(line), 74)]
    return "\n ".join(pieces).replace("\n \n", "\n")
