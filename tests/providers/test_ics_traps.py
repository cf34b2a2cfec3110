"""What is in real feeds, each trap by its name: read through the port, from a publisher over a socket."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from feed_server import LOOPBACK, FeedServer, serve_feed
from forked_expander import ForkedExpander

from service.core.schedule import Window
from service.core.sync import Item, Listed, Malformed, Page, Removed
from service.providers.guarded_http import Slots
from service.providers.ics.client import FEED, IcsFeed
from service.providers.protocol import Access

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=1), NOW + timedelta(days=30))
START = "DTSTART:20260303T090000Z"
END = "DTEND:20260303T100000Z"
WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=3"


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[FeedServer]:
    async with serve_feed() as server:
        yield server


@pytest.fixture
async def read(server: FeedServer):
    """Publish a text, and read it as a calendar whose zone is New York's."""
    slots = Slots(1, LOOPBACK)

    async def published(text: bytes) -> Page:
        server.text = text
        pages = provider.pages(access, FEED, token=None, window=WINDOW, time_zone="America/New_York")
        (page,) = [page async for page in pages]
        return page

    async with ForkedExpander(size=1) as expander, slots.borrow() as http:
        provider = IcsFeed(expander, LOOPBACK, clock=lambda: NOW)
        access = Access(http=http, token=server.url, client_key="", user_key="")
        yield published
    await slots.aclose()


def vevent(*lines: str, uid: str = "u") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"])


def vcalendar(*parts: str) -> bytes:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *parts, "END:VCALENDAR", ""]).encode()


def seen(items: list[Item] | tuple[Item, ...]) -> list[tuple[str, str]]:
    """Day, time and length of what is listed, in UTC; the days of what has no time."""
    found = []
    for item in items:
        if isinstance(item, Listed):
            event = item.event
            length = str(event.ends_at - event.starts_at)
            found.append((f"{event.starts_at:%d}" if event.is_all_day else f"{event.starts_at:%d %H:%M}", length))
    return sorted(found)


HOUR, NOTHING, DAY = "1:00:00", "0:00:00", "1 day, 0:00:00"
ZONE = "\r\n".join(
    [
        *("BEGIN:VTIMEZONE", "TZID:Head Office", "BEGIN:STANDARD", "DTSTART:19700101T000000"),
        *("TZOFFSETFROM:+0300", "TZOFFSETTO:+0300", "END:STANDARD", "END:VTIMEZONE"),
    ]
)

