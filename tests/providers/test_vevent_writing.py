"""Calendar objects written and edited: zones spelt out, times said so that they are read the same, and nothing lost."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from icalendar import Calendar

from service.core.drafts import Draft, Guest, Patch, given
from service.core.schedule import Window
from service.errors import RequestRefused
from service.providers.vevent.composing import Form, Span, Style, compose, form_of
from service.providers.vevent.editing import LARGEST, CalendarObject
from service.providers.vevent.reading import read_component
from service.providers.vevent.series import Reading
from service.providers.vevent.spelt_zone import spell_out
from service.providers.vevent.text import scan
from service.providers.vevent.units import Units
from service.providers.vevent.written_zone import WrittenZone

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STYLE = Style(NOW, "Europe/Paris", "ada@example.com")
ZONES = sorted(
    name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix", "right"))
)


def read(octets: bytes):
    window = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))
    units = Units(scan(octets), "", Reading(window=window, time_zone="Europe/Paris", keep_single=True))
    return [units.component(block) for block in units.all[0].blocks]


@pytest.mark.parametrize("shard", range(8))
def test_zones_are_spelt_as_they_are(shard: int) -> None:
    chance = random.Random(shard)
    for name in ZONES[shard::8]:
        spelt = scan(b"BEGIN:VCALENDAR\r\n" + spell_out(name, 2026) + b"BEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR")
        written = WrittenZone.read(spelt.headers[0].zones[name], NOW)
        zone = ZoneInfo(name)
        for _ in range(60):
            at = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(60 * 24 * 730))
            assert at.astimezone(written).replace(tzinfo=None) == at.astimezone(zone).replace(tzinfo=None), (name, at)


@pytest.mark.parametrize("year", [1, 1900, 1970, 2026, 2099, 9999])
def test_a_zone_of_any_year(year: int) -> None:
    assert spell_out("Europe/Paris", year).count(b"RDATE") >= 2


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_every_moment_is_read_as_it_was_meant(zone: str) -> None:
    """Also those hours that come twice, and those that are left out."""
    chance = random.Random(1)
    moments = [
        datetime(2026, month, 1, tzinfo=UTC) + timedelta(minutes=30 * n) for month in (3, 10) for n in range(48 * 31)
    ]
    for at in chance.sample(moments, 150) + [each for each in moments if each.astimezone(ZoneInfo(zone)).fold]:
        draft = Draft(starts_at=at, ends_at=at + timedelta(minutes=45), time_zone=zone)
        (component,) = read(compose(draft, "x", STYLE))
        assert (component.starts_at, component.ends_at) == (at, at + timedelta(minutes=45))


STRANGE = b"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:somebody
X-WR-CALNAME:hi\\, there
BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:+0200
TZOFFSETTO:+0200
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1@x
DTSTAMP:20260101T000000Z
SEQUENCE:4
DTSTART;TZID=Customized Time Zone:20260303T100000
DTEND;TZID=Customized Time Zone:20260303T110000
SUMMARY;LANGUAGE=de:Alt\\, aber gut
DESCRIPTION;ALTREP="cid:part1":x
X-FOO;X-BAR="a:b";X-Q=^n:va\\,lue;thing
ATTENDEE;CN="Doe, J";PARTSTAT=ACCEPTED;X-NUM-GUESTS=0:mailto:j@x.example
ORGANIZER;CN=Boss:mailto:boss@x.example
GEO:37.3;-122.0
CATEGORIES:A,B\\,C
ATTACH;VALUE=BINARY;ENCODING=BASE64:AAAA
X-MICROSOFT-CDO-BUSYSTATUS:BUSY
BEGIN:VALARM
TRIGGER:-PT10M
ACTION:DISPLAY
X-WR-ALARMUID:1
DESCRIPTION:a
END:VALARM
BEGIN:X-THING
X-A:b
END:X-THING
END:VEVENT
END:VCALENDAR
""".replace(b"\n", b"\r\n")  # fmt: skip


def lines(octets: bytes) -> set[str]:
    return set(octets.decode().replace("\r\n ", "").split("\r\n"))


CHANGES = [
    pytest.param(Patch(title="Neu"), {"SUMMARY"}, id="title"),
    pytest.param(Patch(description="y"), {"DESCRIPTION"}, id="description"),
    pytest.param(Patch(location="here"), {"LOCATION"}, id="location"),
    pytest.param(Patch(visibility="private"), {"CLASS"}, id="class"),
    pytest.param(Patch(is_busy=False), {"TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"}, id="free"),
    pytest.param(Patch(starts_at=NOW, ends_at=NOW), {"DTSTART", "DTEND", "SEQUENCE"}, id="times"),
    pytest.param(Patch(attendees=[Guest(email="J@x.example"), Guest(email="k@x.example")]), {"ATTENDEE"}, id="guests"),
    pytest.param(Patch(recurrence=["RRULE:FREQ=DAILY;COUNT=2"]), {"RRULE", "SEQUENCE"}, id="rule"),
]


