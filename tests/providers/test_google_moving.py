"""What becomes of a series' lines at Google, and of its occurrences that were deleted or moved by themselves."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from service.core.series_moves import Move
from service.errors import SeriesUnmovable, TransientFault
from service.providers.google.moving import moved_recurrence

PARIS = ZoneInfo("Europe/Paris")
DAILY = ["RRULE:FREQ=DAILY;COUNT=4"]


def move(by: timedelta, *, is_all_day: bool = False) -> Move:
    start = datetime(2026, 3, 3, 0 if is_all_day else 9)  # noqa: DTZ001 - on the wall clock
    return Move(before=start, after=start + by, zone=PARIS, new_zone=PARIS, is_all_day=is_all_day)


def at(day: int, hour: int = 9) -> dict[str, str]:
    return {"dateTime": f"2026-03-{day:02}T{hour:02}:00:00+01:00", "timeZone": "Europe/Paris"}


def row(slot: dict[str, str], status: str = "confirmed", start: dict[str, str] | None = None) -> bytes:
    shown: dict[str, Any] = {"status": status, "originalStartTime": slot}
    return msgspec.json.encode(shown if status == "cancelled" else shown | {"start": start or slot})


def test_what_was_deleted_is_said_to_be_away_where_it_would_come_back():
    rows = [row(at(3)), row(at(4), "cancelled"), row(at(5), start=at(5, 17)), row(at(6), "cancelled")]
    moved = moved_recurrence(DAILY, rows, move(timedelta(hours=2)))
    assert moved == [*DAILY, "EXDATE:20260304T100000Z", "EXDATE:20260306T100000Z"]


def test_days_that_were_deleted():
    rows = [row({"date": "2026-03-03"}), row({"date": "2026-03-10"}, "cancelled")]
    weekly = ["RRULE:FREQ=WEEKLY;COUNT=2"]
    assert moved_recurrence(weekly, rows, move(timedelta(days=2), is_all_day=True)) == [
        *weekly,
        "EXDATE;VALUE=DATE:20260312",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([row(at(3)), row(at(4), "cancelled")], id="onto-a-deleted-one"),
        pytest.param([row(at(3)), row(at(4), start=at(4, 17))], id="onto-one-that-is-held-later"),
    ],
)
def test_no_occurrence_is_taken_over_by_what_was_said_of_another(rows: list[bytes]):
    with pytest.raises(SeriesUnmovable, match="recurrence"):
        moved_recurrence(DAILY, rows, move(timedelta(days=1)))


def test_a_deleted_one_that_moves_onto_a_deleted_one_stays_away_by_itself():
    rows = [row(at(3)), row(at(5), "cancelled"), row(at(6), "cancelled")]
    assert moved_recurrence(DAILY, rows, move(timedelta(days=1))) == [*DAILY, "EXDATE:20260307T080000Z"]


@pytest.mark.parametrize(
    "raw", [b"[]", b'{"originalStartTime":{"dateTime":"soon"}}', row({"dateTime": "2026-03-03T09:00"})]
)
def test_an_occurrence_that_cannot_be_read_is_a_bad_moment(raw: bytes):
    with pytest.raises(TransientFault):
        moved_recurrence(DAILY, [raw], move(timedelta(days=1)))
