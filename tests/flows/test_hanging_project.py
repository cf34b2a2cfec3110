"""A project whose provider does not answer: the calendars of another are read as if it were not there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage, set_stage

from service.store.cipher import Cipher
from service.store.database import Database
from service.store.projects import create_project
from simulator.google.world import World

pytestmark = pytest.mark.anyio
SLOTS = 8


class Hanging:
    """Lets reads of one project's calendars wait until they are let go."""

    def __init__(self, stage: Stage) -> None:
        self.go = asyncio.Event()
        self.waiting: Counter[str] = Counter()
        self.accounts: set[str] = set()
        provider: Any = stage.gateway.providers["google"]
        self._pages = provider.pages
        provider.pages = self._hold

    async def _hold(self, access: Any, raw_id: str, **more: Any) -> AsyncIterator[Any]:
        if access.email in self.accounts:
            self.waiting[access.email] += 1
            await self.go.wait()
        async for page in self._pages(access, raw_id, **more):
            yield page


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID, world: World) -> AsyncIterator[Stage]:
    async with set_stage(database, cipher, clock, project, world, sync_concurrency=SLOTS) as stage:
        yield stage


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_slots_are_left_for_others_and_a_late_one_is_read(stage: Stage, database: Database, clock: Any) -> None:
    hanging, mine = Hanging(stage), stage.project
    hanging.accounts = {f"user{number}@example.com" for number in range(12)}
    for email in sorted(hanging.accounts):
        await stage.connect(email)
    async with database.write() as conn:
        stage.project = await create_project(conn, "other", clock())
    first = await stage.connect("first@example.com")
    assert await asyncio.wait_for(stage.syncer.run_due(), 30) >= 2

    async def has_read(calendar_id: UUID) -> bool:
        return (await stage.calendar(calendar_id)).last_synced_at is not None

    await until(lambda: has_read(first))
    assert sum(hanging.waiting.values()) <= SLOTS * 3 // 4
    # All that hangs goes on hanging; whoever comes now does not wait for it.
    for number in range(3):
        late = await stage.connect(f"late{number}@example.com")
        assert await asyncio.wait_for(stage.syncer.run_due(), 30) == 1
        await until(lambda late=late: has_read(late))

    hanging.go.set()
    await stage.syncer.idle()
    stage.project = mine
    while await stage.syncer.run_due():
        await stage.syncer.idle()
    async with database.read() as conn:
        left = (await conn.exec_driver_sql("SELECT count(*) FROM calendars WHERE last_synced_at IS NULL")).scalar()
    assert left == 0


async def test_what_waits_for_its_projects_share_goes_on_when_a_slot_is_free(
    stage: Stage, database: Database, clock: Any
) -> None:
    """Without a tick: the end of one read is what wakes the next claim."""
    for number in range(12):
        await stage.connect(f"user{number}@example.com")
    async with database.write() as conn:
        stage.project = await create_project(conn, "other", clock())
    await stage.connect("other@example.com")
    hanging = Hanging(stage)
    hanging.accounts = {f"user{number}@example.com" for number in range(12)}
    with stage.gateway.wake.listen("sync") as woken:
        await stage.syncer.run_due()
        hanging.go.set()
        assert await woken.wait(5)


async def test_those_who_connect_to_servers_that_hang_leave_clients_to_the_syncs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar_id = await stage.connect()
    provider: Any = stage.gateway.providers["google"]
    lists, go, asked = provider.calendars, asyncio.Event(), []

    async def calendars(access: Any) -> Any:
        asked.append(1)
        await go.wait()
        return await lists(access)

    monkeypatch.setattr(provider, "calendars", calendars)
    monkeypatch.setattr(stage.gateway.admitting, "_value", SLOTS - 2)  # the stage has as many clients as syncs
    connecting = [asyncio.create_task(stage.connect(f"user{number}@example.com")) for number in range(SLOTS * 2)]
    async with asyncio.timeout(30):
        while len(asked) < SLOTS - 2:
            await asyncio.sleep(0.01)
        assert await stage.sync() == 1
    assert (await stage.calendar(calendar_id)).last_synced_at is not None
    assert len(asked) == SLOTS - 2
    go.set()
    await asyncio.gather(*connecting)
