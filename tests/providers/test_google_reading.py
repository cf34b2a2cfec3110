import json
from datetime import UTC, date, datetime

import msgspec
import pytest

from service.core.event import Attendee, Organizer
from service.core.sync import Listed, Malformed, Removed
from service.providers.google.reading import EARLIEST, LATEST, find_zone, read_page, read_row, read_rows

PARIS = "Europe/Paris"
ROW = {
    "id": "abc",
    "status": "confirmed",
    "start": {"dateTime": "2026-03-24T09:00:00+01:00", "timeZone": PARIS},
    "end": {"dateTime": "2026-03-24T10:00:00+01:00", "timeZone": PARIS},
}


def read(row: dict | str, zone: str | None = PARIS):
    raw = row if isinstance(row, str) else json.dumps(row)
    return read_rows([msgspec.Raw(raw.encode("utf-8", "surrogatepass"))], zone)[0]


def event_of(zone: str | None = PARIS, **fields):
    item = read({name: value for name, value in {**ROW, **fields}.items() if value is not ...}, zone)
    assert isinstance(item, Listed), item
    return item.event


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_a_bare_event():
    event = event_of()
    assert (event.provider_event_id, event.status, event.visibility, event.event_type) == (
        "abc",
        "confirmed",
        "default",
        "default",
    )
    assert (event.starts_at, event.ends_at) == (utc(2026, 3, 24, 8), utc(2026, 3, 24, 9))
    assert (event.is_all_day, event.is_busy, event.is_exception, event.time_zone) == (False, True, False, PARIS)
    assert (event.title, event.meeting, event.organizer, event.attendees, event.response_status) == (
        None,
        None,
        None,
        [],
        None,
    )


def test_the_row_is_kept_as_received():
    raw = json.dumps({**ROW, "unknown": {"x": [1]}}).encode()
    item = read_row(raw, UTC, None)
    assert isinstance(item, Listed)
    assert item.raw == raw


DAY = {"date": "2026-03-24"}


def at(text: str | None, zone: str | None = None) -> dict:
    return {"dateTime": text} | ({"timeZone": zone} if zone else {})


