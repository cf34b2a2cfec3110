"""While a feed that was written to harm is being read, other calendars are kept in step."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from feed_server import event, feed
from flows.feed_stage import FeedStage, set_feed_stage
from hostile_feeds import FEEDS
from providers.loopback import response

from service.store.cipher import Cipher
from service.store.database import Database

pytestmark = pytest.mark.anyio

SEVERAL_SECONDS = "a thousand rules that never come"


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID) -> AsyncIterator[FeedStage]:
    # One process for all, so that they have to share it.
    async with set_feed_stage(database, cipher, clock, project, size=1) as stage:
        yield stage


async def test_a_neighbour_is_read_while_a_hostile_feed_is(stage: FeedStage):
    hostile = response(FEEDS[SEVERAL_SECONDS]())
    planning = event("planning", "Planning", stage.clock() + timedelta(hours=2))
    stage.server.text = feed(planning)
    stage.server.routes["/hostile.ics"] = lambda _: hostile
    harmful = await stage.add(f"{stage.server.loopback.url}/hostile.ics")
    assert await stage.syncer.run_due() == 1
    reader = stage.gateway.providers["ics"]._expander
    async with asyncio.timeout(30):
        while not reader._busy:
            await asyncio.sleep(0.01)
        calm = await stage.add()
        assert await stage.syncer.run_due() == 1
        while (await stage.status(calm))[0] != "active":
            await asyncio.sleep(0.02)
    assert len(stage.syncer._running) == 1
    assert (await stage.calendar(harmful)).last_synced_at is None
    assert await stage.titles(calm) == ["Planning"]
    await stage.syncer.idle()
    row = await stage.calendar(harmful)
    assert (row.status, row.failures) == ("syncing", 1)


async def test_a_hostile_series_is_set_aside_and_its_calendar_goes_on(stage: FeedStage):
    stage.server.text = FEEDS["a rule that never comes"]()
    calendar_id = await stage.add()
    await stage.sync()
    assert await stage.status(calendar_id) == ("active", None)
    assert (await stage.titles(calendar_id), await stage.quarantined(calendar_id)) == (["Good"], 1)
