"""Two gateways on one database, leases that run out, a database that goes away: nothing lost, nothing told twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from convergence.flaky import FlakyDatabase
from flows.stage import Stage, set_stage

from service.flows.sync_calendar.syncer import LEASE
from service.store.database import DatabaseUnavailable

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
PEOPLE = [f"user{number}@example.com" for number in range(12)]


class Held:
    """Keeps a stage's reads waiting, after what they listed has been listed, until they are let go."""

    def __init__(self, stage: Stage) -> None:
        self.listed, self.go = asyncio.Event(), asyncio.Event()
        self._provider: Any = stage.gateway.providers["google"]
        self._pages = self._provider.pages
        self._provider.pages = self._hold

    async def _hold(self, *args: Any, **more: Any) -> AsyncIterator[Any]:
        pages = [page async for page in self._pages(*args, **more)]
        self.listed.set()
        await self.go.wait()
        for page in pages:
            yield page

    def release(self) -> None:
        self._provider.pages = self._pages
        self.go.set()


async def test_two_workers_share_the_calendars_and_tell_each_change_once(stage: Stage, rival: Stage) -> None:
    ids = [await stage.connect(email) for email in PEOPLE]
    await stage.sync()
    await stage.subscribe("event.*")
    for email in PEOPLE:
        stage.world.add_meeting(email, "new", in_minutes=60)
    stage.clock.advance(minutes=10)
    stage.world.reset_counters()

    counts = await asyncio.gather(stage.sync(), rival.sync())

    assert sum(counts) == len(PEOPLE)
    assert stage.world.read_counters()["events.list"] == len(PEOPLE)
    changes = await stage.changes()
    assert [change.seq for change in changes] == list(range(1, len(PEOPLE) + 1))
    assert Counter(change.calendar_id for change in changes) == Counter(ids)
    assert len(await stage.messages()) == len(PEOPLE)