@pytest.mark.parametrize(
    ("start", "end", "zone", "starts_at", "ends_at"),
    [
        pytest.param(
            at("2026-03-24T09:00:00Z"), at("2026-03-24T09:30:00Z"), PARIS, utc(2026, 3, 24, 9), utc(2026, 3, 24, 9, 30),
            id="utc",
        ),
        pytest.param(
            at("2026-03-24T09:00:00.5-04:00"), at("2026-03-24T10:00:00+01:00"), PARIS,
            utc(2026, 3, 24, 13, 0, 0, 500_000), utc(2026, 3, 24, 13, 0, 0, 500_000), id="end-before-start",
        ),
        pytest.param(
            at("2026-07-01T09:00:00", "America/New_York"), at("2026-07-01T10:00:00", "Not/AZone"), PARIS,
            utc(2026, 7, 1, 13), utc(2026, 7, 1, 13), id="no-offset-but-a-zone",
        ),
        pytest.param(
            at("2026-07-01T09:00:00"), at("2026-07-01T10:00:00"), PARIS, utc(2026, 7, 1, 7), utc(2026, 7, 1, 8),
            id="no-offset-no-zone",
        ),
        pytest.param(
            at("2026-07-01T09:00:00"), at("2026-07-01T10:00:00"), None, utc(2026, 7, 1, 9), utc(2026, 7, 1, 10),
            id="nobody-knows-a-zone",
        ),
        pytest.param(at("2026-03-24T09:00:00Z"), ..., PARIS, utc(2026, 3, 24, 9), utc(2026, 3, 24, 9), id="no-end"),
        pytest.param(at("2026-03-24T09:00:00Z"), {}, PARIS, utc(2026, 3, 24, 9), utc(2026, 3, 24, 9), id="empty-end"),
        pytest.param(
            at("2026-03-24T09:00:00Z"), {"date": "2026-03-25"}, PARIS, utc(2026, 3, 24, 9), utc(2026, 3, 24, 23),
            id="timed-start-dated-end",
        ),
        pytest.param(
            at("0001-01-01T00:00:00+05:00"), at("0001-01-01T09:00:00Z"), PARIS, EARLIEST,
            EARLIEST.replace(hour=9), id="year-one",
        ),
        pytest.param(
            at("9999-12-31T23:00:00Z"), at("9999-12-31T23:30:00-05:00"), PARIS, utc(9999, 12, 31, 23), LATEST,
            id="year-9999",
        ),
        pytest.param(
            DAY, {"date": "2026-03-26"}, PARIS, utc(2026, 3, 23, 23), utc(2026, 3, 25, 23), id="days-in-winter-time",
        ),
        pytest.param(
            {"date": "2026-03-28"}, {"date": "2026-03-30"}, PARIS, utc(2026, 3, 27, 23), utc(2026, 3, 29, 22),
            id="days-over-the-change-of-clocks",
        ),
        pytest.param(
            {"date": "2026-09-06"}, {"date": "2026-09-07"}, "America/Santiago", utc(2026, 9, 6, 4), utc(2026, 9, 7, 3),
            id="a-midnight-that-does-not-exist",
        ),
        pytest.param(DAY, ..., PARIS, utc(2026, 3, 23, 23), utc(2026, 3, 24, 23), id="day-without-end"),
        pytest.param(
            DAY, {"date": "2026-03-20"}, PARIS, utc(2026, 3, 23, 23), utc(2026, 3, 24, 23), id="day-ends-before",
        ),
        pytest.param(DAY, DAY, "Not/AZone", utc(2026, 3, 24), utc(2026, 3, 25), id="day-in-no-zone"),
        pytest.param(
            {"date": "9999-12-31"}, {"date": "9999-12-31"}, "UTC", utc(9999, 12, 31), utc(9999, 12, 31), id="last-day",
        ),
        pytest.param(
            {"date": "0001-01-01"}, {"date": "0001-01-02"}, "Asia/Tokyo", EARLIEST, None, id="first-day-in-the-east",
        ),
    ],
)  # fmt: skip
def test_when_it_is(start, end, zone, starts_at, ends_at):
    event = event_of(zone, start=start, end=end)
    assert event.starts_at == starts_at
    assert ends_at is None or event.ends_at == ends_at
    assert event.ends_at >= event.starts_at
    assert event.starts_at.tzinfo is UTC


def test_an_all_day_event_keeps_its_dates():
    event = event_of(start=DAY, end={"date": "2026-03-26"})
    assert (event.is_all_day, event.start_date, event.end_date) == (True, date(2026, 3, 24), date(2026, 3, 26))
    assert event.time_zone == PARIS


def test_an_end_that_is_not_meant_is_still_an_end():
    assert event_of(endTimeUnspecified=True).ends_at == utc(2026, 3, 24, 9)


