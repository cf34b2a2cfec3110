"""Where Google's deltas mislead: the store is right all the same, and no false news is told (guides/sync, and reports)."""

from datetime import timedelta
from typing import Any

import pytest
from flows.stage import Stage

from service.core.schedule import window_at

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


def series(stage: Stage, rule: str, *, days: int = 1, **more: Any) -> dict[str, Any]:
    start = stage.clock() + timedelta(days=days)
    return {
        "summary": "Weekly",
        "start": {"dateTime": start.isoformat(), "timeZone": "UTC"},
        "end": {"dateTime": (start + timedelta(hours=1)).isoformat(), "timeZone": "UTC"},
        "recurrence": [f"RRULE:{rule}"],
        **more,
    }


def end_series(stage: Stage, event: dict[str, Any]) -> None:
    stage.world.cancel_event(ADA, event["id"])


def cut_short(stage: Stage, event: dict[str, Any]) -> None:
    stage.world.edit_event(ADA, event["id"], {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]})


def leave_one(stage: Stage, event: dict[str, Any]) -> None:
    stage.world.edit_event(ADA, event["id"], {"recurrence": ["RRULE:FREQ=DAILY;COUNT=1"]})


def turn_single(stage: Stage, event: dict[str, Any]) -> None:
    stage.world.edit_event(ADA, event["id"], {"recurrence": None})


def move_all(stage: Stage, event: dict[str, Any]) -> None:
    stage.world.move_event(ADA, event["id"], by_minutes=45)


def split(stage: Stage, event: dict[str, Any]) -> None:
    rows = [row["id"] for row in stage.world.read_truth(ADA) if row.get("recurringEventId") == event["id"]]
    stage.world.split_series(ADA, rows[7], {"summary": "After"})


def cancel_one(stage: Stage, event: dict[str, Any]) -> None:
    rows = [row["id"] for row in stage.world.read_truth(ADA) if row.get("recurringEventId") == event["id"]]
    stage.world.cancel_event(ADA, rows[9])


SERIES_EDITS = [
    pytest.param(edit, id=edit.__name__)
    for edit in (end_series, cut_short, leave_one, turn_single, move_all, split, cancel_one)
]


@pytest.mark.parametrize("edit", SERIES_EDITS)
@pytest.mark.parametrize("master_row", [False, True], ids=["no master row", "master row"])
@pytest.mark.parametrize("tombstones", [2, 31])
async def test_a_series_is_reconciled_as_a_set(stage: Stage, edit: Any, tombstones: int, master_row: bool) -> None:
    stage.world.set(tombstone_days=tombstones, series_years=0.5, cancelled_master_row=master_row)
    calendar_id = await stage.connect()
    event = stage.world.add_event(ADA, series(stage, "FREQ=DAILY;COUNT=40"))
    await stage.sync()
    assert len(await stage.stored(calendar_id)) == 29
    edit(stage, event)

    await stage.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_single_event_that_becomes_a_series_is_no_longer_single(stage: Stage) -> None:
    calendar_id = await stage.connect()
    event = stage.world.add_meeting(ADA, "once", in_minutes=60)
    await stage.sync()
    stage.world.edit_event(ADA, event["id"], {"recurrence": ["RRULE:FREQ=DAILY;COUNT=4"]})

    await stage.sync_again(calendar_id)

    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert len(await stage.stored(calendar_id)) == 4


@pytest.mark.parametrize("count", [1, 4])
async def test_a_single_event_that_becomes_a_series_without_a_tombstone_goes(stage: Stage, count: int) -> None:
    calendar_id = await stage.connect()
    event = stage.world.add_meeting(ADA, "once", in_minutes=60)
    await stage.sync()
    stage.world.edit_event(ADA, event["id"], {"recurrence": [f"RRULE:FREQ=DAILY;COUNT={count}"]})
    stage.world.calendars[ADA].ghosts.clear()

    await stage.sync_again(calendar_id)

    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_series_that_cannot_be_listed_as_a_set_is_listed_with_everything(stage: Stage) -> None:
    calendar_id = await stage.connect()
    event = stage.world.add_event(ADA, series(stage, "FREQ=DAILY;COUNT=9"))
    await stage.sync()
    stage.world.edit_event(ADA, event["id"], {"recurrence": ["RRULE:FREQ=DAILY;COUNT=4"]})
    stage.world.add_fault("required_400", endpoint="events.instances")

    await stage.sync_again(calendar_id)

    assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_an_instant_on_the_edge_of_the_window_enters_with_it(stage: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    edge = window_at(stage.clock(), 30).end.isoformat()
    moment = {"dateTime": edge, "timeZone": "UTC"}
    stage.world.add_event(ADA, {"summary": "Now!", "start": moment, "end": moment})
    await stage.sync_again(calendar_id)
    stage.clock.advance(hours=3)

    await stage.sync_again(calendar_id)

    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert [change.cause for change in await stage.changes()] == ["window"]


async def test_an_instant_on_the_past_edge_of_the_window_is_not_said_to_be_gone(stage: Stage) -> None:
    calendar_id = await stage.connect()
    edge = (window_at(stage.clock(), 30).start + timedelta(hours=5)).isoformat()
    moment = {"dateTime": edge, "timeZone": "UTC"}
    stage.world.add_event(ADA, {"summary": "Now!", "start": moment, "end": moment})
    await stage.sync()
    stage.clock.advance(hours=5)
    stage.world.invalidate_sync_tokens(ADA)

    await stage.sync_again(calendar_id)

    assert [change.kind for change in await stage.changes()] == ["created"]