@pytest.mark.parametrize(("patch", "names"), CHANGES)
def test_a_change_touches_what_it_is_about(patch: Patch, names: set[str]) -> None:
    edited = CalendarObject(STRANGE, STYLE)
    assert edited.change(given(patch), notify=True)
    differing = lines(edited.octets()) ^ lines(STRANGE)
    assert {line.partition(":")[0].partition(";")[0] for line in differing} == names | {"DTSTAMP", "LAST-MODIFIED"}
    again = CalendarObject(edited.octets(), STYLE)
    assert not again.change(given(patch), notify=True)
    assert lines(again.octets()) == lines(edited.octets())


def test_a_zone_of_somebodys_own_is_kept_and_understood() -> None:
    edited = CalendarObject(STRANGE, STYLE)
    later = datetime(2026, 3, 4, 6, tzinfo=UTC)
    edited.change({"starts_at": later, "ends_at": later + timedelta(hours=1)}, notify=True)
    assert "DTSTART;TZID=Customized Time Zone:20260304T080000" in lines(edited.octets())
    (component,) = read(edited.octets())
    assert component.starts_at == later


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", id="no-event"),
        pytest.param(STRANGE.replace(b"DTSTART;TZID=Customized Time Zone:20260303T100000\r\n", b""), id="no-start"),
        pytest.param(
            STRANGE.replace(
                b"END:VCALENDAR\r\n", b"BEGIN:VEVENT\r\nUID:2\r\nDTSTART:20260101\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            ),
            id="two-uids",
        ),
        pytest.param(STRANGE + STRANGE, id="two-calendars"),
        pytest.param(b"x" * (LARGEST + 1), id="too-large"),
        pytest.param(b"\xff\xfe\0garbage", id="garbage"),
    ],
)
def test_what_cannot_be_put_together_again_is_refused(octets: bytes) -> None:
    with pytest.raises(RequestRefused):
        CalendarObject(octets, STYLE)


def test_whatever_is_written_by_strangers_is_edited_or_refused() -> None:
    chance = random.Random(11)
    for _ in range(400):
        octets = bytearray(STRANGE)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(octets))
            octets[at : at + chance.randint(0, 3)] = bytes(chance.choices(range(256), k=chance.randint(0, 3)))
        try:
            edited = CalendarObject(bytes(octets), STYLE)
            edited.change({"title": "x", "starts_at": NOW, "ends_at": NOW + timedelta(hours=1)}, notify=True)
        except RequestRefused:
            continue
        assert b"SUMMARY:x" in edited.octets()


@pytest.mark.timeout(60)
def test_a_zone_that_never_stops_changing_costs_nothing() -> None:
    endless = STRANGE.replace(b"TZOFFSETTO:+0200\r\n", b"TZOFFSETTO:+0200\r\nRRULE:FREQ=SECONDLY\r\n")
    edited = CalendarObject(endless, STYLE)
    edited.change({"title": "Neu"}, notify=True)
    assert "RRULE:FREQ=SECONDLY" in lines(edited.octets())


TEXTS = [
    "a, b; c\\n d",
    "\r\nEND:VEVENT\r\nBEGIN:VEVENT",
    "a\0b\x0bc\x1fd",
    "\ud800",
    "\u2028\u0085",
    "\U0001f600 " * 60,
    ":;,=\"'^",
    " lead",
    "",
]


@pytest.mark.parametrize("text", [pytest.param(text, id=ascii(text)[:20]) for text in TEXTS])
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    guests = [Guest(email="a@b.example", name=text)]
    draft = Draft(
        title=text, description=text, location=text, starts_at=NOW, ends_at=NOW, attendees=guests, reminders=[5]
    )
    octets = compose(draft, "x", STYLE)
    octets.decode()
    calendar = Calendar.from_ical(octets)
    assert [each.name for each in calendar.walk()] == [
        "VCALENDAR",
        "VTIMEZONE",
        "STANDARD",
        "DAYLIGHT",
        "STANDARD",
        "VEVENT",
        "VALARM",
    ]
    assert not any(each.errors for each in calendar.walk())
    (component,) = read(octets)
    kept = "".join(each for each in text if each.isprintable() and each != " ")
    assert "".join(component.first("SUMMARY").split()) == kept


def test_days_moments_and_unknown_zones() -> None:
    assert Form(UTC, is_day=True).write(date(2026, 3, 3)).to_ical() == b"20260303"
    assert form_of("Romance Standard Time").tzid == "Europe/Paris"
    assert form_of("Zulu").is_utc
    assert Span(form_of(None), NOW, NOW).form.is_utc
    with pytest.raises(RequestRefused):
        form_of("Mars/Base")
    assert read_component(b"BEGIN:VEVENT\r\nDTSTART:20260303\r\nEND:VEVENT\r\n", read(STRANGE)[0].zones).start.is_day