@pytest.mark.parametrize(
    "name", [None, "", "Not/AZone", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b", "x" * 5000]
)
def test_names_that_are_no_zones(name):
    assert find_zone(name) is None


SLOT = at("2026-03-24T09:00:00+01:00", PARIS)


@pytest.mark.parametrize(
    ("fields", "original", "day", "is_exception"),
    [
        pytest.param({"originalStartTime": SLOT}, utc(2026, 3, 24, 8), None, False, id="in-place"),
        pytest.param({"originalStartTime": at("2026-03-24T07:00:00Z")}, utc(2026, 3, 24, 7), None, True, id="moved"),
        pytest.param({"originalStartTime": SLOT, "recurringEventId": ...}, None, None, False, id="no-series"),
        pytest.param({"originalStartTime": DAY}, utc(2026, 3, 23, 23), date(2026, 3, 24), True, id="was-all-day"),
        pytest.param(
            {"originalStartTime": DAY, "start": at("2026-03-24T00:00:00", PARIS)},
            utc(2026, 3, 23, 23),
            date(2026, 3, 24),
            True,
            id="was-all-day-and-begins-with-it",
        ),
        pytest.param(
            {"originalStartTime": DAY, "start": DAY, "end": DAY},
            utc(2026, 3, 23, 23),
            date(2026, 3, 24),
            False,
            id="all-day-in-place",
        ),
        pytest.param(
            {"originalStartTime": at("2026-03-24T00:00:00", PARIS), "start": DAY, "end": DAY},
            utc(2026, 3, 23, 23),
            None,
            True,
            id="all-day-now",
        ),
        pytest.param({"id": "abc_20260324T080000Z"}, utc(2026, 3, 24, 8), None, False, id="slot-in-the-id"),
        pytest.param(
            {"id": "abc_20260323", "start": DAY, "end": DAY},
            utc(2026, 3, 22, 23),
            date(2026, 3, 23),
            True,
            id="day-in-the-id",
        ),
        pytest.param(
            {"id": "abc_20260324", "originalStartTime": {}}, utc(2026, 3, 23, 23), date(2026, 3, 24), True, id="empty"
        ),
        pytest.param({"id": "abc_x"}, utc(2026, 3, 24, 8), None, False, id="slot-nowhere"),
        pytest.param(
            {"id": "abc_x", "start": DAY, "end": DAY},
            utc(2026, 3, 23, 23),
            date(2026, 3, 24),
            False,
            id="day-nowhere",
        ),
        pytest.param({"originalStartTime": at("yesterday")}, utc(2026, 3, 24, 8), None, False, id="unreadable"),
    ],
)
def test_the_slot_of_an_occurrence(fields, original, day, is_exception):
    event = event_of(**{"recurringEventId": "abc", **fields})
    assert (event.original_starts_at, event.original_start_date, event.is_exception) == (original, day, is_exception)


def test_the_day_of_a_slot_is_the_same_in_every_zone():
    occurrence = {"recurringEventId": "abc", "id": "abc_20260324", "start": DAY, "end": DAY}
    west, east = (event_of(zone=zone, **occurrence) for zone in ("Pacific/Honolulu", "Pacific/Auckland"))

    assert west.original_starts_at != east.original_starts_at
    assert west.original_start_date == east.original_start_date == date(2026, 3, 24)


ADA = {"email": "Ada@Example.COM ", "displayName": "Ada", "self": True, "responseStatus": "declined"}


@pytest.mark.parametrize(
    ("fields", "response"),
    [
        pytest.param({"attendees": [{"email": "g@x.example"}, ADA]}, "declined", id="mine"),
        pytest.param({"attendees": [ADA], "organizer": {"self": True}}, "declined", id="mine-though-i-organise"),
        pytest.param({"organizer": {"email": "ada@example.com", "self": True}}, "accepted", id="i-organise"),
        pytest.param({"attendees": [{"email": "g@x.example"}], "organizer": {"self": True}}, "accepted", id="unlisted"),
        pytest.param({"attendees": [{"email": "g@x.example", "responseStatus": "accepted"}]}, None, id="others"),
        pytest.param({"attendees": [{**ADA, "responseStatus": "ponders"}]}, "ponders", id="a-new-word"),
        pytest.param({"attendees": []}, None, id="nobody"),
        pytest.param({"attendees": None}, None, id="null"),
    ],
)
def test_whether_the_owner_comes(fields, response):
    assert event_of(**fields).response_status == response


def test_people():
    event = event_of(
        organizer={"email": "Boss@Example.com", "displayName": "The Boss"},
        attendees=[ADA, {"email": "room@x.example", "resource": True, "optional": True}, {"displayName": "Nobody"}],
        attendeesOmitted=True,
    )
    assert event.organizer == Organizer(email="boss@example.com", name="The Boss")
    assert event.attendees == [
        Attendee(email="ada@example.com", name="Ada", self=True, response_status="declined"),
        Attendee(email="room@x.example", resource=True, optional=True),
        Attendee(name="Nobody"),
    ]


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        pytest.param({"transparency": "transparent"}, "is_busy", False, id="free"),
        pytest.param({"transparency": "opaque"}, "is_busy", True, id="busy"),
        pytest.param({"transparency": "translucent"}, "is_busy", True, id="unknown-transparency"),
        pytest.param({"visibility": "confidential"}, "visibility", "confidential", id="confidential"),
        pytest.param({"visibility": "secret"}, "visibility", "secret", id="unknown-visibility"),
        pytest.param({"status": "tentative"}, "status", "tentative", id="tentative"),
        pytest.param({"status": ...}, "status", "confirmed", id="no-status"),
        pytest.param({"status": "postponed"}, "status", "postponed", id="unknown-status"),
        pytest.param({"eventType": "workingLocation"}, "event_type", "workingLocation", id="working-location"),
        pytest.param({"eventType": "birthday"}, "event_type", "birthday", id="birthday"),
        pytest.param({"eventType": "siesta"}, "event_type", "siesta", id="unknown-type"),
        pytest.param({"iCalUID": "u@google.com"}, "ical_uid", "u@google.com", id="uid"),
        pytest.param({"htmlLink": "https://x.example/e"}, "html_link", "https://x.example/e", id="html-link"),
        pytest.param({"summary": ""}, "title", "", id="empty-title"),
        pytest.param({"summary": None}, "title", None, id="null-title"),
        pytest.param({"summary": "a\0b"}, "title", "ab", id="nul"),
        pytest.param({"summary": "a\\u0000b"}, "title", "a\\u0000b", id="a-backslash-is-not-a-nul"),
        pytest.param({"summary": "half \ud83d"}, "title", "half \ufffd", id="lone-surrogate"),
        pytest.param({"summary": "whole \ud83d\ude00"}, "title", "whole \U0001f600", id="surrogate-pair"),
        pytest.param({"description": "x\0" * 3}, "description", "xxx", id="nul-in-description"),
    ],
)
def test_what_else_is_kept(fields, name, value):
    assert getattr(event_of(**fields), name) == value


