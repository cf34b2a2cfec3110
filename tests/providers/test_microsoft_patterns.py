"""Recurrence rules in Outlook's words: each as it is expected, all as often as RFC 5545 has them, and what is refused."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.series_moves import Move, moved_lines
from service.errors import RequestRefused, SeriesUnmovable
from service.providers.edits import Span
from service.providers.microsoft.patterns import pattern_of, shifted
from service.providers.microsoft.zones import iana_name, windows_name
from simulator.microsoft.moments import from_wall
from simulator.microsoft.recurrence import complete, expand

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 3, 10, 9, 0, tzinfo=PARIS)  # the second Tuesday
HOUR = timedelta(hours=1)


def span_at(start: datetime) -> Span:
    return Span(start.astimezone(UTC), (start + HOUR).astimezone(UTC), "Europe/Paris")


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        pytest.param("FREQ=DAILY", {"type": "daily", "interval": 1}, id="daily"),
        pytest.param("FREQ=DAILY;INTERVAL=3", {"type": "daily", "interval": 3}, id="every-third-day"),
        pytest.param(
            "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
            {"type": "weekly", "interval": 1, "firstDayOfWeek": "monday",
             "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"]},
            id="workdays",
        ),
        pytest.param(
            "FREQ=WEEKLY",
            {"type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"], "firstDayOfWeek": "monday"},
            id="weekly",
        ),
        pytest.param(
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;WKST=SU",
            {"type": "weekly", "interval": 2, "daysOfWeek": ["tuesday", "thursday"], "firstDayOfWeek": "sunday"},
            id="every-second-week",
        ),
        pytest.param("FREQ=MONTHLY", {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 10}, id="monthly"),
        pytest.param(
            "FREQ=MONTHLY;BYMONTHDAY=28;INTERVAL=2",
            {"type": "absoluteMonthly", "interval": 2, "dayOfMonth": 28},
            id="a-day-of-the-month",
        ),
        pytest.param(
            "FREQ=MONTHLY;BYDAY=2TU",
            {"type": "relativeMonthly", "interval": 1, "index": "second", "daysOfWeek": ["tuesday"]},
            id="second-tuesday",
        ),
        pytest.param(
            "FREQ=MONTHLY;BYDAY=-1FR",
            {"type": "relativeMonthly", "interval": 1, "index": "last", "daysOfWeek": ["friday"]},
            id="last-friday",
        ),
        pytest.param(
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            {"type": "relativeMonthly", "interval": 1, "index": "last",
             "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"]},
            id="last-workday",
        ),
        pytest.param(
            "FREQ=YEARLY", {"type": "absoluteYearly", "interval": 1, "dayOfMonth": 10, "month": 3}, id="yearly"
        ),
        pytest.param(
            "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            {"type": "relativeYearly", "interval": 1, "index": "fourth", "daysOfWeek": ["thursday"], "month": 11},
            id="thanksgiving",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_outlook_knows(rule, pattern):
    found = pattern_of([f"RRULE:{rule}"], span_at(START))
    assert found is not None
    assert found["pattern"] == pattern
    assert found["range"] == {
        "type": "noEnd", "startDate": "2026-03-10", "recurrenceTimeZone": "Romance Standard Time",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("end", "range_"),
    [
        pytest.param("COUNT=4", {"type": "numbered", "numberOfOccurrences": 4}, id="count"),
        pytest.param("UNTIL=20260331", {"type": "endDate", "endDate": "2026-03-31"}, id="until-a-day"),
        pytest.param("UNTIL=20260331T070000Z", {"type": "endDate", "endDate": "2026-03-31"}, id="until-the-last-one"),
        pytest.param("UNTIL=20260331T065959Z", {"type": "endDate", "endDate": "2026-03-30"}, id="until-just-before"),
        pytest.param("UNTIL=20260331T223000Z", {"type": "endDate", "endDate": "2026-03-31"}, id="until-the-next-day-here"),
    ],
)  # fmt: skip
def test_the_end_of_a_series(end, range_):
    found = pattern_of([f"RRULE:FREQ=WEEKLY;{end}"], span_at(START))
    assert found is not None
    assert {name: found["range"][name] for name in range_} == range_


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["RRULE:FREQ=WEEKLY", "EXDATE:20260317T080000Z"], id="exception"),
        pytest.param(["RDATE:20260317T080000Z"], id="dates"),
        pytest.param(["RRULE:FREQ=WEEKLY", "RRULE:FREQ=DAILY"], id="two-rules"),
        pytest.param(["RRULE:FREQ=HOURLY;INTERVAL=5"], id="hourly"),
        pytest.param(["RRULE:FREQ=DAILY;BYHOUR=9,15"], id="twice-a-day"),
        pytest.param(["RRULE:FREQ=DAILY;INTERVAL=2;BYDAY=MO"], id="every-second-day-if-monday"),
        pytest.param(["RRULE:FREQ=DAILY;BYMONTH=3"], id="every-day-of-march"),
        pytest.param(["RRULE:FREQ=DAILY;INTERVAL=100"], id="interval"),
        pytest.param(["RRULE:FREQ=DAILY;COUNT=1000"], id="count"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYMONTHDAY=31"], id="the-31st"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYMONTHDAY=-1"], id="the-last-day"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYMONTHDAY=1,15"], id="two-days-of-a-month"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYDAY=5TU"], id="fifth"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYDAY=1TU,3TU"], id="first-and-third"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYDAY=TU"], id="every-tuesday-of-months"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13"], id="friday-the-13th"),
        pytest.param(["RRULE:FREQ=MONTHLY;BYDAY=2MO,2TU"], id="two-second-days"),
        pytest.param(["RRULE:FREQ=YEARLY;BYDAY=20MO"], id="twentieth-monday"),
        pytest.param(["RRULE:FREQ=YEARLY;BYMONTH=3,9"], id="two-months"),
        pytest.param(["RRULE:FREQ=YEARLY;BYYEARDAY=100"], id="day-of-year"),
        pytest.param(["RRULE:FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO"], id="week-of-year"),
        pytest.param(["RRULE:FREQ=SOMETIMES"], id="nonsense"),
    ],
)
def test_what_outlook_cannot_say_is_refused(lines):
    with pytest.raises(RequestRefused):
        pattern_of(lines, span_at(START))


def test_no_lines_are_no_series():
    assert pattern_of([], span_at(START)) is None


WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAYS = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4, unique=True).map(",".join)
RULES = st.one_of(
    st.just("FREQ=DAILY"),
    DAYS.map(lambda days: f"FREQ=WEEKLY;BYDAY={days}"),
    st.tuples(DAYS, st.sampled_from(WEEKDAYS)).map(lambda both: f"FREQ=WEEKLY;BYDAY={both[0]};WKST={both[1]}"),
    st.integers(1, 28).map(lambda day: f"FREQ=MONTHLY;BYMONTHDAY={day}"),
    st.tuples(st.sampled_from((1, 2, 3, 4, -1)), st.sampled_from(WEEKDAYS)).map(
        lambda both: f"FREQ=MONTHLY;BYDAY={both[0]}{both[1]}"
    ),
    st.tuples(DAYS, st.sampled_from((1, 2, 3, 4, -1))).map(lambda both: f"FREQ=MONTHLY;BYDAY={both[0]};BYSETPOS={both[1]}"),
    st.tuples(st.integers(1, 12), st.integers(1, 28)).map(lambda both: f"FREQ=YEARLY;BYMONTH={both[0]};BYMONTHDAY={both[1]}"),
    st.tuples(st.integers(1, 12), st.sampled_from((1, 4, -1)), st.sampled_from(WEEKDAYS)).map(
        lambda all_: f"FREQ=YEARLY;BYMONTH={all_[0]};BYDAY={all_[1]}{all_[2]}"
    ),
)  # fmt: skip
ENDS = st.one_of(
    st.integers(1, 9).map(lambda count: f";COUNT={count}"),
    st.datetimes(datetime(2026, 3, 1), datetime(2027, 6, 1)).map(lambda at: f";UNTIL={at:%Y%m%dT%H%M%SZ}"),  # noqa: DTZ001
)


@given(
    rule=RULES,
    end=ENDS,
    interval=st.integers(1, 3),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 28)).map(  # noqa: DTZ001
        lambda at: at.replace(minute=0, second=0, microsecond=0, tzinfo=PARIS)
    ),
)
@settings(derandomize=True, database=None, deadline=None, max_examples=150)
def test_outlook_repeats_as_often_as_the_rule_says(rule, end, interval, start):
    text = f"{rule};INTERVAL={interval}{end}"
    found = pattern_of([f"RRULE:{text}"], span_at(start))
    assert found is not None
    horizon = datetime(2028, 1, 1, tzinfo=UTC)
    moment = from_wall(start.replace(tzinfo=None), "Europe/Paris")
    told = [slot.day for slot in expand(complete(found, moment), moment, horizon)]
    meant = [at.date() for at in rrulestr(text, dtstart=start) if at < horizon]
    assert told == meant


def moved(lines: list[str], by: timedelta) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The recurrence of a series that moves, and that of one that was made of the moved lines."""
    made = pattern_of(lines, span_at(START))
    assert made is not None
    before, after = START.replace(tzinfo=None), span_at(START + by)
    move = Move(before=before, after=before + by, zone=PARIS, new_zone=PARIS)
    # As Graph answers it, with every field.
    whole = complete(made, from_wall(before, "Europe/Paris"))
    return shifted(whole, move, after), pattern_of(moved_lines(lines, move), after)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("FREQ=DAILY;UNTIL=20260331T070000Z", id="daily"),
        pytest.param("FREQ=WEEKLY;COUNT=3", id="weekly"),
        pytest.param("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO;UNTIL=20260331", id="every-second-week"),
        pytest.param("FREQ=MONTHLY;BYMONTHDAY=10", id="monthly"),
        pytest.param("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10", id="yearly"),
    ],
)
def test_a_series_that_moves_takes_its_days_and_its_end_along(rule):
    for by in (timedelta(days=2), timedelta(days=-3, hours=1)):
        found, made = moved([f"RRULE:{rule}"], by)
        assert found == made


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("FREQ=MONTHLY;BYDAY=2TU;UNTIL=20260731T070000Z", id="second-tuesday"),
        pytest.param("FREQ=WEEKLY;BYDAY=TU,TH;UNTIL=20260331T070000Z", id="weekly"),
    ],
)
def test_a_series_that_moves_within_the_day_keeps_its_days(rule):
    found, _ = moved([f"RRULE:{rule}"], timedelta(0))
    later, _ = moved([f"RRULE:{rule}"], timedelta(hours=2))
    assert later == found


