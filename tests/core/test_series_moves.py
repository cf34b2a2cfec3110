"""Whole series moved: their lines as expected, every occurrence by as much, and what has no exact counterpart is refused."""

# ruff: noqa: DTZ001  (rules run on wall clocks)

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.recurrence_rules import Rule
from service.core.series_moves import Immovable, Move, moved_lines, moved_rule

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
TUESDAY = datetime(2026, 3, 10, 9)
HOURS, DAYS = timedelta(hours=1), timedelta(days=1)


def move(by: timedelta, start: datetime = TUESDAY, zone: ZoneInfo = BERLIN, new_zone: ZoneInfo | None = None) -> Move:
    return Move(before=start, after=start + by, zone=zone, new_zone=new_zone or zone)


@pytest.mark.parametrize(
    ("by", "rule", "expected"),
    [
        pytest.param(2 * HOURS, "FREQ=DAILY;UNTIL=20260313T080000Z", "FREQ=DAILY;UNTIL=20260313T100000Z", id="until"),
        pytest.param(2 * DAYS, "FREQ=DAILY;UNTIL=20260313T080000Z", "FREQ=DAILY;UNTIL=20260315T080000Z", id="until-day"),
        pytest.param(
            20 * DAYS, "FREQ=DAILY;UNTIL=20260313T080000Z", "FREQ=DAILY;UNTIL=20260402T070000Z", id="until-summer"
        ),
        pytest.param(2 * HOURS, "FREQ=DAILY;UNTIL=20260313", "FREQ=DAILY;UNTIL=20260313", id="until-a-day-stays"),
        pytest.param(16 * HOURS, "FREQ=DAILY;UNTIL=20260313", "FREQ=DAILY;UNTIL=20260314", id="until-a-day"),
        pytest.param(
            2 * HOURS, "FREQ=DAILY;UNTIL=20260313T090000", "FREQ=DAILY;UNTIL=20260313T110000", id="until-on-the-wall"
        ),
        pytest.param(
            2 * DAYS, "FREQ=DAILY;UNTIL=99991231T235959Z", "FREQ=DAILY;UNTIL=99991231T235959Z", id="until-the-end-of-time"
        ),
        pytest.param(DAYS, "FREQ=WEEKLY;COUNT=3", "FREQ=WEEKLY;COUNT=3", id="the-start-s-own-weekday"),
        pytest.param(DAYS, "FREQ=WEEKLY;BYDAY=SU;COUNT=3", "FREQ=WEEKLY;BYDAY=MO;COUNT=3", id="weekday"),
        pytest.param(-3 * DAYS, "FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=WEEKLY;BYDAY=MO,SA", id="weekdays-back"),
        pytest.param(7 * DAYS, "FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=WEEKLY;BYDAY=TU,TH", id="a-week"),
        pytest.param(3 * HOURS, "FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=WEEKLY;BYDAY=TU,TH", id="within-a-day"),
        pytest.param(15 * HOURS, "FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=WEEKLY;BYDAY=WE,FR", id="past-midnight"),
        pytest.param(DAYS, "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "FREQ=DAILY;BYDAY=TU,WE,TH,FR,SA", id="workdays"),
        pytest.param(
            DAYS, "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;WKST=TU", id="every-second-week"
        ),
        pytest.param(
            DAYS,
            "FREQ=WEEKLY;WKST=SU;INTERVAL=2;BYDAY=TU,SU",
            "FREQ=WEEKLY;WKST=MO;INTERVAL=2;BYDAY=MO,WE",
            id="every-second-week-from-sunday",
        ),
        pytest.param(DAYS, "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=WE", id="one-day-of-two-weeks"),
        pytest.param(3 * DAYS, "FREQ=MONTHLY", "FREQ=MONTHLY", id="the-start-s-own-date"),
        pytest.param(3 * DAYS, "FREQ=MONTHLY;BYMONTHDAY=10,25", "FREQ=MONTHLY;BYMONTHDAY=13,28", id="dates"),
        pytest.param(-1 * DAYS, "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYMONTHDAY=-2", id="the-last-but-one"),
        pytest.param(
            DAYS, "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10", "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=11", id="a-day-of-the-year"
        ),
        pytest.param(
            30 * DAYS, "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10", "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=9", id="another-month"
        ),
        pytest.param(30 * DAYS, "FREQ=YEARLY", "FREQ=YEARLY", id="the-start-s-own-day-of-the-year"),
        pytest.param(2 * HOURS, "FREQ=MONTHLY;BYDAY=2TU", "FREQ=MONTHLY;BYDAY=2TU", id="second-tuesday-later"),
        pytest.param(
            2 * HOURS, "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1", "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1", id="setpos-later"
        ),
        pytest.param(2 * HOURS, "FREQ=DAILY;BYHOUR=9;BYMINUTE=0", "FREQ=DAILY;BYHOUR=11;BYMINUTE=0", id="its-hour"),
        pytest.param(DAYS, "FREQ=DAILY;BYHOUR=9,15", "FREQ=DAILY;BYHOUR=9,15", id="twice-a-day-on-another-day"),
        pytest.param(26 * HOURS, "FREQ=HOURLY;COUNT=3", "FREQ=HOURLY;COUNT=3", id="hourly"),
    ],
)  # fmt: skip
def test_a_rule_that_moves(by: timedelta, rule: str, expected: str) -> None:
    assert moved_rule(rule, move(by)) == expected


@pytest.mark.parametrize(
    ("by", "rule"),
    [
        pytest.param(DAYS, "FREQ=MONTHLY;BYDAY=2TU", id="second-tuesday"),
        pytest.param(DAYS, "FREQ=MONTHLY;BYDAY=TU", id="tuesdays-of-months"),
        pytest.param(DAYS, "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", id="last-workday"),
        pytest.param(DAYS, "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", id="friday-the-13th"),
        pytest.param(DAYS, "FREQ=MONTHLY;BYMONTHDAY=28", id="the-28th"),
        pytest.param(DAYS, "FREQ=MONTHLY;BYMONTHDAY=30", id="the-30th"),
        pytest.param(DAYS, "FREQ=MONTHLY;BYMONTHDAY=-1", id="the-last"),
        pytest.param(-10 * DAYS, "FREQ=MONTHLY", id="into-the-month-before"),
        pytest.param(30 * DAYS, "FREQ=MONTHLY", id="nearly-a-month"),
        pytest.param(-15 * DAYS, "FREQ=YEARLY;COUNT=9", id="across-a-leap-day"),
        pytest.param(DAYS, "FREQ=YEARLY;BYYEARDAY=100", id="day-of-year"),
        pytest.param(DAYS, "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", id="week-of-year"),
        pytest.param(DAYS, "FREQ=DAILY;BYMONTH=3", id="every-day-of-march"),
        pytest.param(2 * HOURS, "FREQ=DAILY;BYHOUR=9,15", id="twice-a-day"),
        pytest.param(2 * HOURS, "FREQ=HOURLY;BYHOUR=9,10", id="hours"),
        pytest.param(2 * HOURS, "FREQ=HOURLY;UNTIL=20260311", id="hourly-until-a-day"),
        pytest.param(2 * HOURS, "FREQ=SOMETIMES", id="nonsense"),
    ],
)
def test_what_has_no_exact_counterpart_is_refused(by: timedelta, rule: str) -> None:
    with pytest.raises(Immovable, match="recurrence"):
        moved_rule(rule, move(by))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("EXDATE:20260311T080000Z", "EXDATE:20260312T100000Z", id="in-utc"),
        pytest.param("EXDATE:20260311T090000", "EXDATE:20260312T110000", id="on-the-wall"),
        pytest.param("EXDATE;VALUE=DATE:20260311", "EXDATE;VALUE=DATE:20260312", id="a-day"),
        pytest.param(
            "RDATE;TZID=Europe/Berlin:20260311T090000,20260328T090000",
            "RDATE;TZID=Europe/Berlin:20260312T110000,20260329T110000",
            id="in-its-zone",
        ),
        pytest.param(
            "EXDATE;TZID=America/New_York:20260328T040000",
            "EXDATE;TZID=America/New_York:20260329T050000",
            id="in-another-zone-when-one-clock-goes-forward",
        ),
        pytest.param("EXRULE:FREQ=WEEKLY;BYDAY=WE", "EXRULE:FREQ=WEEKLY;BYDAY=TH", id="a-rule-of-exceptions"),
    ],
)
def test_dates_move_with_their_series(line: str, expected: str) -> None:
    assert moved_lines([line], move(DAYS + 2 * HOURS)) == [expected]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("RDATE;VALUE=PERIOD:20260311T080000Z/PT1H", id="with-a-length"),
        pytest.param("EXDATE;TZID=Mars/Olympus:20260311T080000", id="nobody-s-zone"),
        pytest.param("X-RULE:1", id="not-of-a-series"),
    ],
)
def test_lines_that_nobody_can_move(line: str) -> None:
    with pytest.raises(Immovable):
        moved_lines([line], move(DAYS))


