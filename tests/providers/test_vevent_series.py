"""The VEVENTs of one UID: ids, overrides, cancelled ones, dates of other types, versions, and what has no UID."""

from datetime import UTC, date, datetime

import pytest
from vevent_lists import calendar, events, ids, items, only, reasons, removed, vevent

from service.core.event import encode_event, fingerprint
from service.core.schedule import Window

START = "DTSTART;TZID=Europe/Paris:20260302T100000"
END = "DTEND;TZID=Europe/Paris:20260302T110000"
WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=4"
SERIES = vevent(START, END, WEEKLY, "SUMMARY:Weekly")
SLOTS = ["u#20260302T090000Z", "u#20260309T090000Z", "u#20260316T090000Z", "u#20260323T090000Z"]


def test_a_single_event_is_called_by_its_base_and_an_occurrence_by_its_slot_too():
    single = vevent(START, END)

    assert ids(calendar(single)) == ["u"]
    assert ids(calendar(single), "/cal/a.ics") == ["/cal/a.ics"]
    assert ids(calendar(SERIES)) == SLOTS
    first = events(calendar(SERIES), "/cal/a.ics")[0]
    assert (first.provider_event_id, first.series_id, first.ical_uid) == (
        "/cal/a.ics#20260302T090000Z",
        "/cal/a.ics",
        "u",
    )
    assert (first.original_starts_at, first.original_start_date) == (datetime(2026, 3, 2, 9, tzinfo=UTC), None)
    assert not first.is_exception


def test_an_all_day_slot_is_a_day():
    text = calendar(vevent("DTSTART;VALUE=DATE:20260328", "RRULE:FREQ=DAILY;COUNT=2"))

    first, second = events(text, time_zone="Europe/Paris")

    assert (first.provider_event_id, first.original_start_date, first.series_id) == (
        "u#20260328",
        date(2026, 3, 28),
        "u",
    )
    assert first.original_starts_at == first.starts_at == datetime(2026, 3, 27, 23, tzinfo=UTC)
    assert (second.start_date, second.end_date) == (date(2026, 3, 29), date(2026, 3, 30))
    assert (second.starts_at, second.ends_at) == (
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    )
    assert second.is_all_day


@pytest.mark.parametrize(
    ("line", "left"),
    [
        pytest.param("EXDATE;TZID=Europe/Paris:20260309T100000", [0, 2, 3], id="in its zone"),
        pytest.param("EXDATE:20260309T090000Z", [0, 2, 3], id="in UTC"),
        pytest.param("EXDATE;TZID=America/New_York:20260309T050000,20260316T050000", [0, 3], id="in another zone, two"),
        pytest.param("EXDATE;VALUE=DATE:20260309", [0, 2, 3], id="a day"),
        pytest.param("EXDATE:20260309", [0, 2, 3], id="a day that does not say so"),
        pytest.param("EXDATE:20260309T100000", [0, 2, 3], id="floating: in the series' zone"),
        pytest.param("EXDATE:20260309T100000,nonsense,20260316T100000", [0, 3], id="nonsense among them"),
        pytest.param("EXDATE:", [0, 1, 2, 3], id="empty"),
        pytest.param("EXDATE:20270101T100000", [0, 1, 2, 3], id="another date"),
        pytest.param("EXRULE:FREQ=WEEKLY;INTERVAL=2", [1, 3], id="a rule"),
    ],
)
def test_what_is_excluded_is_not_listed(line, left):
    assert ids(calendar(vevent(START, END, WEEKLY, line))) == [SLOTS[index] for index in left]


def test_days_are_excluded_by_midnights_in_utc_too():
    text = calendar(
        vevent("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20260302T230000Z,20260304T000000")
    )

    assert ids(text, time_zone="Europe/Paris") == ["u#20260302"]


def test_dates_are_added_some_of_them_periods():
    text = calendar(
        vevent(
            START, END, "RDATE;VALUE=PERIOD:20260303T090000Z/PT30M,20260304T090000Z/20260304T120000Z", "RDATE:20260305T100000",
            "RDATE;VALUE=DATE:20260306", "RDATE:",
        )
    )  # fmt: skip

    minutes = {each.provider_event_id: (each.ends_at - each.starts_at).total_seconds() / 60 for each in events(text)}

    assert minutes == {
        "u#20260302T090000Z": 60, "u#20260303T090000Z": 30, "u#20260304T090000Z": 180, "u#20260305T090000Z": 60,
        "u#20260306T090000Z": 60,
    }  # fmt: skip