MEET = "https://meet.google.com/abc-defg-hij"
ZOOM = "https://us02web.zoom.us/j/81234567890"


def video(uri: str, **more) -> dict:
    return {
        "conferenceData": {
            "entryPoints": [
                {"entryPointType": "phone", "uri": "tel:1"},
                {"entryPointType": "video", "uri": uri, **more},
            ]
        }
    }


@pytest.mark.parametrize(
    ("fields", "url", "found_in", "passcode"),
    [
        pytest.param(video(MEET), MEET, "conferenceData", None, id="meet"),
        pytest.param(
            {**video(ZOOM, passcode="1"), "hangoutLink": MEET}, ZOOM, "conferenceData", "1", id="add-on-first"
        ),
        pytest.param(video(ZOOM, password="2"), ZOOM, "conferenceData", "2", id="password"),
        pytest.param(video(ZOOM, pin="3"), ZOOM, "conferenceData", "3", id="pin"),
        pytest.param(video(ZOOM, accessCode="4"), ZOOM, "conferenceData", "4", id="access-code"),
        pytest.param({"hangoutLink": MEET}, MEET, "hangoutLink", None, id="hangout-link"),
        pytest.param(
            {**video("javascript:alert(1)"), "hangoutLink": MEET}, MEET, "hangoutLink", None, id="not-a-web-address"
        ),
        pytest.param({"conferenceData": {}, "hangoutLink": MEET}, MEET, "hangoutLink", None, id="empty-conference"),
        pytest.param(
            {"conferenceData": {"entryPoints": [{"entryPointType": "hologram"}]}}, None, None, None, id="unknown-entry"
        ),
        pytest.param(
            {"conferenceData": {"createRequest": {"status": {"statusCode": "pending"}}}}, None, None, None, id="pending"
        ),
    ],
)
def test_the_way_into_the_call(fields, url, found_in, passcode):
    meeting = event_of(**fields).meeting
    got = (meeting.url, meeting.found_in, meeting.passcode) if meeting else (None, None, None)
    assert got == (url, found_in, passcode)


@pytest.mark.parametrize(
    ("row", "item"),
    [
        pytest.param({"id": "abc", "status": "cancelled"}, Removed("abc"), id="sparse"),
        pytest.param({**ROW, "status": "cancelled"}, Removed("abc"), id="with-details"),
        pytest.param(
            {"id": "abc_1", "status": "cancelled", "recurringEventId": "abc", "originalStartTime": SLOT},
            Removed("abc_1", "abc"),
            id="occurrence",
        ),
        pytest.param({"id": "abc", "status": "cancelled", "start": 7}, Removed("abc"), id="otherwise-unreadable"),
        pytest.param({"id": "abc", "status": "cancelled", "start": {"dateTime": "x"}}, Removed("abc"), id="bad-start"),
    ],
)
def test_what_is_gone(row, item):
    assert read(row) == item