def test_a_series_of_days() -> None:
    days = Move(
        before=datetime(2026, 3, 10), after=datetime(2026, 3, 12), zone=BERLIN, new_zone=BERLIN, is_all_day=True
    )
    lines = ["RRULE:FREQ=WEEKLY;BYDAY=TU;UNTIL=20260324", "EXDATE;VALUE=DATE:20260317"]
    assert moved_lines(lines, days) == ["RRULE:FREQ=WEEKLY;BYDAY=TH;UNTIL=20260326", "EXDATE;VALUE=DATE:20260319"]
    assert days.slot(date(2026, 3, 31)) == date(2026, 4, 2)


def test_another_zone_keeps_the_wall_clock() -> None:
    there = move(timedelta(0), new_zone=NEW_YORK)
    assert not there.is_none
    lines = ["RRULE:FREQ=DAILY;UNTIL=20260313T080000Z", "EXDATE:20260311T080000Z"]
    assert moved_lines(lines, there) == ["RRULE:FREQ=DAILY;UNTIL=20260313T130000Z", "EXDATE:20260311T130000Z"]


def test_what_does_not_move_is_left_as_it_is_written() -> None:
    lines = ["RRULE:freq=monthly;byday=2tu", "X-RULE:1"]
    assert moved_lines(lines, move(timedelta(0))) == lines


