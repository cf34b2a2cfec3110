"""Launches handed to an HTTP API of bots: once as far as the API keeps its keys, until the meeting is over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from flows.bot_stage import ADA, BotStage
from flows.stage import Stage
from sqlalchemy import select, update

from service.core.bot_runner import MOST_WITHDRAWALS
from service.flows.bots import Launcher, runner
from service.flows.bots.launching import LEASE
from service.store.bot_tables import BotPlanRow
from service.store.database import DatabaseUnavailable

pytestmark = pytest.mark.anyio
BOTS = BotPlanRow.metadata.tables["bots"]
RUNNERS = BotPlanRow.metadata.tables["bot_runners"]
PLANS = BotPlanRow.metadata.tables["bot_plans"]


@pytest.fixture
async def bots(stage: Stage) -> AsyncIterator[BotStage]:
    """A stage whose project has an HTTP API of bots."""
    await stage.subscribe("bot.*")
    bots = BotStage(stage)
    await bots.name_runner()
    yield bots
    await bots.aclose()


async def due(bots: BotStage, **wish: Any) -> tuple[UUID, str, UUID]:
    """A meeting whose bot is to be launched now."""
    calendar_id, row_id = await bots.meeting(in_minutes=2)
    event_id = await bots.event_id(calendar_id)
    await bots.plan(event_id, **wish)
    assert await bots.told() == [("planned", None)]
    bots.stage.clock.advance(seconds=61)
    return calendar_id, row_id, event_id


async def status(bots: BotStage, event_id: UUID) -> tuple[str, str | None]:
    shown = await bots.shown(event_id)
    assert shown is not None
    return shown.bots[0].status, shown.bots[0].reason


async def test_the_api_gets_what_the_webhook_would_and_the_webhook_nothing(bots: BotStage) -> None:
    _, _, event_id = await due(bots, config={"bot_name": "Notes", "more": {"a": 1}})
    assert await bots.told() == []
    (request,) = bots.transport.requests
    body = msgspec.json.decode(request.content)
    assert (request.method, str(request.url)) == ("POST", "https://bots.example.com/launch")
    assert request.headers["authorization"] == "Bearer canary"
    assert request.headers["idempotency-key"] == body["bot_id"]
    assert body["config"] == {"bot_name": "Notes", "more": {"a": 1}}
    assert body["event"]["id"] == str(event_id)
    shown = await bots.shown(event_id)
    assert shown is not None
    assert (shown.bots[0].status, shown.bots[0].external_id) == ("launched", "theirs-1")


async def test_meeting_baas_gets_the_config_with_the_link(bots: BotStage) -> None:
    await bots.name_runner("meeting_baas", "https://api.meetingbaas.example")
    await due(bots, config={"bot_name": "Notes", "extra": {"mine": 1}, "unknown_key": True})
    await bots.keep()
    (request,) = bots.transport.requests
    body = msgspec.json.decode(request.content)
    assert str(request.url) == "https://api.meetingbaas.example/v2/bots"
    assert body["bot_name"] == "Notes"
    assert body["unknown_key"] is True
    assert body["meeting_url"].startswith("https://meet.google.com/")
    assert body["extra"]["mine"] == 1
    assert body["extra"]["calgate_bot_id"] == request.headers["idempotency-key"]


@pytest.mark.parametrize(
    ("answers", "asked", "end"),
    [
        pytest.param([503, 429, 201], 3, ("launched", None), id="comes-to-itself"),
        pytest.param([httpx.ReadTimeout("late"), 409], 2, ("launched", None), id="accepted-but-the-answer-was-lost"),
        pytest.param([409], 1, ("launched", None), id="there-already"),
        pytest.param([400], 1, ("failed", "runner_refused: status 400"), id="refused"),
        pytest.param([302], 1, ("failed", "runner_refused: status 302"), id="a-redirect-is-not-followed"),
        pytest.param([401], 1, ("failed", "runner_refused: status 401"), id="key-refused"),
    ],
)
async def test_an_answer_decides(bots: BotStage, answers: list[Any], asked: int, end: Any) -> None:
    _, _, event_id = await due(bots)
    bots.transport.answers = list(answers)
    for _ in range(6):
        await bots.keep()
        bots.stage.clock.advance(seconds=5)
    assert len(bots.transport.requests) == asked
    assert len({request.headers["idempotency-key"] for request in bots.transport.requests}) == 1
    assert await status(bots, event_id) == end
    assert await bots.told() == ([("failed", end[1])] if end[0] == "failed" else [])


async def test_an_api_that_is_down_is_asked_until_the_meeting_is_over(bots: BotStage) -> None:
    _, _, event_id = await due(bots)
    bots.transport.answers = [500] * 1000
    for _ in range(80):
        await bots.keep()
        bots.stage.clock.advance(seconds=30)
    assert 25 < len(bots.transport.requests) < 80
    assert await status(bots, event_id) == ("failed", "runner_unavailable: status 500")
    assert await bots.told() == [("failed", "runner_unavailable: status 500")]


async def test_a_meeting_cancelled_between_two_tries_is_not_launched(bots: BotStage) -> None:
    calendar_id, row_id, _ = await due(bots)
    bots.transport.answers = [503] * 10
    await bots.keep()
    bots.stage.world.cancel_event(ADA, row_id)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", "cancelled")]
    asked = len(bots.transport.requests)
    bots.stage.clock.advance(minutes=5)
    await bots.keep()
    assert len(bots.transport.requests) == asked


@pytest.mark.parametrize(
    ("answers", "asked"), [([204], 1), ([404], 1), ([503, 503, 204], 3), ([400], 1), ([500] * 99, MOST_WITHDRAWALS)]
)
async def test_a_launched_bot_whose_meeting_is_cancelled_is_told_to_leave(
    bots: BotStage, answers: list[int], asked: int
) -> None:
    calendar_id, row_id, _ = await due(bots)
    await bots.keep()
    bots.stage.world.cancel_event(ADA, row_id)
    await bots.stage.sync_again(calendar_id)
    bots.transport.answers = list(answers)
    assert await bots.told() == [("cancelled", "cancelled")]
    for _ in range(10):
        bots.stage.clock.advance(minutes=1)
        await bots.keep()
    left = [request for request in bots.transport.requests if request.method == "DELETE"]
    assert len(left) == asked
    assert {str(request.url) for request in left} == {"https://bots.example.com/launch/theirs-1"}
    assert await bots.told() == []


async def test_another_runner_than_the_one_that_launched_a_bot_is_not_told_that_it_is_to_leave(bots: BotStage) -> None:
    calendar_id, row_id, _ = await due(bots)
    await bots.keep()
    await bots.name_runner(url="https://others.example.com/launch")
    bots.stage.world.cancel_event(ADA, row_id)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", "cancelled")]
    bots.stage.clock.advance(minutes=5)
    await bots.keep()
    assert [request for request in bots.transport.requests if request.method == "DELETE"] == []


async def test_who_dies_while_asking_is_followed_under_the_same_key(bots: BotStage) -> None:
    _, _, event_id = await due(bots)
    await bots.keeper.run_due()

    class Dying(Launcher):
        async def _settle(self, *_: Any) -> Any:
            raise DatabaseUnavailable("killed")

    dying = Dying(bots.gateway)
    await dying.run_due()
    await dying.idle()
    assert await status(bots, event_id) == ("launching", None)
    await bots.keep()
    assert len(bots.transport.requests) == 1, "the lease is on it"
    bots.stage.clock.advance(seconds=LEASE.total_seconds())
    await bots.keep()
    assert len(bots.transport.requests) == 2
    assert len(bots.transport.launched) == 1, "one key"
    assert await status(bots, event_id) == ("launched", None)
    await dying.drain(0)


async def test_a_move_while_the_api_is_asked_waits_for_its_answer(bots: BotStage) -> None:
    calendar_id, row_id, event_id = await due(bots)
    asking, go_on = asyncio.Event(), asyncio.Event()
    answer = bots.transport.handle_async_request

    async def slowly(request: httpx.Request) -> httpx.Response:
        asking.set()
        await go_on.wait()
        return await answer(request)

    bots.transport.handle_async_request = slowly  # type: ignore[method-assign]
    await bots.keeper.run_due()
    await bots.launcher.run_due()
    await asking.wait()
    bots.stage.world.move_event(ADA, row_id, by_minutes=5)
    await bots.stage.sync_again(calendar_id)
    await bots.keeper.run_due()
    assert await status(bots, event_id) == ("launching", None)
    go_on.set()
    await bots.launcher.idle()
    bots.stage.clock.advance(minutes=10)
    assert await bots.told() == []
    assert await status(bots, event_id) == ("launched", None)
    assert len(bots.transport.launched) == 1


async def test_two_launchers_ask_each_once(bots: BotStage, rival: Stage) -> None:
    stage = bots.stage
    stage.world.connect(ADA)
    for number in range(40):
        stage.world.add_meeting(ADA, f"meeting {number}", in_minutes=2)
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    coming = [event for event in await stage.events(calendar_id) if (event.title or "").startswith("meeting")]
    for event in coming:
        await bots.plan(event.id)
    stage.clock.advance(seconds=61)
    await bots.keeper.run_due()
    other = BotStage(rival)
    other.transport.launched = bots.transport.launched
    for _ in range(3):
        await asyncio.gather(bots.launcher.run_due(), other.launcher.run_due())
        await asyncio.gather(bots.launcher.idle(), other.launcher.idle())
    await other.aclose()
    assert sorted(bots.transport.launched.values()) == [1] * 40


async def test_the_webhook_launches_when_the_api_is_taken_away(bots: BotStage) -> None:
    await due(bots)
    await bots.keeper.run_due()
    assert await runner.remove(bots.gateway, bots.stage.project)
    assert await bots.told() == [("launch", None)]
    assert bots.transport.requests == []


async def test_headers_and_configs_are_unreadable_at_rest_and_a_swapped_one_launches_nobody(bots: BotStage) -> None:
    _, _, event_id = await due(bots, config={"api_key": "canary-config"})
    async with bots.gateway.database.read() as conn:
        (sealed,) = (await conn.execute(select(RUNNERS.c.headers))).scalars()
        (config,) = (await conn.execute(select(PLANS.c.config))).scalars()
    assert b"canary" not in sealed + config
    async with bots.gateway.database.write() as conn:
        await conn.execute(update(RUNNERS).values(headers=config))
    await bots.keep()
    assert bots.transport.requests == []
    shown = await status(bots, event_id)
    assert shown[0] == "launching"
    assert "credential_unreadable" in str(shown[1])


async def test_a_headers_name_is_all_that_is_kept_in_the_clear(bots: BotStage) -> None:
    async with bots.gateway.database.read() as conn:
        (names,) = (await conn.execute(select(RUNNERS.c.header_names))).scalars()
        found = (await conn.execute(select(BOTS.c.id))).all()
    assert names == ["authorization"]
    assert found == []
