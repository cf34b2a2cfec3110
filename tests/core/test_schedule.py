"""Windows, polls, pauses, renewals and storms, at their edges."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.schedule import (
    DAILY_REQUESTS,
    Window,
    back_off,
    channel_renewal,
    due_after_push,
    next_poll,
    poll_interval,
    promise,
    retry_soon,
    throttle_pause,
    window_at,
    window_stretch,
)

NOW = datetime(2026, 3, 2, 9, 41, 12, 345, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "expected"),
    [
        pytest.param(START, START + HOUR, True, id="at the start"),
        pytest.param(START - HOUR, START, False, id="ends as it starts"),
        pytest.param(START - HOUR, START + SECOND, True, id="reaches into it"),
        pytest.param(START, START, False, id="an instant at the start"),
        pytest.param(START + SECOND, START + SECOND, True, id="an instant inside"),
        pytest.param(END, END, False, id="an instant at the end"),
        pytest.param(END - SECOND, END + HOUR, True, id="reaches out of it"),
        pytest.param(END, END + HOUR, False, id="starts as it ends"),
        pytest.param(START - HOUR, END + HOUR, True, id="all of it"),
    ],
)
def test_both_bounds_are_exclusive(starts_at: datetime, ends_at: datetime, expected: bool) -> None:
    assert Window(START, END).overlaps(starts_at, ends_at) is expected


@pytest.mark.parametrize("days", [1, 30, 365])
def test_the_window_is_yesterday_to_the_horizon_on_whole_hours(days: int) -> None:
    window = window_at(NOW, days)

    hour = datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert (window.start, window.end) == (hour - timedelta(days=1), hour + timedelta(days=days))


@pytest.mark.parametrize(
    ("listed_until", "expected"),
    [
        pytest.param(window_at(NOW, 30).end, None, id="all of it is listed"),
        pytest.param(window_at(NOW, 40).end, None, id="more than it is listed"),
        pytest.param(window_at(NOW, 30).end - MINUTE, None, id="a minute is not worth a call"),
        pytest.param(window_at(NOW, 30).end - HOUR, 2 * HOUR, id="an hour, and one of overlap"),
        pytest.param(window_at(NOW, 20).end, timedelta(days=10, hours=1), id="a longer horizon"),
    ],
)
def test_the_stretch_is_what_was_never_listed(listed_until: datetime, expected: timedelta | None) -> None:
    stretch = window_stretch(listed_until, NOW, 30)

    assert (stretch and stretch.end - stretch.start) == expected
    assert stretch is None or (stretch.start < listed_until and stretch.end == window_at(NOW, 30).end)


@pytest.mark.parametrize(
    ("pushed", "until_meeting", "expected"),
    [
        pytest.param(True, None, HOUR, id="pushed"),
        pytest.param(True, MINUTE, HOUR, id="pushed and near"),
        pytest.param(False, None, 4 * MINUTE, id="nothing on"),
        pytest.param(False, timedelta(hours=25), 4 * MINUTE, id="tomorrow"),
        pytest.param(False, timedelta(hours=24), 2 * MINUTE, id="today"),
        pytest.param(False, timedelta(minutes=31), 2 * MINUTE, id="in a while"),
        pytest.param(False, timedelta(minutes=30), MINUTE, id="near"),
        pytest.param(False, timedelta(0), MINUTE, id="now"),
    ],
)
def test_a_poll_comes_sooner_when_a_meeting_is_near(
    pushed: bool, until_meeting: timedelta | None, expected: timedelta
) -> None:
    found = poll_interval(2 * MINUTE, pushed=pushed, until_next_meeting=until_meeting, sharers=1)

    assert found == expected


@pytest.mark.parametrize("calendars", [556, 5_000, 90_000])
def test_polls_of_a_client_stay_below_its_day(calendars: int) -> None:
    interval = poll_interval(2 * MINUTE, pushed=False, until_next_meeting=MINUTE, sharers=calendars)

    # The jitter of a poll is even on both sides, so that the mean is the interval.
    assert calendars * (timedelta(days=1) / interval) <= DAILY_REQUESTS * 0.8
    assert interval > MINUTE


def test_polls_are_spread_by_a_tenth_to_both_sides() -> None:
    assert next_poll(NOW, HOUR, 0.0) == NOW + 54 * MINUTE
    assert next_poll(NOW, HOUR, 0.5) == NOW + 60 * MINUTE
    assert NOW + 65 * MINUTE < next_poll(NOW, HOUR, 0.999) < NOW + 66 * MINUTE


@pytest.mark.parametrize(
    ("pause", "lowest", "highest"),
    [
        pytest.param(lambda jitter: retry_soon(1, jitter), 3.75, 6.25, id="first failure"),
        pytest.param(lambda jitter: retry_soon(2, jitter), 15, 25, id="second failure"),
        pytest.param(lambda jitter: retry_soon(50, jitter), 45, 75, id="bounded"),
        pytest.param(lambda jitter: back_off(0, jitter), 5, 60, id="error"),
        pytest.param(lambda jitter: back_off(-3, jitter), 5, 60, id="never below nothing"),
        pytest.param(lambda jitter: back_off(3, jitter), 5, 480, id="third doubling"),
        pytest.param(lambda jitter: back_off(10_000, jitter), 5, 3600, id="an hour at most"),
        pytest.param(lambda jitter: throttle_pause(0, jitter), 15, 30, id="throttled"),
        pytest.param(lambda jitter: throttle_pause(2, jitter), 60, 120, id="throttled again"),
        pytest.param(lambda jitter: throttle_pause(10_000, jitter), 1800, 3600, id="throttled for long"),
    ],
)
def test_pauses_stay_in_their_bounds(pause: object, lowest: float, highest: float) -> None:
    found = [pause(step / 1000).total_seconds() for step in range(1000)]  # type: ignore[operator]

    assert min(found) == pytest.approx(lowest)
    assert highest * 0.99 < max(found) <= highest


@pytest.mark.parametrize("life", [timedelta(days=7), HOUR, timedelta(minutes=2)])
def test_a_channel_is_followed_up_while_it_still_delivers(life: timedelta) -> None:
    for jitter in (0.0, 0.5, 0.999):
        renewal = channel_renewal(NOW, NOW + life, jitter)
        assert 0.75 * life <= renewal - NOW < 0.85 * life


@pytest.mark.parametrize(
    ("last_attempt", "recent", "since", "expected"),
    [
        pytest.param(None, 1, NOW, timedelta(0), id="never read"),
        pytest.param(NOW - MINUTE, 1, NOW, timedelta(0), id="at once"),
        pytest.param(NOW - SECOND / 4, 1, NOW, 3 * SECOND / 4, id="a second after the last read"),
        pytest.param(NOW - MINUTE, 5, NOW - SECOND, timedelta(0), id="five are no storm"),
        pytest.param(NOW - MINUTE, 6, NOW - SECOND, 3 * SECOND, id="a storm waits for quiet"),
        pytest.param(NOW - MINUTE, 6_000, NOW - 29 * SECOND, SECOND, id="but not for ever"),
    ],
)
def test_a_storm_of_notices_is_one_read(
    last_attempt: datetime | None, recent: int, since: datetime, expected: timedelta
) -> None:
    assert due_after_push(NOW, last_attempt_at=last_attempt, recent=recent, storm_since=since) == NOW + expected


@pytest.mark.parametrize(
    ("interval", "promised"),
    [
        pytest.param(2 * MINUTE, 15 * MINUTE, id="polled"),
        pytest.param(5 * MINUTE, 15 * MINUTE, id="three intervals"),
        pytest.param(HOUR, 3 * HOUR, id="pushed, or a client that affords no more"),
        pytest.param(24 * HOUR, 72 * HOUR, id="a feed that is made once a day"),
    ],
)
def test_a_calendar_is_promised_to_be_verified_in_time(interval, promised):
    assert promise(interval) == promised