def override(*lines: str, slot: str = ";TZID=Europe/Paris:20260309T100000", **more: str) -> str:
    return vevent(f"RECURRENCE-ID{slot}", *lines, **more)


@pytest.mark.parametrize(
    "slot",
    [
        pytest.param(";TZID=Europe/Paris:20260309T100000", id="in its zone"),
        pytest.param(":20260309T090000Z", id="in UTC"),
        pytest.param(":20260309T100000", id="floating"),
        pytest.param(";VALUE=DATE:20260309", id="a day"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_override_takes_the_place_of_its_slot(slot, is_first):
    changed = override("DTSTART:20260310T150000Z", "DTEND:20260310T160000Z", "SUMMARY:Moved", slot=slot)

    found = events(calendar(*([changed, SERIES] if is_first else [SERIES, changed])))

    assert [each.provider_event_id for each in found] == SLOTS
    assert (found[1].title, found[1].starts_at, found[1].is_exception) == (
        "Moved",
        datetime(2026, 3, 10, 15, tzinfo=UTC),
        True,
    )
    assert (found[1].series_id, found[1].original_starts_at) == ("u", datetime(2026, 3, 9, 9, tzinfo=UTC))
    assert (found[2].title, found[2].is_exception) == ("Weekly", False)


def test_this_and_future_changes_what_follows():
    changed = override(
        "DTSTART;TZID=Europe/Paris:20260310T120000", "DTEND;TZID=Europe/Paris:20260310T123000", "SUMMARY:New",
        slot=";RANGE=THISANDFUTURE;TZID=Europe/Paris:20260309T100000",
    )  # fmt: skip

    found = events(calendar(SERIES, changed, override(START.replace("0302", "0324"), slot=":20260323T090000Z")))

    assert [each.provider_event_id for each in found] == SLOTS
    assert [f"{each.starts_at:%d %H}" for each in found] == ["02 09", "10 11", "17 11", "24 09"]
    assert [each.title for each in found] == ["Weekly", "New", "New", None]
    assert [each.is_exception for each in found] == [False, True, True, True]
    assert (found[2].ends_at - found[2].starts_at).total_seconds() == 1800


def test_an_override_whose_master_nobody_sent_is_an_event_of_its_own():
    alone = override("DTSTART:20260310T150000Z", "DTEND:20260310T160000Z", "SUMMARY:One of many")
    day = override("DTSTART;VALUE=DATE:20260312", slot=";VALUE=DATE:20260311")

    first, second = events(calendar(alone, day), "/cal/a.ics")

    assert (first.provider_event_id, first.series_id) == ("/cal/a.ics#20260309T090000Z", "/cal/a.ics")
    assert (first.original_starts_at, first.is_exception) == (datetime(2026, 3, 9, 9, tzinfo=UTC), True)
    assert (second.provider_event_id, second.start_date) == ("/cal/a.ics#20260311", date(2026, 3, 12))


@pytest.mark.parametrize(
    ("parts", "gone", "left"),
    [
        pytest.param([vevent(START, "STATUS:CANCELLED")], ["u"], [], id="a single one"),
        pytest.param([SERIES.replace("SUMMARY:", "STATUS:CANCELLED\r\nSUMMARY:")], SLOTS, [], id="a series"),
        pytest.param(
            [SERIES, override(START, "STATUS:CANCELLED")], SLOTS[1:2], [SLOTS[0], *SLOTS[2:]], id="one occurrence"
        ),
        pytest.param(["METHOD:CANCEL", vevent(START)], ["u"], [], id="the calendar says so"),
        pytest.param(["METHOD:CANCEL", override(START)], SLOTS[1:2], [], id="the calendar says so of an occurrence"),
        pytest.param(["METHOD:PUBLISH", vevent(START, "STATUS:cancelled")], ["u"], [], id="in small letters"),
    ],
)
def test_what_is_cancelled_is_gone(parts, gone, left):
    text = calendar(*parts)

    assert removed(text) == gone
    assert ids(text) == left


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        pytest.param(["DTSTART:20260304T100000Z"], 0, id="no end"),
        pytest.param(["DTSTART:20260304T100000Z", "DTEND:20260304T090000Z"], 0, id="an end before the start"),
        pytest.param(["DTSTART:20260304T100000Z", "DTEND:nonsense"], 0, id="an end that is none"),
        pytest.param(["DTSTART:20260304T100000Z", "DURATION:PT1H30M"], 5400, id="a duration"),
        pytest.param(["DTSTART:20260304T100000Z", "DURATION:P1W"], 7 * 86_400, id="a week"),
        pytest.param(["DTSTART:20260304T100000Z", "DURATION:-PT1H"], 0, id="a duration below zero"),
        pytest.param(["DTSTART:20260304T100000Z", "DTEND;VALUE=DATE:20260305"], 14 * 3600, id="an end that is a day"),
        pytest.param(["DTSTART:20260304T100000Z", "DTEND:20260304T103000"], 1800, id="an end without its zone"),
        pytest.param(["DTSTART;VALUE=DATE:20260304"], 86_400, id="a day"),
        pytest.param(["DTSTART;VALUE=DATE:20260304", "DTEND;VALUE=DATE:20260304"], 86_400, id="a day that ends as it begins"),
        pytest.param(["DTSTART;VALUE=DATE:20260304", "DTEND;VALUE=DATE:20260306"], 2 * 86_400, id="two days"),
        pytest.param(["DTSTART;VALUE=DATE:20260304", "DURATION:PT48H"], 2 * 86_400, id="days in hours"),
        pytest.param(["DTSTART;VALUE=DATE:20260304", "DTEND:20260305T120000Z"], 2 * 86_400, id="a day that ends in one"),
        pytest.param(["DTSTART;VALUE=DATE:20260304T000000"], 86_400, id="a day with a time"),
        pytest.param(["DTSTART;VALUE=DATE-TIME:20260304"], 86_400, id="a time without one"),
    ],
)  # fmt: skip
def test_an_end_is_found_for_every_start(lines, seconds):
    event = only(calendar(vevent(*lines)))

    assert (event.ends_at - event.starts_at).total_seconds() == seconds
    assert event.is_all_day == (seconds % 86_400 == 0 and "DATE" in lines[0])
    if event.is_all_day:
        assert event.start_date is not None
        assert event.end_date is not None
        assert (event.end_date - event.start_date).days == seconds / 86_400


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["DTSTART:00010101T000000", "DTEND:00010101T010000"], id="the year 1"),
        pytest.param(["DTSTART:99991231T235959", "DTEND:99991231T235959"], id="the year 9999"),
        pytest.param(["DTSTART;VALUE=DATE:00010101"], id="the first day"),
        pytest.param(["DTSTART;VALUE=DATE:99991231"], id="the last day"),
        pytest.param(["DTSTART:99991231T230000Z", "DURATION:P52W"], id="beyond the last"),
        pytest.param(["DTSTART:20260304T100000Z", "DURATION:P999999999D"], id="for ever"),
    ],
)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Midway"])
def test_the_ends_of_time_are_times(lines, zone):
    event = only(calendar(vevent(*lines)), time_zone=zone, keep_single=True)

    assert event.starts_at <= event.ends_at
    assert encode_event(event)


