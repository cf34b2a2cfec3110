"""Graph's rows in our words: sparse and whole, in every zone that Outlook has a name for, and those that cannot be read."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from service.core.event import Event
from service.core.meeting_links.evidence import DEFAULT_RULES
from service.core.sync import Listed, Malformed, Removed
from service.providers.microsoft.reading import Lens, read_event, read_evidence
from service.providers.microsoft.rows import read_row
from service.providers.microsoft.zones import iana_name

NINE = datetime(2026, 11, 20, 9, tzinfo=UTC)
UID = "040000008200E00074C5B7101A82E008{}0A0B0C0D000000001000000001020304"
LENS = Lens(zone_name=None, rules=DEFAULT_RULES, email="ada@contoso.example")


def moment(text: str, zone: str = "UTC") -> dict[str, str]:
    return {"dateTime": text, "timeZone": zone}


def row_of(**fields: Any) -> bytes:
    row = {
        "id": "AAk1",
        "type": "singleInstance",
        "start": moment("2026-11-20T09:00:00.0000000"),
        "end": moment("2026-11-20T10:00:00.0000000"),
        "isOrganizer": False,
    }
    return json.dumps({name: value for name, value in (row | fields).items() if value is not ...}).encode()


def event_of(lens: Lens = LENS, **fields: Any) -> Event:
    item = read_event(read_row(row_of(**fields)), lens)
    assert isinstance(item, Listed), item
    return item.event


@pytest.mark.parametrize(
    ("start", "wanted"),
    [
        pytest.param(moment("2026-11-20T09:00:00.0000000"), NINE, id="seven-digits"),
        pytest.param(moment("2026-11-20T09:00:00"), NINE, id="no-digits"),
        pytest.param(moment("2026-11-20T09:00:00.9999999"), NINE, id="a-part-of-a-second"),
        pytest.param(moment("2026-11-20T09:00:00.0000000Z"), NINE, id="with-z"),
        pytest.param(moment("2026-11-20T10:00:00+01:00"), NINE, id="with-an-offset"),
        pytest.param(moment("2026-11-20T10:00:00.0000000", "Romance Standard Time"), NINE, id="windows-zone"),
        pytest.param(moment("2026-11-20T10:00:00.0000000", "Europe/Paris"), NINE, id="iana-zone"),
        pytest.param(moment("2026-11-20T09:00:00.0000000", "tzone://Microsoft/Utc"), NINE, id="their-utc"),
        pytest.param({"dateTime": "2026-11-20T09:00:00.0000000"}, NINE, id="no-zone"),
    ],
)
def test_a_start(start: dict[str, str], wanted: datetime):
    assert event_of(start=start).starts_at == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Romance Standard Time", "Europe/Paris"),
        ("Eastern Standard Time", "America/New_York"),
        ("India Standard Time", "Asia/Calcutta"),
        ("UTC", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("tzone://Microsoft/Custom", None),
        ("Nowhere Standard Time", None),
        ("../../etc/passwd", None),
        ("", None),
        (None, None),
    ],
)
def test_a_zone(name: str | None, wanted: str | None):
    assert iana_name(name) == wanted


ALL_DAY = {
    "isAllDay": True,
    "start": moment("2026-11-20T00:00:00.0000000"),
    "end": moment("2026-11-21T00:00:00.0000000"),
}


@pytest.mark.parametrize(
    ("named", "written", "starts_at"),
    [
        pytest.param("Europe/Paris", "Eastern Standard Time", NINE.replace(day=19, hour=23), id="the-calendars-zone"),
        pytest.param(None, "Eastern Standard Time", NINE.replace(hour=5), id="where-it-was-written"),
        pytest.param(None, "tzone://Microsoft/Custom", NINE.replace(hour=0), id="a-zone-of-their-own"),
        pytest.param(None, None, NINE.replace(hour=0), id="no-zone"),
    ],
)
def test_a_day_is_a_date_and_begins_somewhere(named: str | None, written: str | None, starts_at: datetime):
    lens = Lens(zone_name=named, rules=DEFAULT_RULES, email=None)
    event = event_of(lens, originalStartTimeZone=written, **ALL_DAY)
    assert (event.is_all_day, event.start_date, event.end_date) == (True, date(2026, 11, 20), date(2026, 11, 21))
    assert (event.starts_at, event.ends_at) == (starts_at, starts_at + timedelta(days=1))


@pytest.mark.parametrize(
    "zone", ["UTC", "New Zealand Standard Time", "Hawaiian Standard Time", "Romance Standard Time"]
)
def test_a_moved_day_of_a_series_keeps_its_slot(zone: str):
    lens = Lens(zone_name=iana_name(zone), rules=DEFAULT_RULES, email=None)
    here = datetime(2026, 11, 18, tzinfo=lens.zone_of(read_row(row_of()).wire)).astimezone(UTC)
    for original in (here.isoformat().replace("+00:00", "Z"), "2026-11-18T00:00:00Z"):
        event = event_of(lens, type="exception", seriesMasterId="M", originalStart=original, **ALL_DAY)
        assert (event.original_start_date, event.original_starts_at) == (date(2026, 11, 18), here)
        assert event.is_exception


def test_a_moved_occurrence_keeps_its_slot():
    event = event_of(type="exception", seriesMasterId="M", originalStart="2026-11-19T09:00:00Z")
    assert (event.series_id, event.original_starts_at) == ("M", NINE - timedelta(days=1))
    assert event.is_exception
    assert not event_of(type="exception", seriesMasterId="M", originalStart="2026-11-20T09:00:00Z").is_exception


def test_a_sparse_occurrence_is_what_its_master_says_at_its_own_time():
    attendees = [
        {"type": "required", "status": {"response": "accepted"}, "emailAddress": {"address": "Ada@Contoso.example"}}
    ]
    link = "https://outlook.office365.com/owa/?itemid={}&exvsurl=1"
    common = {
        "subject": "Stand-up", "isOrganizer": True, "attendees": attendees, "iCalUId": "0400", "body": {"content": "x"},
        "onlineMeeting": {"joinUrl": "https://teams.microsoft.com/l/meetup-join/19%3ameeting_a%40thread.v2/0"},
        "showAs": "busy", "originalStartTimeZone": "Romance Standard Time",
    }  # fmt: skip
    master = read_row(row_of(id="M=", type="seriesMaster", webLink=link.format("M%3D"), **common)).wire
    later = {"start": moment("2026-11-27T09:00:00.0000000"), "end": moment("2026-11-27T10:00:00.0000000")}
    sparse = read_row(row_of(id="O=", type="occurrence", seriesMasterId="M=", isOrganizer=..., **later))
    whole = row_of(id="O=", type="occurrence", seriesMasterId="M=", webLink=link.format("O%3D"), **common, **later)
    assert sparse.is_sparse
    merged = read_event(sparse, LENS, master)
    assert isinstance(merged, Listed)
    assert merged.event == event_of(**json.loads(whole))
    assert merged.event.starts_at == NINE + timedelta(days=7)
    assert merged.event.attendees[0].self
    assert merged.event.meeting is not None
    assert read_evidence(merged.raw).links, "the row that is kept can be examined again"


def test_an_occurrence_of_a_series_that_is_called_off_is_gone():
    master = read_row(row_of(id="M", type="seriesMaster", isCancelled=True)).wire
    sparse = read_row(row_of(id="O", type="occurrence", seriesMasterId="M", isOrganizer=...))
    assert read_event(sparse, LENS, master) == Removed("O", "M")


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"@removed": {"reason": "deleted"}}, Removed("AAk1"), id="deleted"),
        pytest.param({"@removed": {"reason": "changed"}}, Removed("AAk1"), id="moved-out-of-the-window"),
        pytest.param({"isCancelled": True}, Removed("AAk1"), id="called-off"),
        pytest.param(
            {"isCancelled": True, "type": "exception", "seriesMasterId": "M"},
            Removed("AAk1", "M"),
            id="called-off-once",
        ),
        pytest.param({"@removed": {"reason": "deleted"}, "start": "x"}, Removed("AAk1"), id="gone-and-unreadable"),
    ],
)
def test_what_is_gone(fields: dict[str, Any], wanted: Removed):
    assert read_event(read_row(row_of(**fields)), LENS) == wanted


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"start": None}, id="no-start"),
        pytest.param({"start": {"timeZone": "UTC"}}, id="no-time"),
        pytest.param({"start": moment("tomorrow")}, id="words"),
        pytest.param({"start": moment("0001-01-01T00:00:00", "New Zealand Standard Time")}, id="before-time"),
        pytest.param({"subject": {"a": 1}}, id="another-type"),
        pytest.param({"attendees": "many"}, id="attendees"),
    ],
)
def test_what_cannot_be_read_is_set_aside_by_its_id(fields: dict[str, Any]):
    item = read_event(read_row(row_of(**fields)), LENS)
    assert isinstance(item, Malformed)
    assert item.provider_event_id == "AAk1"


@pytest.mark.parametrize(
    "fields", [{"id": None}, {"id": ""}, {"id": "x" * 1025}, {"id": "\u20ac" * 400}, {"seriesMasterId": "x" * 1025}]
)
def test_what_has_no_id_is_named_by_what_it_is(fields: dict[str, Any]):
    items = [read_event(read_row(row_of(**fields)), LENS) for _ in range(2)]
    assert isinstance(items[0], Malformed)
    assert items[0].provider_event_id.startswith("unreadable-")
    assert items[0] == items[1]


@pytest.mark.parametrize("raw", [b'{"id": "A", "subject": "\\ud83d"}', b'{"id": "A", "subject": "a\\u0000b"}'])
def test_letters_that_no_store_takes_are_left_out(raw: bytes):
    whole = json.loads(row_of()) | json.loads(raw.replace(b"\\u0000", b"").replace(b"\\ud83d", b""))
    text = json.dumps(whole).encode().replace(b'"subject": ""', b'"subject": "\\ud83d"')
    text = text.replace(b'"subject": "ab"', b'"subject": "a\\u0000b"')
    item = read_event(read_row(text), LENS)
    assert isinstance(item, Listed)
    assert item.event.title in {"\ufffd", "ab"}


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("organizer", "accepted"), ("accepted", "accepted"), ("tentativelyAccepted", "tentative"),
        ("declined", "declined"), ("none", "needsAction"), ("notResponded", "needsAction"), ("brandNew", "brandNew"),
    ],
)  # fmt: skip
def test_an_answer(word: str, wanted: str):
    attendee = {
        "type": "optional",
        "status": {"response": word},
        "emailAddress": {"address": "B@x.example", "name": "B"},
    }
    event = event_of(attendees=[attendee], responseStatus={"response": word})
    assert event.response_status == wanted
    (guest,) = event.attendees
    assert (guest.email, guest.response_status, guest.optional, guest.self) == ("b@x.example", wanted, True, False)


def test_the_owner_of_the_calendar_is_known_by_the_accounts_address():
    me = {"status": {"response": "declined"}, "emailAddress": {"address": "ADA@contoso.example"}}
    event = event_of(attendees=[me], organizer={"emailAddress": {"address": "Bob@x.example"}})
    assert event.attendees[0].self
    assert event.organizer is not None
    assert (event.organizer.email, event.organizer.self) == ("bob@x.example", False)
    assert event_of(isOrganizer=True).response_status == "accepted"


@pytest.mark.parametrize(
    ("fields", "name", "wanted"),
    [
        ({"showAs": "free"}, "is_busy", False),
        ({"showAs": "workingElsewhere"}, "is_busy", False),
        ({"showAs": "oof"}, "is_busy", True),
        ({"showAs": "brandNew"}, "is_busy", True),
        ({"sensitivity": "normal"}, "visibility", "default"),
        ({"sensitivity": "personal"}, "visibility", "private"),
        ({"sensitivity": "brandNew"}, "visibility", "brandNew"),
        ({"iCalUId": "I@google.com"}, "ical_uid", "I@google.com"),
        ({"iCalUId": UID.format("07EA0B14")}, "ical_uid", UID.format("07EA0B14")),
        ({"iCalUId": UID.format("07EA0B14"), "seriesMasterId": "M"}, "ical_uid", UID.format("00000000")),
        ({"originalStartTimeZone": "Romance Standard Time"}, "time_zone", "Europe/Paris"),
        ({"location": {"displayName": "Room 7"}}, "location", "Room 7"),
        ({"location": {"displayName": ""}}, "location", None),
        ({"end": None}, "ends_at", NINE),
        ({"end": moment("2026-11-20T08:00:00.0000000")}, "ends_at", NINE),
    ],
)
def test_a_field(fields: dict[str, Any], name: str, wanted: Any):
    assert getattr(event_of(**fields), name) == wanted
