"""Occurrences in a window: rules, dates added and removed, overrides, changes of the clock, and what is refused."""

# ruff: noqa: DTZ001  (rules run on wall clocks)

import itertools
import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from service.core.recurrence import Length, Occurrence, Override, Series, occurrences
from service.core.recurrence_rules import Rule, Unusable
from service.core.schedule import Window

PARIS, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
HOUR = Length(exact=timedelta(hours=1))
MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
JUDGED = [json.loads(line) for line in Path("tests/testdata/icalendar/judged_rules.jsonl").read_text().splitlines()]
"""Series and the starts that recurring-ical-events 3.8.2, which has nothing in common with ours but dateutil, gives them."""


def timed(start: datetime, *rules: str, zone: ZoneInfo = PARIS, length: Length = HOUR, **more: object) -> Series:
    return Series(start=start, zone=zone, length=length, rules=rules, **more)


def starts(found: list[Occurrence]) -> list[str]:
    return [f"{each.starts_at:%m-%dT%H:%M}" for each in found]


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param(timed(datetime(2026, 3, 4, 10)), ["03-04T09:00"], id="no rule"),
        pytest.param(
            timed(datetime(2026, 1, 5, 10), "FREQ=WEEKLY;COUNT=11"), ["03-02T09:00", "03-09T09:00", "03-16T09:00"], id="count"
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=WEEKLY;UNTIL=20260316T090000Z"),
            ["03-02T09:00", "03-09T09:00", "03-16T09:00"],
            id="until, to the second",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=WEEKLY;UNTIL=20260316T085959Z"),
            ["03-02T09:00", "03-09T09:00"],
            id="until, a second short",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=WEEKLY;UNTIL=20260309"),
            ["03-02T09:00", "03-09T09:00"],
            id="until is a day, and all of it",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=WEEKLY;UNTIL=20260309T100000"),
            ["03-02T09:00", "03-09T09:00"],
            id="until on the wall clock",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=WEEKLY;UNTIL=20260301T000000Z"), [], id="until before the start"
        ),
        pytest.param(
            timed(datetime(2026, 3, 3, 10), "FREQ=WEEKLY;BYDAY=WE;COUNT=2"),
            ["03-03T09:00", "03-04T09:00", "03-11T09:00"],
            id="a start that the rule does not have is held all the same",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), r"freq=weekly\;byday=mo\;count=2;"),
            ["03-02T09:00", "03-09T09:00"],
            id="escaped, in small letters, an empty part",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=DAILY;COUNT=2", "FREQ=WEEKLY;COUNT=2"),
            ["03-02T09:00", "03-03T09:00", "03-09T09:00"],
            id="two rules",
        ),
        pytest.param(
            timed(datetime(2026, 3, 2, 10), "FREQ=DAILY;COUNT=4", excluded_rules=["FREQ=DAILY;INTERVAL=2"]),
            ["03-03T09:00", "03-05T09:00"],
            id="a rule that excludes",
        ),
        pytest.param(
            timed(datetime(2026, 3, 1, 10), "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
            ["03-01T09:00", "03-31T08:00"],
            id="the last working day",
        ),
        pytest.param(timed(datetime(2026, 1, 31, 10), "FREQ=MONTHLY"), ["03-31T08:00"], id="months that lack the 31st"),
        pytest.param(timed(datetime(2024, 2, 29, 10), "FREQ=YEARLY"), [], id="years that lack the 29th of February"),
        pytest.param(timed(datetime(2020, 2, 28, 10), "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), [], id="a day that never comes"),
        pytest.param(
            timed(datetime(2025, 3, 12, 10), "FREQ=YEARLY;BYWEEKNO=11"), ["03-11T09:00"], id="the weekday is the start's"
        ),
        pytest.param(timed(datetime(1, 1, 1, 10), "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=4"), ["03-04T09:00"], id="since the year 1"),
        pytest.param(
            timed(datetime(2026, 3, 2, 10, 0, 5), "FREQ=SECONDLY;INTERVAL=3600;COUNT=2"),
            ["03-02T09:00", "03-02T10:00"],
            id="seconds, and few of them",
        ),
        pytest.param(timed(datetime(2026, 3, 2, 10), "FREQ=DAILY;COUNT=-1;UNTIL=20260303"), ["03-02T09:00", "03-03T09:00"], id="a count below zero is none"),
        pytest.param(timed(datetime(9999, 12, 31, 23), "FREQ=DAILY"), [], id="the end of time"),
        pytest.param(
            timed(datetime(2026, 3, 27, 2, 30), "FREQ=DAILY;COUNT=4"),
            ["03-27T01:30", "03-28T01:30", "03-29T01:30", "03-30T00:30"],
            id="a time that is left out keeps the offset before",
        ),
        pytest.param(
            timed(datetime(2026, 2, 28, 22), "FREQ=WEEKLY;COUNT=2", length=Length(days=1)),
            ["02-28T21:00", "03-07T21:00"],
            id="begun before the window",
        ),
        pytest.param(timed(datetime(2026, 3, 1, 0), length=Length(), zone=ZoneInfo("UTC")), [], id="an instant at the very start"),
    ],
)  # fmt: skip
def test_a_series_has_these_occurrences(series, expected):
    assert starts(occurrences(series, [], MARCH)) == expected


@pytest.mark.parametrize(
    ("wall", "zone", "starts_at"),
    [
        pytest.param(datetime(2026, 3, 29, 2, 30), PARIS, "2026-03-29T01:30", id="Paris, left out"),
        pytest.param(datetime(2026, 10, 25, 2, 30), PARIS, "2026-10-25T00:30", id="Paris, the first of two"),
        pytest.param(datetime(2026, 3, 8, 2, 30), NEW_YORK, "2026-03-08T07:30", id="New York, left out"),
        pytest.param(datetime(2026, 11, 1, 1, 30), NEW_YORK, "2026-11-01T05:30", id="New York, the first of two"),
        pytest.param(datetime(2026, 10, 4, 2, 15), LORD_HOWE, "2026-10-03T15:45", id="half an hour, left out"),
        pytest.param(datetime(2026, 4, 5, 1, 45), LORD_HOWE, "2026-04-04T14:45", id="half an hour, the first of two"),
    ],
)
def test_where_the_clock_changes_an_occurrence_keeps_its_length(wall, zone, starts_at):
    series = timed(wall - timedelta(days=70), "FREQ=DAILY", zone=zone)
    at = datetime.fromisoformat(starts_at).replace(tzinfo=UTC)

    found = {
        each.starts_at: each
        for each in occurrences(series, [], Window(at - timedelta(hours=26), at + timedelta(hours=26)))
    }

    assert found[at].ends_at - at == timedelta(hours=1)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("length", "hours"),
    [
        pytest.param(Length(days=1), 23, id="P1D is a day of the calendar"),
        pytest.param(Length(exact=timedelta(hours=24)), 24, id="PT24H is exact"),
        pytest.param(Length(days=1, exact=timedelta(hours=1)), 24, id="P1DT1H is both"),
        pytest.param(Length(exact=timedelta(hours=-5)), 0, id="below zero is nothing"),
    ],
)
def test_days_and_hours_are_different_lengths(length, hours):
    [found] = occurrences(timed(datetime(2026, 3, 28, 12), length=length), [], MARCH)

    assert found.ends_at - found.starts_at == timedelta(hours=hours)