def test_the_newest_of_two_masters_counts():
    old = vevent(START, END, WEEKLY, "SEQUENCE:1", "SUMMARY:Old", "DTSTAMP:20300101T000000Z")
    new = vevent(START.replace("T10", "T11"), "SEQUENCE:2", "SUMMARY:New")
    twin = vevent(START, END, "SEQUENCE:0", "SUMMARY:Twin")

    assert [each.title for each in events(calendar(new, old))] == ["New"]
    assert ids(calendar(twin, twin)) == ["u"]


def test_different_events_with_one_uid_are_all_listed_under_ids_that_stay():
    one, two, three = (vevent(START.replace("0302", day), f"SUMMARY:{day}") for day in ("0302", "0303", "0304"))

    found = events(calendar(one, two, three))

    assert sorted(each.title for each in found) == ["0302", "0303", "0304"]
    assert {each.provider_event_id for each in events(calendar(three, two))} < {
        each.provider_event_id for each in found
    }


def test_an_event_without_a_uid_is_called_by_its_content():
    one, two = vevent(START, END, "SUMMARY:One", uid=None), vevent(START, END, "SUMMARY:Two", uid=None)

    names = ids(calendar(one, two))

    assert len(set(names)) == 2
    assert ids(calendar(two, one.replace("SUMMARY", "DTSTAMP:20260101T000000Z\r\nSUMMARY"))) == names
    assert all(each.ical_uid is None for each in events(calendar(one)))


