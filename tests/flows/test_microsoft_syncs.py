"""Microsoft's main job: deltas without tombstones, notices that come before their change, windows that are used up."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from flows.stage import Stage
from uuid_utils.compat import uuid7

from service.errors import GatewayError
from service.flows import connect

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("provider", ["microsoft"])]
ADA, BOB = "ada@contoso.example", "bob@contoso.example"


def weekly(stage: Stage, title: str, *, count: int = 4, **more: Any) -> dict[str, Any]:
    start = stage.clock() + timedelta(hours=1)
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": [f"{start:%A}".lower()]}
    span = {"type": "numbered", "numberOfOccurrences": count, "startDate": f"{start:%F}"}
    return stage.world.add_meeting(ADA, title, in_minutes=60, recurrence={"pattern": pattern, "range": span}, **more)


def occurrence(stage: Stage, number: int) -> str:
    rows = sorted(stage.world.read_truth(ADA), key=lambda row: row["start"]["dateTime"])
    return [row["id"] for row in rows if row["seriesMasterId"]][number]


async def agrees(stage: Stage, calendar_id: UUID, email: str = ADA) -> bool:
    return await stage.stored(calendar_id) == stage.truth(email)


async def test_connected_synced_changed_and_asked_for(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.subscribe()
    for minutes in (30, 90, 600):
        stage.world.add_meeting(ADA, f"in {minutes}", in_minutes=minutes)
    row = await stage.calendar(calendar_id)
    assert (row.status, row.email, row.provider) == ("syncing", ADA, "microsoft")

    await stage.sync()

    assert (await stage.calendar(calendar_id)).status == "active"
    assert await agrees(stage, calendar_id)
    assert [kind for kind, _ in await stage.messages()] == ["calendar.active", "calendar.sync_events"]
    assert [meeting.title for meeting in await stage.meetings()] == ["in 30", "in 90", "in 600"]
    assert {meeting.platform for meeting in await stage.meetings()} == {"microsoft_teams"}


async def test_an_unchanged_calendar_costs_one_call_and_says_nothing(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    stage.world.add_meeting(ADA, "a")
    weekly(stage, "b")
    await stage.sync()
    seq = await stage.last_seq()
    stage.world.reset_counters()

    await stage.sync_again(calendar_id)

    assert stage.world.read_counters()["total"] == 1
    assert await stage.last_seq() == seq


async def test_each_edit_is_told_with_old_and_new(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.subscribe("event.*")
    event = stage.world.add_meeting(ADA, "a")
    await stage.sync()
    stage.world.edit_event(ADA, event["id"], {"subject": "b"})
    await stage.sync_again(calendar_id)
    stage.world.move_event(ADA, event["id"], by_minutes=15)
    await stage.sync_again(calendar_id)
    stage.world.cancel_event(ADA, event["id"])
    await stage.sync_again(calendar_id)

    told = await stage.messages()
    assert [kind for kind, _ in told] == ["event.updated", "event.updated", "event.cancelled"]
    assert told[0][1]["fields"] == {"title": {"old": "a", "new": "b"}}
    assert [data["action"] for _, data in told] == ["none", "move", "cancel"]


async def test_a_touched_series_says_only_what_changed(stage: Stage) -> None:
    """The first listing merges occurrences from the master, a later one reads them whole: both are the same event."""
    calendar_id = await stage.connect(ADA)
    weekly(stage, "a", attendees=[BOB])
    stage.world.add_account(BOB)
    await stage.sync()
    await stage.subscribe("event.*")
    stage.world.edit_event(ADA, occurrence(stage, 1), {"subject": "b"})

    await stage.sync_again(calendar_id)

    told = [(kind, data["fields"]) for kind, data in await stage.messages()]
    assert told == [("event.updated", {"title": {"old": "a", "new": "b"}})]
    assert await agrees(stage, calendar_id)


async def test_a_cancelled_occurrence_has_no_tombstone_and_is_gone(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    weekly(stage, "a")
    await stage.sync()
    await stage.subscribe("event.*")
    gone = occurrence(stage, 2)
    stage.world.cancel_occurrence(ADA, gone)

    await stage.sync_again(calendar_id)

    told = await stage.messages()
    assert [(kind, data["event"]["provider_event_id"]) for kind, data in told] == [("event.cancelled", gone)]
    assert await agrees(stage, calendar_id)


async def test_a_deleted_series_takes_its_occurrences_along(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    series = weekly(stage, "a")
    stage.world.add_meeting(ADA, "b")
    await stage.sync()
    stage.world.edit_event(ADA, occurrence(stage, 1), {"subject": "an exception"})
    await stage.sync_again(calendar_id)
    stage.world.delete_event(ADA, series["id"])

    await stage.sync_again(calendar_id)

    assert [event.title for event in await stage.events(calendar_id)] == ["b"]


@pytest.mark.parametrize("status", ["single to series", "series to single"])
async def test_an_event_becomes_a_series_and_back(stage: Stage, status: str) -> None:
    calendar_id = await stage.connect(ADA)
    series = weekly(stage, "a")
    recurrence = series["recurrence"]
    if status == "single to series":
        stage.world.edit_event(ADA, series["id"], {"recurrence": None})
    await stage.sync()
    wanted = recurrence if status == "single to series" else None
    stage.world.edit_event(ADA, series["id"], {"recurrence": wanted})

    await stage.sync_again(calendar_id)

    assert len(await stage.events(calendar_id)) == (4 if wanted else 1)
    assert await agrees(stage, calendar_id)


async def test_what_its_organizer_has_cancelled_is_cancelled_although_it_stays(stage: Stage) -> None:
    bob = await stage.connect(BOB)
    stage.world.add_account(ADA)
    single = stage.world.add_meeting(ADA, "single", attendees=[BOB])
    series = weekly(stage, "series", attendees=[BOB])
    await stage.sync()
    assert len(await stage.events(bob)) == 5
    stage.world.cancel_event(ADA, single["id"])
    await stage.sync_again(bob)
    assert len(await stage.events(bob)) == 4
    stage.world.cancel_event(ADA, series["id"])
    await stage.sync_again(bob)
    assert await stage.events(bob) == []
    # In a listing the occurrences come sparse, and only their master says that they are off.
    await stage.resync(bob, full=True)
    await stage.sync()
    assert await stage.events(bob) == []


async def test_a_lost_delta_costs_one_listing_and_says_nothing(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    stage.world.add_meeting(ADA, "a")
    weekly(stage, "b")
    await stage.sync()
    seq = await stage.last_seq()
    for status in (410, 400, 404):
        stage.world.set(sync_state_status=status)
        stage.world.expire_delta_links()
        await stage.sync_again(calendar_id)
        assert (await stage.calendar(calendar_id)).status == "active"
    assert await stage.last_seq() == seq


async def test_a_delta_whose_window_is_used_up_begins_anew_and_finds_what_was_lost(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    kept = weekly(stage, "a", count=30)
    await stage.sync()
    for _ in range(10):
        stage.clock.advance(days=1)
        await stage.sync_again(calendar_id)
        assert await agrees(stage, calendar_id)
    calls = stage.world.read_calls("calendarView.delta")
    windows = [call["query"]["startDateTime"] for call in calls if "startDateTime" in call["query"]]
    assert len(windows) == 2, "one listing at first, and one after a week"
    assert {event.series_id for event in await stage.events(calendar_id)} == {kept["id"]}
    assert [change.kind for change in await stage.changes() if change.kind == "cancelled"] == []


async def test_the_listing_after_a_week_sweeps_what_no_delta_has_told_of(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    stage.world.add_meeting(ADA, "lost", in_minutes=60 * 24 * 20)
    stage.world.add_meeting(ADA, "kept", in_minutes=60 * 24 * 21)
    await stage.sync()
    records = stage.world.find_calendar(ADA).records
    del records[next(key for key, record in records.items() if record.body["subject"] == "lost")]
    await stage.sync_again(calendar_id)
    assert len(await stage.events(calendar_id)) == 2
    stage.clock.advance(days=8)
    for _ in range(2):
        await stage.sync_again(calendar_id)

    assert [event.title for event in await stage.events(calendar_id)] == ["kept"]


async def test_pages_that_never_end_are_left_for_plain_views(stage: Stage) -> None:
    stage.world.add_account(ADA)
    stage.world.add_meeting(ADA, "a")
    weekly(stage, "b")
    stage.world.add_fault("looping_next_link", endpoint="calendarView.delta", times=None)
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    assert await agrees(stage, calendar_id)
    stage.world.cancel_occurrence(ADA, occurrence(stage, 1))
    stage.world.reset_counters()

    await stage.sync_again(calendar_id)

    assert await agrees(stage, calendar_id)
    assert stage.world.read_counters().keys() == {"calendarView.list", "total"}


async def test_rows_that_repeat_masters_that_come_last_and_removals_of_strangers(stage: Stage) -> None:
    stage.world.set(repeat_rows=True, masters_last=True, stray_removals=True, empty_pages=3, largest_page=3)
    calendar_id = await stage.connect(ADA)
    for number in range(6):
        stage.world.add_meeting(ADA, f"{number}", in_minutes=60 * number)
    weekly(stage, "b")
    far = stage.world.add_meeting(ADA, "far", in_minutes=60 * 24 * 300)
    await stage.sync()
    assert await agrees(stage, calendar_id)
    stage.world.delete_event(ADA, far["id"])
    stage.world.edit_event(ADA, occurrence(stage, 3), {"subject": "c"})
    await stage.sync_again(calendar_id)
    assert await agrees(stage, calendar_id)


async def test_ids_that_differ_by_case_are_two_events(stage: Stage) -> None:
    stage.world.set(case_twins=True)
    calendar_id = await stage.connect(ADA)
    for number in range(4):
        stage.world.add_meeting(ADA, f"{number}", teams=False)
    await stage.sync()
    assert len({event.provider_event_id.lower() for event in await stage.events(calendar_id)}) == 2
    assert await agrees(stage, calendar_id)


async def test_who_looked_first_can_connect_although_the_token_given_is_dead_by_then(stage: Stage) -> None:
    stage.world.set(rotation="strict")
    given = stage.cast.credentials(stage.world.connect(ADA))

    for _ in range(2):
        assert [each.is_primary for each in await connect.look(stage.gateway, given)].count(True) == 1
    row, created = await connect.add(stage.gateway, stage.project, connect.NewCalendar(credentials=given), uuid7())
    await stage.sync()

    assert created
    assert (await stage.calendar(row.id)).status == "active"


async def test_another_secret_of_the_client_never_comes_by_the_new_token(stage: Stage) -> None:
    stage.world.set(rotation="strict")
    given = stage.cast.credentials(stage.world.connect(ADA))
    await connect.look(stage.gateway, given)

    with pytest.raises(GatewayError) as refused:
        await connect.look(stage.gateway, msgspec.structs.replace(given, client_secret="wrong"))

    assert refused.value.code == "client_rejected"