def slot(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def test_dates_are_added_and_removed():
    series = timed(
        datetime(2026, 3, 2, 10),
        "FREQ=DAILY;COUNT=5",
        added={slot(20): None, slot(21): Length(exact=timedelta(minutes=5)), slot(2): None},
        removed=frozenset({slot(3), date(2026, 3, 5), slot(20)}),
    )

    found = occurrences(series, [], MARCH)

    assert starts(found) == ["03-02T09:00", "03-04T09:00", "03-06T09:00", "03-21T09:00"]
    assert found[-1].ends_at - found[-1].starts_at == timedelta(minutes=5)


def test_days_are_dates_and_lie_at_midnight_of_the_zone():
    series = Series(
        start=datetime(2026, 3, 28), zone=PARIS, length=Length(days=2), is_all_day=True,
        rules=["FREQ=DAILY;INTERVAL=2;BYHOUR=9;UNTIL=20260330T235959Z"], removed=frozenset({date(2026, 3, 1)}),
    )  # fmt: skip

    first, second = occurrences(series, [], MARCH)

    assert (first.slot, first.start_date, first.end_date) == (date(2026, 3, 28), date(2026, 3, 28), date(2026, 3, 30))
    assert (first.starts_at, first.ends_at) == (slot(27, 23), slot(29, 22))
    assert second.slot == date(2026, 3, 30)


def moved(day: int, to: datetime, **more: object) -> Override:
    return Override(slot=slot(day), starts_at=to, ends_at=to + timedelta(hours=2), **more)


def test_an_override_stands_for_its_slot_wherever_it_lies():
    series = timed(datetime(2026, 3, 2, 10), "FREQ=DAILY;COUNT=4", removed=frozenset({slot(4)}))
    into = Override(slot=datetime(2026, 5, 1, 9, tzinfo=UTC), starts_at=slot(25), ends_at=slot(26))

    found = occurrences(
        series, [moved(3, slot(20)), moved(4, slot(4, 15)), moved(5, slot(1) + timedelta(days=90)), into], MARCH
    )

    assert [(f"{each.starts_at:%d %H}", each.source) for each in found] == [
        ("02 09", None), ("04 15", 1), ("20 09", 0), ("25 09", 3),
    ]  # fmt: skip


def test_this_and_future_moves_what_follows_until_the_next():
    series = timed(datetime(2026, 3, 23, 10), "FREQ=DAILY;COUNT=9", removed=frozenset({slot(26)}))
    changed = [
        moved(25, slot(25, 11), shift=timedelta(hours=2), length=Length(exact=timedelta(minutes=30))),
        moved(28, slot(28, 8), shift=timedelta(hours=-1), length=HOUR),
        moved(27, slot(27, 20)),
    ]

    found = occurrences(series, changed, MARCH)

    assert [(f"{each.slot:%d %H} at {each.starts_at:%d %H}", each.source) for each in found] == [
        ("23 09 at 23 09", None), ("24 09 at 24 09", None), ("25 09 at 25 11", 0), ("27 09 at 27 20", 2),
        ("28 09 at 28 08", 1), ("29 08 at 29 07", 1), ("30 08 at 30 07", 1), ("31 08 at 31 07", 1),
    ]  # fmt: skip
    assert found[-1].ends_at - found[-1].starts_at == timedelta(hours=1)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        pytest.param("FREQ=SECONDLY", "is no meeting", id="every second"),
        pytest.param("FREQ=MINUTELY;INTERVAL=45", "is no meeting", id="every minute"),
        pytest.param(
            "FREQ=SECONDLY;COUNT=10;BYMONTH=2;BYMONTHDAY=30", "is no meeting", id="a few seconds that never come"
        ),
        pytest.param("FREQ=DAILY;INTERVAL=0", "INTERVAL=0", id="no step"),
        pytest.param("FREQ=DAILY;INTERVAL=-2", "INTERVAL=-2", id="a step back"),
        pytest.param("FREQ=DAILY;INTERVAL=" + "9" * 5000, "INTERVAL=999", id="a number of thousands of digits"),
        pytest.param("FREQ=DAILY;COUNT=0", "COUNT=0", id="none at all"),
        pytest.param("FREQ=FORTNIGHTLY", "without a frequency", id="no such frequency"),
        pytest.param("", "without a frequency", id="empty"),
        pytest.param("FREQ=YEARLY;BYMONTH=13", "BYMONTH=13", id="no such month"),
        pytest.param("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0", id="no such day"),
        pytest.param("FREQ=MONTHLY;BYDAY=1XX", "BYDAY=1XX", id="no such weekday"),
        pytest.param("FREQ=DAILY;UNTIL=soon", "UNTIL=SOON", id="no such time"),
        pytest.param("FREQ=DAILY;UNTIL=20261345", "UNTIL=20261345", id="no such date"),
        pytest.param("RSCALE=CHINESE;FREQ=YEARLY", "another calendar", id="of another calendar"),
        pytest.param("FREQ=HOURLY;INTERVAL=2;BYHOUR=11", "without occurrences", id="an hour that never comes"),
        pytest.param(
            "FREQ=DAILY;BYHOUR=9,10;BYMINUTE=" + ",".join(map(str, range(60))), "more than 1000", id="too many"
        ),
        pytest.param("FREQ=DAILY;COUNT=700000", "too far", id="too many before the window"),
    ],
)
def test_what_has_no_sense_is_refused_with_the_reason(rule, reason):
    start = datetime(1, 1, 1, 10) if "700000" in rule else datetime(2026, 1, 2, 10)

    with pytest.raises(Unusable, match=reason):
        occurrences(timed(start, rule), [], MARCH)