def test_a_feed_that_changes_its_uids_is_read_by_content():
    one, again = SERIES, SERIES.replace("UID:u", "UID:another")
    moved = "\r\n".join([override("DTSTART:20260310T150000Z"), ""])

    found = events(calendar(one, moved), identity="content")

    assert [encode_event(each) for each in found] == [
        encode_event(each)
        for each in events(calendar(again, moved.replace("UID:u", "UID:another")), identity="content")
    ]
    assert found[0].series_id.startswith("content-")
    assert found[0].ical_uid is None
    assert len(found) == 4


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        pytest.param(vevent("SUMMARY:No start"), "no DTSTART", id="no start"),
        pytest.param(vevent("DTSTART:soon"), "no date or time: soon", id="a start that is none"),
        pytest.param(vevent("DTSTART:20260230T100000"), "day is out of range for month", id="the 30th of February"),
        pytest.param(vevent(START, "RRULE:FREQ=DAILY;INTERVAL=0"), "a rule with INTERVAL=0", id="a rule without sense"),
        pytest.param(
            vevent(START, "RRULE:FREQ=SECONDLY"), "a rule that repeats SECONDLY is no meeting", id="every second"
        ),
        pytest.param(
            vevent(START, "RRULE:FREQ=HOURLY;BYMINUTE=0,20,40"),
            "more than 1000 occurrences in the window",
            id="too many",
        ),
    ],
)
def test_a_series_that_cannot_be_read_is_set_aside_alone(part, reason):
    text = calendar(vevent(START, uid="before"), part, vevent(START, uid="after"))

    assert list(reasons(text)) == ["u"]
    assert reason in reasons(text)["u"]
    assert len(items(text)) == 3


def test_an_override_that_cannot_be_read_leaves_its_series():
    text = calendar(SERIES, override("DTSTART:soon"), override(START, slot=":nonsense"))

    assert list(reasons(text)) == ["u#?20260309T100000", "u#?nonsense"]
    assert len(items(text)) == 2 + 4


def test_two_uids_in_one_resource_are_both_listed():
    assert ids(calendar(vevent(START, uid="a"), vevent(START, uid="b")), "/x.ics") == ["/x.ics", "/x.ics~b"]


def test_ids_are_bounded_and_have_no_nul():
    long = vevent(START, WEEKLY, uid="ü" * 4000)
    other = vevent(START, WEEKLY, uid="ü" * 4001)

    names = ids(calendar(long, other))

    assert max(len(name.encode()) for name in names) <= 1024
    assert len(set(names)) == 8
    assert all(len(each.ical_uid) <= 1024 for each in events(calendar(long)))


def test_an_event_outside_the_window_is_listed_only_where_a_delta_wants_it():
    text = calendar(vevent("DTSTART:20270302T100000Z"))

    assert ids(text) == []
    assert ids(text, keep_single=True) == ["u"]
    assert ids(text, window=Window(datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 3, 5, tzinfo=UTC))) == ["u"]


def test_the_same_text_in_another_order_has_the_same_fingerprints():
    lines = [
        START, END, WEEKLY, "SUMMARY:S", "DESCRIPTION:D", "ORGANIZER:mailto:o@example.com", "ATTENDEE;CN=B:mailto:b@example.com",
        "ATTENDEE;CN=A:mailto:a@example.com", "EXDATE:20260309T090000Z", "EXDATE:20260316T090000Z",
    ]  # fmt: skip
    noise = [
        "DTSTAMP:20260101T000000Z",
        "SEQUENCE:7",
        "CREATED:20260101T000000Z",
        "LAST-MODIFIED:20260101T000000Z",
        "X-A:b",
    ]

    def prints(*given: str) -> list[bytes]:
        return [fingerprint(encode_event(each)) for each in events(calendar(vevent(*given)))]

    assert prints(*lines) == prints(*reversed(lines)) == prints(*noise, *lines)
    assert len(prints(*lines)) == 2
    assert prints(*lines) != prints(*lines, "LOCATION:L")