TRAPS = [
    pytest.param([vevent("DTSTART;TZID=Romance Standard Time:20260303T090000")], [("03 08:00", NOTHING)], id="a Windows TZID"),
    pytest.param(
        [vevent('DTSTART;TZID="(UTC+01:00) Brussels, Copenhagen, Madrid, Paris":20260303T090000')],
        [("03 08:00", NOTHING)],
        id="a TZID as Windows shows it",
    ),
    pytest.param(
        [vevent("DTSTART;TZID=/freeassociation.sourceforge.net/Tzfile/Europe/Paris:20260303T090000")],
        [("03 08:00", NOTHING)],
        id="a TZID with a slash before it",
    ),
    pytest.param([vevent("DTSTART;TZID=Europe/Paris:20260303T090000")], [("03 08:00", NOTHING)], id="a missing VTIMEZONE"),
    pytest.param([ZONE, vevent("DTSTART;TZID=Head Office:20260303T090000")], [("03 06:00", NOTHING)], id="a VTIMEZONE of its own"),
    pytest.param(
        ["X-WR-TIMEZONE:Europe/Paris", vevent("DTSTART:20260303T090000Z")], [("03 09:00", NOTHING)], id="X-WR-TIMEZONE and UTC"
    ),
    pytest.param(
        ["X-WR-TIMEZONE:Europe/Paris", vevent("DTSTART:20260303T090000")],
        [("03 08:00", NOTHING)],
        id="a floating time is the feed's zone's",
    ),
    pytest.param([vevent("DTSTART:20260303T090000")], [("03 14:00", NOTHING)], id="a floating time is else the calendar's zone's"),
    pytest.param([vevent("DTSTART;VALUE=DATE:20260303")], [("03", DAY)], id="a day without DTEND"),
    pytest.param([vevent(START)], [("03 09:00", NOTHING)], id="a time without DTEND"),
    pytest.param([vevent(START, "DTEND:20260303T080000Z")], [("03 09:00", NOTHING)], id="DTEND before DTSTART"),
    pytest.param([vevent(START, "DURATION:PT1H")], [("03 09:00", HOUR)], id="DURATION"),
    pytest.param(
        [vevent("DTSTART;TZID=Europe/Paris:20260303T090000", "RRULE:FREQ=DAILY;UNTIL=20260305")],
        [("03 08:00", NOTHING), ("04 08:00", NOTHING), ("05 08:00", NOTHING)],
        id="UNTIL a day against times",
    ),
    pytest.param(
        [vevent("DTSTART;VALUE=DATE:20260303", "RRULE:FREQ=DAILY;UNTIL=20260304T235959Z")],
        [("03", DAY), ("04", DAY)],
        id="UNTIL a time against days",
    ),
    pytest.param(
        [vevent(START, END, "RDATE;VALUE=PERIOD:20260304T090000Z/PT1H,20260305T090000Z/20260305T100000Z")],
        [("03 09:00", HOUR), ("04 09:00", HOUR), ("05 09:00", HOUR)],
        id="RDATE of periods",
    ),
    pytest.param(
        [vevent(START, WEEKLY, "EXDATE;TZID=America/New_York:20260310T050000")],
        [("03 09:00", NOTHING), ("17 09:00", NOTHING)],
        id="EXDATE in another zone",
    ),
    pytest.param(
        [vevent(START, WEEKLY, "EXDATE;VALUE=DATE:20260310")], [("03 09:00", NOTHING), ("17 09:00", NOTHING)], id="EXDATE a day against times"
    ),
    pytest.param(
        [vevent("DTSTART:20260310T150000Z", "RECURRENCE-ID:20260310T090000Z")], [("10 15:00", NOTHING)], id="RECURRENCE-ID without a master"
    ),
    pytest.param(
        [vevent(START, WEEKLY), vevent("DTSTART:20260310T120000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260310T090000Z")],
        [("03 09:00", NOTHING), ("10 12:00", NOTHING), ("17 12:00", NOTHING)],
        id="THISANDFUTURE",
    ),
    pytest.param(
        [vevent(START, END, "SUMMARY:A"), vevent("DTSTART:20260304T090000Z", "DTEND:20260304T100000Z", "SUMMARY:B")],
        [("03 09:00", HOUR), ("04 09:00", HOUR)],
        id="two masters with one UID",
    ),
    pytest.param(
        [vevent(START, "SEQUENCE:1"), vevent("DTSTART:20260304T090000Z", "SEQUENCE:2")], [("04 09:00", NOTHING)], id="two versions of one UID"
    ),
    pytest.param([vevent(START, END), vevent(START, END)], [("03 09:00", HOUR)], id="one event twice"),
    pytest.param(["METHOD:CANCEL", vevent(START), vevent(START, uid="v")], [], id="METHOD CANCEL"),
    pytest.param([vevent(START, "STATUS:CANCELLED")], [], id="STATUS CANCELLED"),
    pytest.param(
        [vevent(START, WEEKLY), vevent("DTSTART:20260310T090000Z", "RECURRENCE-ID:20260310T090000Z", "STATUS:CANCELLED")],
        [("03 09:00", NOTHING), ("17 09:00", NOTHING)],
        id="STATUS CANCELLED of an occurrence",
    ),
    pytest.param([vevent(START, "RRULE:FREQ=WEEKLY\\;COUNT=2")], [("03 09:00", NOTHING), ("10 09:00", NOTHING)], id="an escaped RRULE"),
    pytest.param([vevent(START), "BEGIN:VTODO\r\nUID:t\r\nDTSTART:20260303T090000Z\r\nEND:VTODO"], [("03 09:00", NOTHING)], id="a VTODO beside it"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), TRAPS)
