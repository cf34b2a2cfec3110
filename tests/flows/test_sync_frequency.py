"""`sync_frequency`: a floor under the pace of polls, seen in when the next one is due and in what the provider is asked."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage
from sqlalchemy import update

from service.core.schedule import LEAST_PROMISE
from service.flows import connect
from service.flows.staleness import announce_stale
from service.store.tables import CalendarRow

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
MINUTE = timedelta(minutes=1)
_calendars = CalendarRow.metadata.tables["calendars"]


async def wish(stage: Stage, calendar_id: UUID, **settings: Any) -> None:
    connection_id = (await stage.calendar(calendar_id)).connection_id
    patch = connect.ConnectionPatch(settings=settings)
    await connect.change_connection(stage.gateway, stage.project, connection_id, patch)


async def due_at(stage: Stage, calendar_id: UUID) -> datetime:
    found: datetime = (await stage.calendar(calendar_id)).due_at
    return found


@pytest.fixture
async def polled(stage: Stage) -> UUID:
    """A calendar that is polled every four minutes: nothing is on today."""
    calendar_id = await stage.connect()
    await stage.sync()
    assert await due_at(stage, calendar_id) == stage.clock() + 4 * MINUTE
    return calendar_id


async def calls_within(stage: Stage, minutes: int) -> int:
    before = len(stage.world.read_calls("events.list"))
    for _ in range(minutes * 2):
        stage.clock.advance(30)
        await stage.sync()
    return len(stage.world.read_calls("events.list")) - before


async def test_the_next_poll_is_no_sooner_than_that(stage: Stage, polled: UUID) -> None:
    synced_at = stage.clock()
    stage.clock.advance(minutes=1)
    await wish(stage, polled, sync_frequency=60)
    assert await due_at(stage, polled) == synced_at + 60 * MINUTE
    await stage.sync_again(polled)
    due = await due_at(stage, polled)
    assert 60 * MINUTE <= due - stage.clock() <= 75 * MINUTE


async def test_the_provider_is_asked_so_much_less(stage: Stage, polled: UUID) -> None:
    assert 12 <= await calls_within(stage, 60) <= 16
    await wish(stage, polled, sync_frequency=20)
    assert 2 <= await calls_within(stage, 60) <= 3


async def test_a_lower_floor_counts_at_once(stage: Stage, polled: UUID) -> None:
    await wish(stage, polled, sync_frequency=1440)
    stage.clock.advance(minutes=5)
    assert await stage.sync() == 0
    await wish(stage, polled, sync_frequency=None)
    assert await stage.sync() == 1
    assert await due_at(stage, polled) == stage.clock() + 4 * MINUTE


async def test_a_floor_below_the_pace_changes_nothing(stage: Stage, polled: UUID) -> None:
    due = await due_at(stage, polled)
    await wish(stage, polled, sync_frequency=1)
    assert await due_at(stage, polled) == due
    await stage.sync_again(polled)
    assert await due_at(stage, polled) == stage.clock() + 4 * MINUTE


async def test_push_and_users_are_not_held_up(stage: Stage, polled: UUID) -> None:
    await stage.renew_channels()
    await wish(stage, polled, sync_frequency=1440)
    stage.world.take_pushes()
    stage.world.add_meeting(ADA, "new", in_minutes=60)
    assert await stage.carry_pushes() == [True]
    stage.clock.advance(1)
    assert await stage.sync() == 1
    assert [event.title for event in await stage.events(polled)] == ["new"]
    stage.clock.advance(1)
    await stage.resync(polled)
    assert await stage.sync() == 1


async def test_what_rests_longer_is_not_stale_sooner(stage: Stage, polled: UUID) -> None:
    await stage.subscribe()
    await wish(stage, polled, sync_frequency=120)
    stage.clock.advance(LEAST_PROMISE.total_seconds() + 1)
    assert await announce_stale(stage.gateway) == 0
    stage.clock.advance(hours=8)
    assert await announce_stale(stage.gateway) == 1


async def test_an_error_is_looked_at_again_as_ever(stage: Stage, polled: UUID) -> None:
    await wish(stage, polled, sync_frequency=1440)
    stage.world.add_fault("backend_503", times=1)
    await stage.sync_again(polled)
    assert await due_at(stage, polled) < stage.clock() + MINUTE


async def test_a_calendar_that_comes_later_has_the_floor_too(stage: Stage, polled: UUID) -> None:
    await wish(stage, polled, sync_frequency=90)
    team = stage.world.add_calendar(ADA, "Team")
    connection_id = (await stage.calendar(polled)).connection_id
    patch = connect.ConnectionPatch(selected_calendars=[ADA, team])
    found = await connect.change_connection(stage.gateway, stage.project, connection_id, patch)
    await stage.sync()
    assert await due_at(stage, found.calendars[1].id) >= stage.clock() + 90 * MINUTE
    other = stage.world.add_calendar(ADA, "Other")
    posted, _ = await stage.post(stage.world.connect(ADA), raw_calendar_id=other)
    await stage.sync()
    assert await due_at(stage, posted) >= stage.clock() + 90 * MINUTE


async def test_a_read_in_flight_hears_of_a_lower_floor(stage: Stage, polled: UUID) -> None:
    await wish(stage, polled, sync_frequency=1440)
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_calendars).values(due_at=stage.clock()))
    await stage.syncer.run_due()
    await wish(stage, polled, sync_frequency=5)
    await stage.syncer.idle()
    assert await due_at(stage, polled) <= stage.clock() + 6 * MINUTE