@pytest.mark.parametrize(
    "recurrence",
    [
        pytest.param({"type": "relativeMonthly", "index": "second", "daysOfWeek": ["tuesday"]}, id="second-tuesday"),
        pytest.param({"type": "absoluteMonthly", "dayOfMonth": 31}, id="the-last-day"),
        pytest.param({"type": "lunar"}, id="unheard-of"),
    ],
)
def test_days_that_have_no_counterpart_are_refused(recurrence):
    day = START + timedelta(days=1)
    move = Move(before=START.replace(tzinfo=None), after=day.replace(tzinfo=None), zone=PARIS, new_zone=PARIS)
    with pytest.raises(SeriesUnmovable, match="recurrence"):
        shifted({"pattern": recurrence, "range": {"type": "noEnd"}}, move, span_at(day))


def test_a_day_has_no_hours():
    span = Span(date(2026, 3, 10), date(2026, 3, 11), "Europe/Paris")
    found = pattern_of(["RRULE:FREQ=WEEKLY;UNTIL=20260331"], span)
    assert found is not None
    assert found["range"]["endDate"] == "2026-03-31"


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("UTC", "UTC"),
        ("Etc/UTC", "UTC"),
        ("Europe/Paris", "Romance Standard Time"),
        ("Europe/Amsterdam", "W. Europe Standard Time"),
        ("America/Toronto", "Eastern Standard Time"),
        ("Australia/Melbourne", "AUS Eastern Standard Time"),
        ("Asia/Kolkata", "India Standard Time"),
        ("Asia/Kathmandu", "Nepal Standard Time"),
        ("Mars/Olympus", "Mars/Olympus"),
    ],
)
def test_outlooks_name_of_a_zone(name, windows):
    assert windows_name(name) == windows


@pytest.mark.parametrize(
    "name", ["Europe/Amsterdam", "America/Toronto", "Asia/Kolkata", "Africa/Johannesburg", "Asia/Seoul"]
)
def test_a_zone_by_outlooks_name_has_the_same_clocks(name):
    there = ZoneInfo(iana_name(windows_name(name)) or "")
    for month in range(1, 13):
        at = datetime(2027, month, 15, 12, tzinfo=UTC)
        assert at.astimezone(there).utcoffset() == at.astimezone(ZoneInfo(name)).utcoffset()