def test_a_thousand_occurrences_are_allowed_and_one_more_is_not():
    wide = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))

    assert len(occurrences(timed(datetime(2026, 1, 2, 10), "FREQ=DAILY;COUNT=1000"), [], wide)) == 1000
    with pytest.raises(Unusable):
        occurrences(timed(datetime(2026, 1, 2, 10), "FREQ=DAILY;COUNT=1001"), [], wide)


RULES = [
    "FREQ=DAILY;INTERVAL={n}", "FREQ=DAILY;INTERVAL={n};BYMONTH=1,3,4,10", "FREQ=WEEKLY;INTERVAL={n};BYDAY=MO,FR;WKST=SU",
    "FREQ=WEEKLY;INTERVAL={n}", "FREQ=WEEKLY;INTERVAL={n};BYDAY=TU,TH,SU;BYSETPOS=-1", "FREQ=MONTHLY;INTERVAL={n}",
    "FREQ=MONTHLY;INTERVAL={n};BYDAY=-1FR,2MO", "FREQ=MONTHLY;INTERVAL={n};BYMONTHDAY=-1,15", "FREQ=YEARLY;INTERVAL={n}",
    "FREQ=YEARLY;INTERVAL={n};BYDAY=2SU;BYMONTH=3", "FREQ=YEARLY;INTERVAL={n};BYWEEKNO=1,20;BYDAY=MO",
    "FREQ=YEARLY;INTERVAL={n};BYYEARDAY=1,60,-1", "FREQ=HOURLY;INTERVAL={n}", "FREQ=HOURLY;INTERVAL={n};BYHOUR=0,1,2,12,18;BYDAY=MO",
    "FREQ=MONTHLY;INTERVAL={n};BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1", "FREQ=DAILY;INTERVAL={n};BYHOUR=8,20;BYMINUTE=0,30",
    "FREQ=DAILY;COUNT=4{n}0", "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=9{n}", "FREQ=MONTHLY;COUNT=1{n}", "FREQ=YEARLY;COUNT={n}",
]  # fmt: skip


