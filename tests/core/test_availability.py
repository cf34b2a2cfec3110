"""Free time out of busy time: buffers, working hours, days when clocks change, and pairs that overlap."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from service.core.availability import (
    Busy,
    Free,
    PairPlace,
    Source,
    day_window,
    free_time,
    merged,
    overlaps,
    read_hours,
    working_time,
)
from service.core.schedule import Window

MONDAY = date(2026, 3, 2)


def at(hour: float, day: int = 2) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC) + timedelta(hours=hour)


def busy(*pairs: tuple[float, float]) -> list[Busy]:
    return [Busy(starts_at=at(a), ends_at=at(b), calendar_id="one") for a, b in pairs]


def told(found: list[Free]) -> list[tuple[float, float]]:
    midnight = at(0)
    hour = timedelta(hours=1)
    return [((each.starts_at - midnight) / hour, (each.ends_at - midnight) / hour) for each in found]


@pytest.mark.parametrize(
    ("taken", "options", "expected"),
    [
        pytest.param([], {}, [(8, 18)], id="nothing-is-taken"),
        pytest.param([(9, 10)], {}, [(8, 9), (10, 18)], id="one"),
        pytest.param([(7, 9), (17, 20)], {}, [(9, 17)], id="over-the-edges"),
        pytest.param([(7, 20)], {}, [], id="all-of-it"),
        pytest.param([(9, 11), (10, 12), (12, 13)], {}, [(8, 9), (13, 18)], id="overlapping-and-touching"),
        pytest.param([(10, 9)], {}, [(8, 18)], id="ends-before-it-begins"),
        pytest.param([(10, 10)], {}, [(8, 18)], id="an-instant"),
        pytest.param([(9, 10)], {"buffer": 15}, [(8, 8.75), (10.25, 18)], id="with-a-buffer"),
        pytest.param([(18, 19)], {"buffer": 30}, [(8, 17.5)], id="the-buffer-of-what-begins-at-the-end"),
        pytest.param([(9, 10), (10.25, 12)], {"shortest": 30}, [(8, 9), (12, 18)], id="too-short-a-gap"),
        pytest.param([(8.5, 18)], {"shortest": 30}, [(8, 8.5)], id="just-long-enough"),
    ],
)
def test_what_is_free(taken: list[tuple[float, float]], options: dict[str, int], expected: list[tuple[float, float]]):
    minutes = {name: timedelta(minutes=value) for name, value in options.items()}
    assert told(free_time(busy(*taken), Window(at(8), at(18)), **minutes)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "09:00-17:00", [(9, 17), (33, 41), (57, 65), (81, 89), (105, 113), (129, 137), (153, 161)], id="all"
        ),
        pytest.param("mon-tue 09:00-12:30", [(9, 12.5), (33, 36.5)], id="some-days"),
        pytest.param("mon 09:00-12:00,mon 13:00-17:00", [(9, 12), (13, 17)], id="a-break"),
        pytest.param("mon 09:00-12:00,mon 12:00-17:00", [(9, 17)], id="without-a-break"),
        pytest.param("sat-mon 10:00-11:00", [(10, 11), (130, 131), (154, 155)], id="round-the-weekend"),
        pytest.param("mon 20:00-24:00,tue 00:00-02:00", [(20, 26)], id="past-midnight"),
    ],
)
def test_working_hours(text: str, expected: list[tuple[float, float]]):
    week = Window(at(0), at(0) + timedelta(days=7))
    assert told(working_time(read_hours(text), week, ZoneInfo("UTC"))) == expected


@pytest.mark.parametrize(
    "text", ["", "9-17", "17:00-09:00", "09:00-09:00", "foo 09:00-17:00", "09:00-25:00", "09:61-10:00", "09:00-17:00,"]
)
def test_hours_that_are_none(text: str):
    with pytest.raises(ValueError, match=r"."):
        read_hours(text)


@pytest.mark.parametrize(
    ("day", "starts", "length"),
    [
        pytest.param(date(2026, 3, 29), "2026-03-29T07:00:00+00:00", 8, id="the-day-when-clocks-go-forward"),
        pytest.param(date(2026, 3, 28), "2026-03-28T08:00:00+00:00", 8, id="the-day-before"),
        pytest.param(date(2026, 10, 25), "2026-10-25T08:00:00+00:00", 8, id="the-day-when-they-go-back"),
    ],
)
def test_working_hours_are_the_wall_clocks(day: date, starts: str, length: int):
    zone = ZoneInfo("Europe/Berlin")
    (found,) = working_time(read_hours("09:00-17:00"), day_window(day, zone), zone)
    assert found.starts_at.isoformat() == starts
    assert found.ends_at - found.starts_at == timedelta(hours=length)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (MONDAY, 24)])
def test_a_day_lasts_as_long_as_the_zone_says(day: date, hours: int):
    window = day_window(day, ZoneInfo("Europe/Berlin"))
    assert window.end - window.start == timedelta(hours=hours)


def test_a_night_of_work_when_clocks_go_forward_is_an_hour_shorter():
    zone = ZoneInfo("Europe/Berlin")
    (found,) = working_time(read_hours("sun 00:00-08:00"), day_window(date(2026, 3, 29), zone), zone)
    assert found.ends_at - found.starts_at == timedelta(hours=7)


def test_stretches_that_touch_are_one():
    found = merged([Free(starts_at=at(2), ends_at=at(3)), Free(starts_at=at(1), ends_at=at(2))])
    assert told(found) == [(1, 3)]


def source(position: int, start: float, end: float, key: str | None = None) -> Source:
    key = key or str(position)
    return Source(starts_at=at(start), ends_at=at(end), meeting_key=key, event_id=UUID(int=position))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([source(1, 1, 2), source(2, 2, 3)], [], id="touching"),
        pytest.param([source(1, 1, 3), source(2, 2, 4)], [(1, 2)], id="overlapping"),
        pytest.param([source(1, 1, 3, "m"), source(2, 1, 3, "m")], [], id="copies-of-one-meeting"),
        pytest.param([source(1, 1, 9), source(2, 2, 3), source(3, 2.5, 4)], [(1, 2), (1, 3), (2, 3)], id="three"),
        pytest.param([source(3, 5, 6), source(1, 1, 9)], [(1, 3)], id="unsorted"),
    ],
)
def test_pairs_that_overlap(events: list[Source], expected: list[tuple[int, int]]):
    assert [(a.event_id.int, b.event_id.int) for a, b in overlaps(events)] == expected


def test_of_many_pairs_so_many_are_told():
    everything = [source(number, 1, 2) for number in range(100)]
    assert len(overlaps(everything, 50)) == 50


@pytest.mark.parametrize("size", [1, 3, 7])
def test_pages_of_pairs_hold_each_once(size: int):
    everything = [source(number, number % 5, number % 5 + 1.5) for number in range(12)]
    whole = overlaps(everything)
    found, after = [], None
    while page := overlaps(everything, size, after):
        found += page
        first, second = page[-1]
        after = PairPlace(second.place, first.place)
    assert found == whole
    assert len(whole) > 20
