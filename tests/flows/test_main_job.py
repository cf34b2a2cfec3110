"""The main job: what the provider has is in the store, and every difference is news once."""

import pytest
from flows.stage import Stage

from service.store import calendars

pytestmark = pytest.mark.anyio


async def test_first_sync_makes_the_store_equal_and_says_so_once(stage: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.subscribe()
    for minutes in (30, 90, 600):
        stage.world.add_meeting("ada@example.com", f"in {minutes}", in_minutes=minutes)
    assert (await stage.calendar(calendar_id)).status == "syncing"

    await stage.sync()

    row = await stage.calendar(calendar_id)
    assert row.status == "active"
    assert row.lease is None
    assert await stage.stored(calendar_id) == stage.truth("ada@example.com")
    told = await stage.messages()
    assert [kind for kind, _ in told] == ["calendar.active", "calendar.sync_events"]
    assert told[1][1]["initial"] is True
    assert told[1][1]["counts"] == {"created": 3, "updated": 0, "cancelled": 0}
    assert [change.cause for change in await stage.changes()] == ["initial"] * 3
    assert [meeting.title for meeting in await stage.meetings()] == ["in 30", "in 90", "in 600"]


async def test_an_unchanged_calendar_costs_one_call_and_says_nothing(stage: Stage) -> None:
    calendar_id = await stage.connect()
    stage.world.add_meeting("ada@example.com", "a")
    await stage.sync()
    seq = await stage.last_seq()
    stage.world.reset_counters()

    await stage.sync_again(calendar_id)

    assert stage.world.read_counters()["total"] == 1
    assert await stage.last_seq() == seq


async def test_each_edit_is_told_with_old_and_new(stage: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.subscribe("event.*")
    event = stage.world.add_meeting("ada@example.com", "a")
    await stage.sync()
    stage.world.edit_event("ada@example.com", event["id"], {"summary": "b"})
    await stage.sync_again(calendar_id)
    stage.world.move_event("ada@example.com", event["id"], by_minutes=15)
    await stage.sync_again(calendar_id)
    stage.world.cancel_event("ada@example.com", event["id"])
    await stage.sync_again(calendar_id)

    told = await stage.messages()
    assert [kind for kind, _ in told] == ["event.updated", "event.updated", "event.cancelled"]
    assert told[0][1]["fields"] == {"title": {"old": "a", "new": "b"}}
    assert [data["action"] for _, data in told] == ["none", "move", "cancel"]
    assert [data["seq"] for _, data in told] == [2, 3, 4]
    assert await stage.meetings() == []


async def test_one_accounts_pause_is_not_anothers_who_shares_the_client(stage: Stage) -> None:
    ann, bob = await stage.connect("ann@example.com"), await stage.connect("bob@example.com")
    await stage.sync()
    stage.world.add_fault("quota_403", endpoint="events.list", account="ann@example.com", times=1)
    for _ in range(3):
        async with stage.gateway.database.write() as conn:
            await calendars.make_due(conn, ann, stage.clock(), "resync", full=True)
        await stage.sync()
        stage.clock.advance(seconds=1)

    await stage.sync_again(bob)
    carol = await stage.connect("carol@example.com")
    await stage.sync()

    assert (await stage.calendar(ann)).rate_limited_until is not None
    for calendar in (bob, carol):
        row = await stage.calendar(calendar)
        assert (row.status, row.rate_limited_until) == ("active", None)
        assert row.last_synced_at == stage.clock()


async def test_a_calendar_whose_owner_declined_is_not_where_the_meeting_is(stage: Stage) -> None:
    ann, cyd = await stage.connect("ann@example.com"), await stage.connect("cyd@example.com")
    event = stage.world.add_meeting("ann@example.com", "both", attendees=["cyd@example.com"])
    stage.world.respond("ann@example.com", event["id"], "cyd@example.com", "declined")
    await stage.sync()

    assert [meeting.title for meeting in await stage.meetings(calendar_id=ann)] == ["both"]
    assert await stage.meetings(calendar_id=cyd) == []
    assert [m.title for m in await stage.meetings(calendar_id=cyd, include_declined=True)] == ["both"]