@pytest.mark.parametrize("text", RULES)
def test_a_rule_begun_near_the_window_has_the_same_times_as_one_followed_from_its_start(text):
    dice = random.Random(text)
    for number in (1, 2, 3, 7):
        rule = text.format(n=number)
        start = datetime(
            dice.randint(2023, 2026), dice.randint(1, 12), dice.randint(1, 31 - 3), dice.randint(0, 23), 30
        )
        if dice.random() < 0.3:
            start = datetime(2023, 1, 31, 12)
        low = datetime(2026, dice.randint(1, 6), dice.randint(1, 28))
        high = low + timedelta(days=dice.choice([3, 40, 365]))

        ours = list(Rule.read(rule, start, UTC, is_all_day=False).walls(low, high))

        followed = itertools.takewhile(lambda at, high=high: at <= high, rrulestr(rule, dtstart=start))
        assert ours == [at for at in followed if at >= low]


@pytest.mark.parametrize("judged", JUDGED, ids=map(str, range(len(JUDGED))))
def test_another_library_comes_to_the_same(judged):
    assert judged["expected"]
    values: dict[str, list[str]] = {}
    for line in judged["lines"]:
        name, _, value = line.partition(":")
        values.setdefault(name.partition(";")[0], []).append(value)
        if name.startswith("DTSTART"):
            zone = ZoneInfo(name.rpartition("=")[2]) if "TZID" in name else UTC
    is_all_day = zone is UTC and "T" not in values["DTSTART"][0]

    def read(text: str) -> date:
        return date.fromisoformat(text) if is_all_day else datetime.fromisoformat(text).replace(tzinfo=zone)

    series = Series(
        start=datetime.fromisoformat(values["DTSTART"][0]), zone=zone, is_all_day=is_all_day,
        length=Length(days=1) if values["DURATION"] == ["P1D"] else Length(exact=timedelta(minutes=30 if values["DURATION"] == ["PT30M"] else 60)),
        rules=values["RRULE"], added={read(text): None for text in values.get("RDATE", [])},
        removed=frozenset(read(text) for text in values.get("EXDATE", [])),
    )  # fmt: skip

    found = occurrences(series, [], Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)))

    shown = [f"{each.start_date:%Y%m%d}" if is_all_day else f"{each.starts_at:%Y%m%dT%H%M%SZ}" for each in found]
    assert shown == judged["expected"]
