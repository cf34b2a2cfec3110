"""Bots of an event that becomes a series, and of a series that becomes one event: called off aloud, and none launched twice."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from flows.bot_stage import ADA, BotStage
from flows.stage import Stage

pytestmark = pytest.mark.anyio
DAILY: dict[str, Any] = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}


@pytest.fixture
async def bots(stage: Stage) -> AsyncIterator[BotStage]:
    """A stage on which somebody hears of bots."""
    await stage.subscribe("bot.*")
    bots = BotStage(stage)
    yield bots
    await bots.aclose()


async def test_the_bot_of_an_event_that_becomes_a_series_is_called_off(bots: BotStage) -> None:
    calendar_id, row_id = await bots.meeting()
    await bots.plan(await bots.event_id(calendar_id))
    assert await bots.told() == [("planned", None)]
    bots.stage.world.edit_event(ADA, row_id, DAILY)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", "cancelled")]
    first = (await bots.stage.events(calendar_id))[0]
    await bots.plan(first.id)
    assert await bots.told() == [("planned", None)]
    bots.stage.clock.advance(minutes=59)
    assert await bots.told() == [("launch", None)]


async def test_a_bot_that_was_launched_before_is_not_launched_again(bots: BotStage) -> None:
    calendar_id, row_id = await bots.meeting()
    await bots.plan(await bots.event_id(calendar_id))
    bots.stage.clock.advance(minutes=59)
    assert await bots.told() == [("planned", None), ("launch", None)]
    bots.stage.world.edit_event(ADA, row_id, DAILY)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", "cancelled")]
    bots.stage.clock.advance(minutes=5)
    assert await bots.told() == []


async def test_the_bots_of_a_series_that_becomes_one_event_are_called_off(bots: BotStage) -> None:
    calendar_id, row_id = await bots.meeting(**DAILY)
    await bots.plan_series(row_id)
    assert await bots.told() == [("planned", None)] * 3
    bots.stage.world.edit_event(ADA, row_id, {"recurrence": None})
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", "cancelled")] * 3
    await bots.plan(await bots.event_id(calendar_id))
    assert await bots.told() == [("planned", None)]