async def test_a_calendar_that_is_being_read_is_not_claimed_again(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect()
    held = Held(stage)
    running = asyncio.create_task(stage.sync())
    await held.listed.wait()
    # Whatever makes it due meanwhile, one at a time.
    await rival.resync(calendar_id)

    assert await rival.sync() == 0

    held.release()
    assert await running == 1
    assert await rival.sync() == 1, "and afterwards the wish is not forgotten"


async def test_a_result_that_comes_after_its_lease_is_dropped(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect()
    event = stage.world.add_meeting(ADA, "old", in_minutes=60)
    held = Held(stage)
    running = asyncio.create_task(stage.sync())
    await held.listed.wait()
    # The holder sleeps through its lease; the next one reads what is there by then.
    stage.clock.advance((LEASE + timedelta(seconds=1)).total_seconds())
    stage.world.edit_event(ADA, event["id"], {"summary": "new"})
    assert await rival.sync() == 1
    before = await stage.calendar(calendar_id)
    held.release()
    await running

    assert await stage.calendar(calendar_id) == before
    assert [(change.kind, change.event.title) for change in await stage.changes()] == [("created", "new")]
    assert await stage.stored(calendar_id) == stage.truth(ADA)


@pytest.mark.parametrize("all_of_them", [False, True], ids=["one", "all"])
async def test_a_full_resync_asked_for_during_a_read_is_full(stage: Stage, all_of_them: bool) -> None:
    calendar_id = await stage.connect()
    stage.world.add_meeting(ADA, "a", in_minutes=60)
    await stage.sync()
    stage.clock.advance(hours=1)
    held = Held(stage)
    running = asyncio.create_task(stage.sync())
    await held.listed.wait()
    await (stage.resync_all(full=True) if all_of_them else stage.resync(calendar_id, full=True))
    held.release()
    await running
    stage.world.reset_counters()
    await stage.sync()

    assert ["syncToken" in call["query"] for call in stage.world.read_calls("events.list")] == [False]
    assert (await stage.calendar(calendar_id)).cursor is not None


@pytest.mark.parametrize("change", ["credentials", "horizon"])
async def test_a_change_during_a_read_is_followed_by_a_read(stage: Stage, change: str) -> None:
    calendar_id = await stage.connect()
    stage.world.add_meeting(ADA, "far", in_minutes=60 * 24 * 35)
    await stage.sync()
    stage.clock.advance(hours=1)
    held = Held(stage)
    running = asyncio.create_task(stage.sync())
    await held.listed.wait()
    if change == "credentials":
        await stage.patch(calendar_id, stage.world.connect(ADA))
    else:
        await stage.patch(calendar_id, horizon_days=40)
    held.release()
    await running
    assert await stage.sync() == 1

    row = await stage.calendar(calendar_id)
    assert (row.status, row.lease) == ("active", None)
    assert await stage.stored(calendar_id, days=row.horizon_days) == stage.truth(ADA, days=row.horizon_days)


async def test_a_calendar_deleted_during_a_read_stays_deleted(stage: Stage) -> None:
    calendar_id = await stage.connect()
    stage.world.add_meeting(ADA, "a", in_minutes=60)
    held = Held(stage)
    running = asyncio.create_task(stage.sync())
    await held.listed.wait()
    await stage.remove(calendar_id)
    held.release()
    await running

    assert await stage.calendar(calendar_id) is None
    assert await stage.changes() == []
    assert await stage.events(calendar_id) == []


async def test_what_the_rolling_window_brings_is_told_as_such(stage: Stage) -> None:
    calendar_id = await stage.connect()
    for day in (29, 31, 33, 50):
        stage.world.add_meeting(ADA, f"day {day}", in_minutes=60 * 24 * day)
    await stage.sync()
    seen = []
    for _ in range(4):
        stage.clock.advance(days=1)
        await stage.sync_again(calendar_id)
        seen += [(change.event.title, change.cause) for change in await stage.changes(1 + len(seen))]
        assert await stage.stored(calendar_id) == stage.truth(ADA)

    assert seen == [("day 31", "window"), ("day 33", "window")]


async def test_a_longer_horizon_is_read_at_once_and_a_shorter_one_tells_nothing(stage: Stage) -> None:
    calendar_id = await stage.connect()
    stage.world.add_meeting(ADA, "far", in_minutes=60 * 24 * 50)
    await stage.sync()

    await stage.patch(calendar_id, horizon_days=60)
    await stage.sync()
    await stage.patch(calendar_id, horizon_days=10)
    await stage.sync()

    assert [(change.kind, change.cause) for change in await stage.changes()] == [("created", "window")]


@asynccontextmanager
async def flaky(stage: Stage, url: str) -> AsyncIterator[tuple[Stage, FlakyDatabase]]:
    """A gateway whose database goes away when it is told to."""
    async with (
        FlakyDatabase.connect(url) as database,
        set_stage(database, stage.gateway.cipher, stage.clock, stage.project, stage.world) as shaky,
    ):
        yield shaky, database


@pytest.mark.parametrize("after", range(9))
async def test_a_database_that_goes_away_during_a_sync_loses_nothing(
    stage: Stage, database_url: str, after: int
) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    await stage.subscribe("event.*")
    for number in range(3):
        stage.world.add_meeting(ADA, f"{number}", in_minutes=60 + number)
    stage.clock.advance(hours=1)
    async with flaky(stage, database_url) as (shaky, database):
        database.strike_after(after)
        with suppress(DatabaseUnavailable):
            await shaky.sync()
        database.strike_after(None)
        # Whatever it had taken is free again once its lease has run out: a calendar, or the right to refresh a token.
        stage.clock.advance(61)
        await shaky.sync()

        assert await stage.stored(calendar_id) == stage.truth(ADA)
        assert [change.seq for change in await stage.changes()] == [1, 2, 3]
        assert len(await stage.messages()) == 3
        row = await stage.calendar(calendar_id)
        assert (row.status, row.failures, row.lease) == ("active", 0, None)


async def test_one_result_that_cannot_be_written_harms_no_other(stage: Stage) -> None:
    ids = {email: await stage.connect(email) for email in PEOPLE[:4]}
    for email in ids:
        stage.world.add_meeting(email, "new", in_minutes=60)
    spoilt = ids[PEOPLE[2]]
    settle = stage.syncer._settler._write

    async def refuse(conn: Any, settlements: Any) -> Any:
        if any(each.row.id == spoilt for each in settlements):
            raise ValueError("a bug of ours")
        return await settle(conn, settlements)

    stage.syncer._settler._write = refuse
    await stage.sync()

    for email, calendar_id in ids.items():
        expected = {} if calendar_id == spoilt else stage.truth(email)
        assert await stage.stored(calendar_id) == expected
    stage.syncer._settler._write = settle
    stage.clock.advance(31)
    await stage.sync()
    assert await stage.stored(spoilt) == stage.truth(PEOPLE[2])


async def test_a_worker_that_is_stopped_gives_its_calendars_back_at_once(stage: Stage, rival: Stage) -> None:
    calendar_id = await stage.connect()
    held = Held(stage)
    running = asyncio.create_task(stage.sync())
    await held.listed.wait()
    await stage.syncer.drain(0)
    await running

    assert (await stage.calendar(calendar_id)).lease is None
    assert await rival.sync() == 1
    assert (await stage.calendar(calendar_id)).status == "active"