NAMES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SOME_DAYS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True).map(",".join)
RULES = st.one_of(
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "FREQ=HOURLY"]),
    st.tuples(SOME_DAYS, st.sampled_from(NAMES)).map(lambda both: f"FREQ=WEEKLY;BYDAY={both[0]};WKST={both[1]}"),
    SOME_DAYS.map(lambda days: f"FREQ=WEEKLY;BYDAY={days}"),
    SOME_DAYS.map(lambda days: f"FREQ=DAILY;BYDAY={days}"),
    st.tuples(st.integers(-31, 31).filter(bool), st.integers(1, 28)).map(
        lambda both: f"FREQ=MONTHLY;BYMONTHDAY={both[0]},{both[1]}"
    ),
    st.tuples(st.integers(1, 12), st.integers(1, 31)).map(lambda both: f"FREQ=YEARLY;BYMONTH={both[0]};BYMONTHDAY={both[1]}"),
    st.integers(1, 12).map(lambda month: f"FREQ=MONTHLY;BYMONTH={month},3"),
    st.tuples(st.sampled_from((1, 2, -1)), st.sampled_from(NAMES)).map(lambda both: f"FREQ=MONTHLY;BYDAY={both[0]}{both[1]}"),
)  # fmt: skip
ENDS = st.one_of(
    st.just(""),
    st.integers(1, 40).map(lambda count: f";COUNT={count}"),
    st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)).map(lambda at: f";UNTIL={at:%Y%m%dT%H%M%SZ}"),
    st.dates(date(2026, 1, 1), date(2029, 1, 1)).map(lambda at: f";UNTIL={at:%Y%m%d}"),
)


@given(
    rule=RULES,
    end=ENDS,
    interval=st.integers(1, 3),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    days=st.integers(-40, 40),
    minutes=st.sampled_from([0, 0, 30, -90, 900]),
)
@settings(derandomize=True, database=None, deadline=None, max_examples=400)
def test_every_occurrence_moves_by_as_much_or_none_does(rule, end, interval, start, days, minutes) -> None:
    by = timedelta(days=days, minutes=minutes)
    moving = Move(before=start, after=start + by, zone=UTC, new_zone=UTC)
    text = f"{rule};INTERVAL={interval}{end}"
    try:
        after = moved_rule(text, moving)
    except Immovable:
        return
    assert _starts(after, start + by) == [at + by for at in _starts(text, start)]


def _starts(text: str, start: datetime) -> list[datetime]:
    rule = Rule.read(text, start, UTC, is_all_day=False)
    return list(islice(rule.walls(start, start + timedelta(days=9 * 366)), 150))