@pytest.mark.parametrize(
    ("row", "event_id"),
    [
        pytest.param({**ROW, "start": ...}, "abc", id="no-start"),
        pytest.param({**ROW, "start": {}}, "abc", id="empty-start"),
        pytest.param({**ROW, "start": at("2026-13-45T99:00:00Z")}, "abc", id="no-such-time"),
        pytest.param({**ROW, "start": {"date": "2026-02-30"}}, "abc", id="no-such-day"),
        pytest.param({**ROW, "start": {"date": "10000-01-01"}}, "abc", id="year-10000"),
        pytest.param({**ROW, "end": at("soon")}, "abc", id="bad-end"),
        pytest.param({**ROW, "summary": ["a"]}, "abc", id="title-is-a-list"),
        pytest.param({**ROW, "attendees": {"a": 1}}, "abc", id="attendees-are-an-object"),
        pytest.param({**ROW, "start": "2026-03-24"}, "abc", id="start-is-text"),
        pytest.param({**ROW, "id": 7}, None, id="id-is-a-number"),
        pytest.param({**ROW, "id": ""}, None, id="empty-id"),
        pytest.param({**ROW, "id": "x" * 1025}, None, id="endless-id"),
        pytest.param({**ROW, "id": "\u00e4" * 513}, None, id="endless-in-bytes"),
        pytest.param({**ROW, "recurringEventId": "\u00e4" * 513}, None, id="endless-series"),
        pytest.param({"status": "confirmed"}, None, id="no-id"),
        pytest.param("null", None, id="null"),
        pytest.param("[]", None, id="array"),
        pytest.param('"abc"', None, id="text"),
        pytest.param('{"id": "abc", "x": ' + "[" * 5000 + "]" * 5000 + "}", None, id="deep-nesting"),
    ],
)
def test_a_row_that_cannot_be_read_is_set_aside(row, event_id):
    if isinstance(row, dict):
        row = {name: value for name, value in row.items() if value is not ...}
    item = read(row)
    assert isinstance(item, Malformed)
    assert item.reason
    assert item.provider_event_id == event_id if event_id else item.provider_event_id.startswith("unreadable-")
    assert read(row) == item


def test_a_bad_row_spoils_no_other():
    page = json.dumps({"items": [ROW, {"id": "bad", "start": 1}, {**ROW, "id": "good"}], "nextSyncToken": "t"})
    rows = read_rows(read_page(page.encode()).items or [], PARIS)
    assert [type(each) for each in rows] == [Listed, Malformed, Listed]


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(b'"half \\ud83d"', id="lone-surrogate-at-the-end"),
        pytest.param(b'"\\udc00 half"', id="low-surrogate"),
        pytest.param(b'"\xed\xa0\xbd"', id="surrogate-in-utf-8"),
        pytest.param(b'"caf\xe9"', id="latin-1"),
        pytest.param(b'"a\\u0000"', id="nul"),
    ],
)
def test_bad_text_in_one_row_costs_neither_the_page_nor_the_meeting(title):
    body = json.dumps({"items": [ROW, {**ROW, "id": "bad"}], "nextSyncToken": "t"}).encode()
    page = read_page(body.replace(b'"id": "bad"', b'"id": "bad", "summary": ' + title))
    first, second = read_rows(page.items or [], PARIS)
    assert page.next_sync_token == "t"
    assert isinstance(first, Listed)
    assert isinstance(second, Listed)
    kept = second.event.title or ""
    assert "\0" not in kept
    assert kept.encode()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"items": [', b"[]", b'{"items": 7}', b"null", b"[" * 100_000])
def test_what_is_no_page(body):
    with pytest.raises((msgspec.DecodeError, ValueError, RecursionError)):
        read_page(body)