async def test_a_trap(read, parts: list[str], expected: list[tuple[str, str]]):
    page = await read(vcalendar(*parts))
    assert seen(page.items) == expected
    assert not [item for item in page.items if isinstance(item, Malformed)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(vcalendar(vevent(START, "SUMMARY:Café")).decode().encode("latin-1"), id="not UTF-8"),
        pytest.param(vcalendar(vevent(START, "SUMMARY:Café")).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(vcalendar(vevent(START, "SUMMARY:Café")).replace(b"\xc3\xa9", b"\xc3\r\n \xa9"), id="folded inside a code point"),
        pytest.param(vcalendar(vevent(START, "SUMMARY:Café")).replace(b"\r\n", b"\n"), id="bare LF"),
        pytest.param(vcalendar(vevent(START, "SUMMARY:Café")).replace(b"\r\n", b"\r"), id="bare CR"),
        pytest.param(vcalendar() + vcalendar(vevent(START, "SUMMARY:Café")), id="several VCALENDAR in one file"),
        pytest.param(vcalendar(vevent(START, "SUMMARY:Café")).replace(b"VEVENT", b"vevent").replace(b"BEGIN", b"begin"), id="small letters"),
    ],
)  # fmt: skip
async def test_a_text_in_any_state(read, text: bytes):
    (item,) = (await read(text)).items
    assert isinstance(item, Listed)
    assert (item.event.title, item.event.starts_at) == ("Café", datetime(2026, 3, 3, 9, tzinfo=UTC))


async def test_one_uid_that_cannot_be_read_costs_no_other(read):
    bad = [vevent("SUMMARY:No start", uid="bad-1"), vevent(START, "RRULE:FREQ=FORTNIGHTLY", uid="bad-2")]
    page = await read(vcalendar(bad[0], vevent(START, END), bad[1]))
    assert seen(page.items) == [("03 09:00", HOUR)]
    assert sorted(item.provider_event_id for item in page.items if isinstance(item, Malformed)) == ["bad-1", "bad-2"]


async def test_what_is_cancelled_is_said_to_be_gone(read):
    page = await read(vcalendar("METHOD:CANCEL", vevent(START)))
    assert [item.provider_event_id for item in page.items if isinstance(item, Removed)] == ["u"]


@pytest.mark.parametrize(
    ("lines", "is_busy"),
    [
        pytest.param(["TRANSP:TRANSPARENT"], False, id="TRANSP"),
        pytest.param(["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], False, id="X-MICROSOFT-CDO-BUSYSTATUS"),
        pytest.param([], True, id="nothing said"),
    ],
)
async def test_free_and_busy(read, lines: list[str], is_busy: bool):
    (item,) = (await read(vcalendar(vevent(START, *lines)))).items
    assert item.event.is_busy is is_busy


MEET = "https://meet.google.com/abc-defg-hij"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"X-GOOGLE-CONFERENCE:{MEET}", id="X-GOOGLE-CONFERENCE"),
        pytest.param(f"X-MICROSOFT-SKYPETEAMSMEETINGURL:{MEET}", id="X-MICROSOFT-SKYPETEAMSMEETINGURL"),
        pytest.param(f"CONFERENCE;VALUE=URI;FEATURE=VIDEO:{MEET}", id="CONFERENCE"),
        pytest.param(f"URL:{MEET}", id="URL"),
        pytest.param(f"LOCATION:{MEET}", id="LOCATION"),
        pytest.param(f"DESCRIPTION:Join: {MEET}\\nBye", id="DESCRIPTION"),
        pytest.param(f'X-ALT-DESC;FMTTYPE=text/html:<a href="{MEET}">Join</a>', id="X-ALT-DESC"),
    ],
)
async def test_the_meeting_is_found(read, line: str):
    (item,) = (await read(vcalendar(vevent(START, line)))).items
    assert item.event.meeting.url == MEET
    assert IcsFeed.evidence(None, item.raw) is not None
