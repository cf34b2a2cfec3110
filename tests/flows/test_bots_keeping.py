"""Bots follow their meetings, and are launched once for each, to the moment, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.bot_stage import ADA, GRACE, LIN, BotStage
from flows.stage import Stage
from sqlalchemy import select

from service.errors import GatewayError
from service.flows.bots import Keeper, planning
from service.flows.housekeeping import tidy
from service.store.bot_tables import BotPlanRow
from webhooks import outbox

pytestmark = pytest.mark.anyio
LOOKS = BotPlanRow.metadata.tables["bot_looks"]


@pytest.fixture
async def bots(stage: Stage) -> AsyncIterator[BotStage]:
    """A stage on which somebody hears of bots."""
    await stage.subscribe("bot.*")
    bots = BotStage(stage)
    yield bots
    await bots.aclose()


async def planned(bots: BotStage, in_minutes: float = 60, **wish: Any) -> tuple[UUID, str, UUID]:
    """A meeting with a plan, whose `bot.planned` was heard."""
    calendar_id, row_id = await bots.meeting(in_minutes=in_minutes)
    event_id = await bots.event_id(calendar_id)
    await bots.plan(event_id, **wish)
    assert await bots.told() == [("planned", None)]
    return calendar_id, row_id, event_id


async def on_two_calendars(bots: BotStage) -> tuple[UUID, UUID]:
    """One meeting on Ada's calendar and on Grace's."""
    bots.stage.world.connect(GRACE)
    calendar_id, _ = await bots.meeting(attendees=[GRACE])
    other = await bots.stage.connect(GRACE)
    await bots.stage.sync()
    return calendar_id, other


async def next_look(bots: BotStage) -> list[float]:
    async with bots.gateway.database.read() as conn:
        return [
            (at - bots.stage.clock()).total_seconds() for at in (await conn.execute(select(LOOKS.c.look_at))).scalars()
        ]


async def test_a_bot_is_planned_shown_and_launched_to_the_moment(bots: BotStage) -> None:
    calendar_id, _ = await bots.meeting()
    event_id = await bots.event_id(calendar_id)
    config = {"bot_name": "Notes", "unknown": [1, {"deep": None}]}
    plan = await bots.plan(event_id, config)
    (bot,) = plan.bots
    assert (bot.status, bot.reason, plan.config) == ("planned", None, config)
    assert bot.launch_at == bot.starts_at - timedelta(seconds=60)

    assert await bots.told() == [("planned", None)]
    assert await next_look(bots) == [59 * 60]
    bots.stage.clock.advance(minutes=59, microseconds=-1)
    assert await bots.told() == []
    bots.stage.clock.advance(microseconds=1)
    await bots.keep()
    ((kind, data),) = await bots.news()
    assert kind == "bot.launch"
    assert list(data) == [
        "bot_id",
        "meeting_key",
        "meeting_url",
        "platform",
        "starts_at",
        "config",
        "event",
        "reason",
    ]
    assert (data["bot_id"], data["config"], data["event"]["id"]) == (str(bot.bot_id), config, str(event_id))
    shown = await bots.shown(event_id)
    assert shown is not None
    assert shown.bots[0].status == "launched"
    for _ in range(3):
        bots.stage.clock.advance(minutes=20)
        assert await bots.told() == []


@pytest.mark.parametrize("minutes", [-40, 30, 600])
async def test_a_bot_moves_with_its_meeting(bots: BotStage, minutes: int) -> None:
    calendar_id, row_id, event_id = await planned(bots)
    bots.stage.world.move_event(ADA, row_id, by_minutes=minutes)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("planned", None)]
    bots.stage.clock.advance(minutes=59 + minutes, seconds=-1)
    assert await bots.told() == []
    bots.stage.clock.advance(seconds=1)
    assert await bots.told() == [("launch", None)]
    shown = await bots.shown(event_id)
    assert shown is not None
    assert [bot.status for bot in shown.bots] == ["launched"]


async def test_a_move_inside_the_last_minutes_never_yields_two_bots(bots: BotStage) -> None:
    calendar_id, row_id, _ = await planned(bots, in_minutes=2)
    bots.stage.clock.advance(seconds=61)
    assert await bots.told() == [("launch", None)]
    for minutes in (5, -3, 10):
        bots.stage.world.move_event(ADA, row_id, by_minutes=minutes)
        await bots.stage.sync_again(calendar_id)
        bots.stage.clock.advance(minutes=1)
        assert await bots.told() == []


async def test_a_meeting_that_moves_far_after_the_launch_gets_another_bot_and_the_first_is_called_off(
    bots: BotStage,
) -> None:
    calendar_id, row_id, event_id = await planned(bots, in_minutes=2)
    bots.stage.clock.advance(seconds=61)
    await bots.keep()
    [(_, first)] = await bots.news()
    bots.stage.world.move_event(ADA, row_id, by_minutes=120)
    await bots.stage.sync_again(calendar_id)
    await bots.keep()
    (_, called_off), (_, second) = await bots.news()
    assert (called_off["bot_id"], called_off["reason"]) == (first["bot_id"], "moved")
    assert second["bot_id"] != first["bot_id"]
    bots.stage.clock.advance(minutes=120)
    assert await bots.told() == [("launch", None)]
    shown = await bots.shown(event_id)
    assert shown is not None
    assert [str(bot.bot_id) for bot in shown.bots] == [second["bot_id"]]


@pytest.mark.parametrize(
    ("change", "reason", "back"),
    [
        pytest.param(
            {"conferenceData": None, "hangoutLink": None},
            "link_removed",
            {"location": "https://zoom.us/j/98765432101"},
            id="link removed",
        ),
        pytest.param(
            {"attendees": [{"email": ADA, "responseStatus": "declined"}]},
            "declined",
            {"attendees": [{"email": ADA, "responseStatus": "accepted"}]},
            id="declined",
        ),
    ],
)
async def test_what_nobody_attends_has_no_bot_until_it_is_back(
    bots: BotStage, change: dict[str, Any], reason: str, back: dict[str, Any]
) -> None:
    calendar_id, row_id = await bots.meeting(in_minutes=60, attendees=[GRACE])
    event_id = await bots.event_id(calendar_id)
    await bots.plan(event_id)
    await bots.told()
    bots.stage.world.edit_event(ADA, row_id, change)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", reason)]
    shown = await bots.shown(event_id)
    assert shown is not None
    assert [(bot.status, bot.reason) for bot in shown.bots] == [("waiting", reason)]
    bots.stage.clock.advance(minutes=30)
    assert await bots.told() == []
    bots.stage.world.edit_event(ADA, row_id, back)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("planned", None)]
    bots.stage.clock.advance(minutes=29)
    assert await bots.told() == [("launch", None)]


async def test_a_cancelled_meeting_has_no_bot(bots: BotStage) -> None:
    calendar_id, row_id, event_id = await planned(bots)
    bots.stage.world.cancel_event(ADA, row_id)
    await bots.stage.sync_again(calendar_id)
    assert await bots.told() == [("cancelled", "cancelled")]
    with pytest.raises(GatewayError, match="It is cancelled"):
        await bots.plan(event_id)
    bots.stage.clock.advance(minutes=59)
    assert await bots.told() == []


async def test_what_comes_too_late_for_its_launch_is_launched_at_once_and_what_is_over_is_refused(
    bots: BotStage,
) -> None:
    calendar_id, _ = await bots.meeting(in_minutes=1)
    event_id = await bots.event_id(calendar_id)
    bots.stage.clock.advance(minutes=10)
    await bots.plan(event_id)
    assert await bots.told() == [("launch", None)]
    bots.stage.clock.advance(minutes=60)
    with pytest.raises(GatewayError, match="It is over"):
        await bots.plan(event_id)


async def test_a_gateway_that_was_away_for_all_of_it_says_so(bots: BotStage) -> None:
    await planned(bots)
    bots.stage.clock.advance(minutes=300)
    assert await bots.told() == [("failed", "missed")]


async def test_a_clock_that_jumps_back_launches_nobody_again(bots: BotStage) -> None:
    await planned(bots)
    bots.stage.clock.advance(minutes=59)
    assert await bots.told() == [("launch", None)]
    bots.stage.clock.advance(minutes=-70)
    assert await bots.told() == []
    bots.stage.clock.advance(minutes=75)
    assert await bots.told() == []


async def test_one_meeting_on_two_calendars_has_one_bot_by_the_oldest_plan(bots: BotStage) -> None:
    calendars = await on_two_calendars(bots)
    events = [await bots.event_id(calendar_id) for calendar_id in calendars]
    await bots.plan(events[0], {"by": "ada"})
    await bots.plan(events[1], {"by": "grace"})
    assert await bots.told() == [("planned", None)]
    bots.stage.clock.advance(minutes=59)
    await bots.keep()
    assert [(kind, data["config"]) for kind, data in await bots.news()] == [("bot.launch", {"by": "ada"})]


async def test_a_plan_that_does_not_deduplicate_has_a_bot_of_its_own(bots: BotStage) -> None:
    calendars = await on_two_calendars(bots)
    for calendar_id in calendars:
        await bots.plan(await bots.event_id(calendar_id), deduplicate=False)
    bots.stage.clock.advance(minutes=59)
    await bots.keep()
    launches = [data["bot_id"] for kind, data in await bots.news() if kind == "bot.launch"]
    assert len(set(launches)) == len(launches) == 2


@pytest.mark.parametrize("goes", ["deleted", "declined"])
async def test_another_copy_carries_the_bot_on(bots: BotStage, goes: str) -> None:
    calendar_id, other = await on_two_calendars(bots)
    await bots.plan(await bots.event_id(calendar_id))
    assert await bots.told() == [("planned", None)]
    if goes == "deleted":
        await bots.stage.remove(calendar_id)
    else:
        row_id = next(event.provider_event_id for event in await bots.stage.events(calendar_id))
        attendees = [{"email": ADA, "responseStatus": "declined"}, {"email": GRACE, "responseStatus": "accepted"}]
        bots.stage.world.edit_event(ADA, row_id, {"attendees": attendees})
        await bots.stage.sync_again(calendar_id)
    await bots.keep()
    [(kind, data)] = await bots.news()
    assert (kind, data["event"]["calendar_id"]) == ("bot.planned", str(other))
    bots.stage.clock.advance(minutes=59)
    assert await bots.told() == [("launch", None)]


async def test_a_meeting_that_no_calendar_has_any_more_has_no_bot(bots: BotStage) -> None:
    calendar_id, _, event_id = await planned(bots)
    await bots.stage.remove(calendar_id)
    await bots.keep()
    [(kind, data)] = await bots.news()
    assert (kind, data["reason"], data["event"], data["config"]) == (
        "bot.cancelled",
        "gone",
        None,
        {"bot_name": "Notes"},
    )
    assert await bots.shown(event_id) is None
    bots.stage.clock.advance(minutes=59)
    assert await bots.told() == []


async def test_a_series_has_a_bot_for_each_occurrence_and_for_those_to_come(bots: BotStage) -> None:
    bots.stage.world.connect(ADA)
    bots.stage.world.add_meeting(ADA, "Review", in_minutes=60, recurrence=["RRULE:FREQ=DAILY;COUNT=40"])
    calendar_id = await bots.stage.connect(ADA)
    await bots.stage.sync()
    events = await bots.stage.events(calendar_id)
    series_id = events[0].series_id
    assert series_id is not None
    plan = await bots.plan_series(series_id)
    assert {bot.event_id for bot in plan.bots} == {event.id for event in events}
    assert set(await bots.told()) == {("planned", None)}
    await bots.drop(events[1].id)
    assert await bots.told() == [("cancelled", "unplanned")]
    await bots.plan(events[2].id, {"only": "this"})
    await bots.told()
    launches = []
    bots.stage.clock.advance(minutes=59)
    for _ in range(4):
        await bots.stage.sync_again(calendar_id)
        await bots.keep()
        launches += [data["config"] for kind, data in await bots.news() if kind == "bot.launch"]
        bots.stage.clock.advance(days=1)
    assert launches == [{"bot_name": "Notes"}, {"only": "this"}, {"bot_name": "Notes"}]
    later = await bots.stage.events(calendar_id)
    assert later[-1].starts_at > events[-1].starts_at
    shown = await bots.shown(later[-1].id)
    assert shown is not None
    assert later[-1].id in {bot.event_id for bot in shown.bots}


async def test_a_dropped_plan_is_told_with_its_config_and_may_come_back(bots: BotStage) -> None:
    _, _, event_id = await planned(bots)
    assert await bots.drop(event_id)
    await bots.keep()
    [(kind, data)] = await bots.news()
    assert (kind, data["reason"], data["config"]) == ("bot.cancelled", "unplanned", {"bot_name": "Notes"})
    assert not await bots.drop(event_id)
    assert await bots.shown(event_id) is None
    await bots.plan(event_id, {"bot_name": "Again"})
    bots.stage.clock.advance(minutes=59)
    await bots.keep()
    assert [(kind, data["config"]) for kind, data in await bots.news()][-1] == ("bot.launch", {"bot_name": "Again"})


async def test_what_dies_before_its_commit_has_launched_nobody(bots: BotStage, monkeypatch: pytest.MonkeyPatch) -> None:
    await planned(bots)
    bots.stage.clock.advance(minutes=59)

    async def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as struck:
        struck.setattr(outbox, "put", die)
        with pytest.raises(KeyboardInterrupt):
            await bots.keeper.run_due()
    assert await bots.told() == [("launch", None)]


async def test_two_replicas_launch_a_hundred_meetings_each_once_while_they_move(bots: BotStage, rival: Stage) -> None:
    stage = bots.stage
    stage.world.connect(ADA)
    rows = [stage.world.add_meeting(ADA, f"meeting {number}", in_minutes=60) for number in range(100)]
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    for event in await stage.events(calendar_id):
        if event.title and event.title.startswith("meeting"):
            await bots.plan(event.id)
    stage.clock.advance(minutes=59)
    for row in rows[::2]:
        stage.world.move_event(ADA, row["id"], by_minutes=1)
    other = BotStage(rival)
    with pytest.MonkeyPatch.context() as small:
        small.setattr("service.flows.bots.keeping.AT_ONCE", 7)
        keepers = [Keeper(each.gateway) for each in (bots, other) for _ in range(2)]
        await asyncio.gather(stage.sync_again(calendar_id), *(keeper.run_due() for keeper in keepers))
        stage.clock.advance(minutes=2)
        await asyncio.gather(*(keeper.run_due() for keeper in keepers))
    await bots.keep()
    for keeper in keepers:
        keeper.drain()
    await other.aclose()
    launches = [data["meeting_key"] for kind, data in await bots.news() if kind == "bot.launch"]
    assert (len(launches), len(set(launches))) == (100, 100)


async def test_events_without_plans_are_not_looked_at(bots: BotStage) -> None:
    await planned(bots)
    await bots.meeting(LIN)
    assert len(await next_look(bots)) == 1


async def test_bots_and_plans_are_forgotten_in_time(bots: BotStage) -> None:
    calendar_id, _, _ = await planned(bots)
    bots.stage.clock.advance(minutes=59)
    await bots.keep()
    await bots.stage.remove(calendar_id)
    await bots.keep()
    bots.stage.clock.advance(days=40)
    await tidy(bots.gateway)
    assert [await bots.stage.count(table) for table in ("bots", "bot_plans", "bot_looks")] == [0, 0, 0]


async def test_unknown_events_and_series_are_told_alike(bots: BotStage) -> None:
    for wish in (
        planning.plan_event(bots.gateway, bots.stage.project, UUID(int=1), planning.PlanWish(config={})),
        planning.plan_series(bots.gateway, bots.stage.project, "x", planning.PlanWish(config={})),
    ):
        with pytest.raises(GatewayError) as refused:
            await wish
        assert (refused.value.status, refused.value.code) == (404, "not_found")
