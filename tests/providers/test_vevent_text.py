"""Texts in every state: line ends, folds, encodings, frames that are missing, and what is too much."""

import pytest
from vevent_lists import MARCH, calendar, events, ids, items, only, reasons, vevent

from service.providers.vevent.series import Reading
from service.providers.vevent.text import scan
from service.providers.vevent.units import Units

PLAIN = calendar(vevent("DTSTART:20260304T100000Z", "SUMMARY:Grüße 👋 und mehr"))
FOLDED = PLAIN.replace("ü".encode(), b"\xc3\r\n \xbc").replace("👋".encode(), b"\xf0\x9f\r\n\t\x91\x8b")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="as it should be"),
        pytest.param(PLAIN.replace(b"\r\n", b"\n"), id="LF"),
        pytest.param(PLAIN.replace(b"\r\n", b"\r"), id="CR"),
        pytest.param(PLAIN.replace(b"\r\n", b"\r\r\n"), id="CR CR LF"),
        pytest.param(PLAIN.replace(b"\r\n", b"\n\n"), id="empty lines"),
        pytest.param(FOLDED, id="folded inside a character"),
        pytest.param(FOLDED.replace(b"\r\n", b"\n"), id="folded inside a character, LF"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, id="a mark before it"),
        pytest.param(b"\r\n  \r\n" + PLAIN, id="white space before it"),
        pytest.param(PLAIN.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(PLAIN.replace(b"BEGIN:VEVENT", b"begin:vevent").replace(b"DTSTART", b"dtstart"), id="small letters"),
        pytest.param(PLAIN.replace(b"SUMMARY:", b"SUM\0MARY:"), id="NUL"),
        pytest.param(PLAIN.replace(b"SUMMARY:", b"SUMMARY;LANGUAGE=de:"), id="a parameter"),
        pytest.param(PLAIN.replace(b"SUMMARY:", b'SUMMARY;ALTREP="cid:a;b":'), id="a parameter with a colon"),
        pytest.param(PLAIN.replace(b"END:VEVENT\r\n", b""), id="without its end"),
        pytest.param(PLAIN.removeprefix(b"BEGIN:VCALENDAR\r\n"), id="without its calendar"),
        pytest.param(PLAIN.replace(b"DTSTART", b"BEGIN:VALARM\r\nUID:a\r\nSUMMARY:No\r\nEND:VALARM\r\nDTSTART"), id="an alarm first"),
        pytest.param(PLAIN.replace(b"UID:u", b"BEGIN:VALARM\r\nUID:a\r\nEND:VALARM\r\nUID:u"), id="the alarm's UID first"),
        pytest.param(PLAIN.replace(b"SUMMARY", b"ATTACH;ENCODING=BASE64:" + b"QUJD" * 400_000 + b"\r\nSUMMARY"), id="a picture"),
        pytest.param(PLAIN.replace(b"SUMMARY", b"garbage\r\n:\r\n;;\r\n\xff\xfe\r\nSUMMARY"), id="lines that are none"),
    ],
)  # fmt: skip
def test_the_same_event_is_read_from_a_text_in_any_state(text):
    event = only(text)

    assert (event.provider_event_id, event.ical_uid) == ("u", "u")
    assert event.title == "Grüße 👋 und mehr"


def test_what_is_not_utf_8_is_latin_1_line_by_line():
    text = calendar(vevent("DTSTART:20260304T100000Z", "SUMMARY:Caf\u00e9", "LOCATION:Caf\u00e9")).replace(
        "SUMMARY:Café".encode(), b"SUMMARY:Caf\xe9"
    )

    event = only(text)

    assert (event.title, event.location) == ("Café", "Café")


def test_line_ends_that_nobody_escaped_stay_in_the_text_that_they_are_in():
    event = only(calendar(vevent("DTSTART:20260304T100000Z", "DESCRIPTION:One", "two: three", "https://example.com/x")))

    assert event.description == "One\ntwo: three\nhttps://example.com/x"


def test_several_calendars_in_one_text_each_have_their_own_zone_and_method():
    event = vevent("DTSTART:20260304T100000", "SUMMARY:Floating")
    text = calendar("X-WR-TIMEZONE:Asia/Tokyo", event.replace("UID:u", "UID:a")) + calendar(event) + calendar(
        "METHOD:CANCEL", event.replace("UID:u", "UID:c")
    )  # fmt: skip

    assert [(each.provider_event_id, each.starts_at.hour) for each in events(text, time_zone="Europe/Paris")] == [
        ("a", 1),
        ("u", 9),
    ]


def test_a_text_says_what_it_is():
    text = calendar(
        "X-WR-CALNAME:Team", "X-WR-TIMEZONE:Romance Standard Time", "X-PUBLISHED-TTL:PT12H", "METHOD:publish",
        vevent("DTSTART:20200304T100000Z", uid="old"), vevent("DTSTART:20260304T100000Z"),
    )  # fmt: skip
    document = Units(scan(text), None, Reading(window=MARCH)).document()

    assert (document.name, document.time_zone, document.method) == ("Team", "Europe/Paris", "PUBLISH")
    assert document.refresh_interval is not None
    assert document.refresh_interval.total_seconds() == 12 * 3600
    assert (document.event_count, document.is_whole) == (2, True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<!doctype html><html>Log in</html>", id="a page"),
        pytest.param(PLAIN[:-20], id="cut off"),
        pytest.param(b"\x1f\x8b\x08\x00" + bytes(range(256)) * 50, id="not a text"),
    ],
)
def test_what_is_no_whole_calendar_says_so(text):
    assert not scan(text).is_whole


def test_too_many_events_are_no_calendar():
    with pytest.raises(ValueError, match="100,000"):
        scan(b"BEGIN:VEVENT\n" * 100_002)


def test_an_event_that_is_too_long_is_set_aside_and_its_neighbours_are_read():
    long = vevent(
        "DTSTART:20260304T100000Z", *(f"ATTENDEE:mailto:{number}@example.com" for number in range(11_000)), uid="long"
    )
    text = calendar(long, vevent("DTSTART:20260304T100000Z"))

    assert reasons(text) == {"long": "more than 10000 lines"}
    assert len(items(text)) == 2


def test_a_million_letters_of_description_are_cut():
    event = only(calendar(vevent("DTSTART:20260304T100000Z", "DESCRIPTION:" + "ü" * 500_000, "SUMMARY:Long")))

    assert event.title == "Long"
    assert event.description is not None
    assert set(event.description) == {"ü"}
    assert 30_000 < len(event.description) < 65_536


def test_an_event_that_lies_elsewhere_is_passed_over_unread_unless_it_is_asked_for():
    text = calendar(
        vevent("DTSTART:20200304T100000Z", "DTEND:20200304T110000Z", uid="past"),
        vevent("DTSTART:20300304T100000Z", uid="future"),
        vevent("DTSTART:20200304T100000Z", "DTEND:20300304T110000Z", uid="long"),
        vevent("DTSTART;VALUE=DATE:20260228", "DTEND;VALUE=DATE:20260302", uid="near"),
    )

    assert ids(text) == ["long", "near"]
    assert ids(text, keep_single=True) == ["future", "long", "near", "past"]
