"""Looking at events of ours: several at once, so that one server that hangs, or one project, does not hold up the others."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage
from flows.two_way import ADA
from sqlalchemy import func, select, update
from uuid_utils.compat import uuid7

from service.core.drafts import Draft
from service.flows import writing
from service.flows.writing import Follower, Job, following
from service.store import managed_events
from service.store.connection_tables import ConnectionRow
from service.store.projects import create_project
from service.store.writing_tables import EventWriteRow, ManagedEventRow

pytestmark = pytest.mark.anyio
STARTS = datetime(2026, 3, 3, 10, tzinfo=UTC)
_managed = ManagedEventRow.metadata.tables["managed_events"]
_writes = EventWriteRow.metadata.tables["event_writes"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


class Hanging:
    """Lets the looks at events of some calendars wait until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = asyncio.Event()
        self.calendars: set[UUID] = set()
        self.looked: list[UUID] = []
        monkeypatch.setattr(Follower, "_decide", self._wrapped(Follower._decide))

    def _wrapped(self, decide: Any) -> Any:
        async def held(follower: Follower, row: Any) -> None:
            self.looked.append(row.event_id)
            if row.calendar_id in self.calendars:
                await self.go.wait()
            await decide(follower, row)

        return held


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Hanging:
    return Hanging(monkeypatch)


async def managed(stage: Stage, email: str, *, events: int = 1) -> tuple[UUID, list[UUID]]:
    """A calendar with events of ours, each of which somebody has renamed at the provider, as a sync has found."""
    calendar = await stage.connect(email)
    await stage.sync()
    made = [await write(stage, calendar, number) for number in range(events)]
    for row in stage.world.read_truth(email):
        stage.world.edit_event(email, row["id"], {"summary": f"{row['summary']}, renamed"})
    stage.clock.advance(600)
    await stage.sync()
    return calendar, made


async def write(stage: Stage, calendar: UUID, number: int = 0) -> UUID:
    start = STARTS + timedelta(hours=number)
    draft = Draft(title=f"Event {number}", starts_at=start, ends_at=start + timedelta(minutes=30))
    return await writing.create_event(
        stage.gateway, stage.project, calendar, Job(draft=draft), event_id=uuid7(), request_key=None
    )


async def waiting(stage: Stage) -> int:
    """How many are still to be looked at, or are being looked at."""
    async with stage.gateway.database.read() as conn:
        query = select(func.count()).select_from(_managed).where(_managed.c.look_at.is_not(None))
        return (await conn.execute(query)).scalar_one()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_connection_that_hangs_holds_up_neither_its_project_nor_another(stage: Stage, hanging: Hanging) -> None:
    slow, _ = await managed(stage, "slow@example.com", events=20)
    _, (mine,) = await managed(stage, "quick@example.com")
    async with stage.gateway.database.write() as conn:
        stage.project = await create_project(conn, "other", stage.clock())
    _, (theirs,) = await managed(stage, "other@example.com")
    hanging.calendars = {slow}
    follower = Follower(stage.gateway)
    assert await asyncio.wait_for(follower.run_due(), 30) == 3

    async def are_done() -> bool:
        return await waiting(stage) == 20

    await until(are_done)
    assert {mine, theirs} <= set(hanging.looked)
    assert len(hanging.looked) == 3
    hanging.go.set()
    await follower.idle()
    while await follower.run_due():
        await follower.idle()
    assert await waiting(stage) == 0


async def test_a_project_with_many_connections_leaves_room_for_others(stage: Stage, hanging: Hanging) -> None:
    for number in range(following.AT_ONCE + 4):
        calendar, _ = await managed(stage, f"user{number}@example.com")
        hanging.calendars.add(calendar)
    follower = Follower(stage.gateway)
    assert await follower.run_due() < following.AT_ONCE
    async with stage.gateway.database.write() as conn:
        stage.project = await create_project(conn, "other", stage.clock())
    _, (theirs,) = await managed(stage, "other@example.com")
    assert await follower.run_due() >= 1
    assert theirs in hanging.looked
    hanging.go.set()
    await follower.drain(5)


async def test_the_next_of_a_connection_follows_without_a_tick(stage: Stage, hanging: Hanging) -> None:
    await managed(stage, ADA, events=2)
    follower = Follower(stage.gateway)
    with stage.gateway.wake.listen("managed") as woken:
        assert await follower.run_due() == 1
        assert await woken.wait(5)
    assert await follower.run_due() == 1
    await follower.idle()
    assert await waiting(stage) == 0


async def test_what_one_replica_has_in_hand_no_other_takes_however_long_it_lasts(
    stage: Stage, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RENEW_SECONDS", 0.01)
    calendar, (event,) = await managed(stage, ADA)
    hanging.calendars = {calendar}
    follower, rival = Follower(stage.gateway), Follower(stage.gateway)
    assert await follower.run_due() == 1

    async def is_renewed() -> bool:
        async with stage.gateway.database.read() as conn:
            row = (await conn.execute(select(_managed))).one()
        return bool(row.leased_until == row.look_at == stage.clock() + following.LEASE)

    for _ in range(3):
        stage.clock.advance(60)
        await until(is_renewed)
        assert await rival.run_due() == 0
    # Another change is found meanwhile: it is looked at afterwards, and not at once beside the first look.
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_managed).values(look_at=stage.clock()))
    assert await rival.run_due() == 0
    await asyncio.sleep(0.05)
    assert await rival.run_due() == 0
    hanging.go.set()
    await follower.idle()
    assert hanging.looked == [event]
    assert await rival.run_due() == 1
    await rival.idle()
    assert await waiting(stage) == 0


async def test_who_dies_is_followed_by_another_once_the_lease_has_run_out(stage: Stage, hanging: Hanging) -> None:
    calendar, (event,) = await managed(stage, ADA)
    hanging.calendars = {calendar}
    dying, next_one = Follower(stage.gateway), Follower(stage.gateway)
    assert await dying.run_due() == 1
    await asyncio.sleep(0.01)
    await dying.drain(0)
    assert await next_one.run_due() == 0
    hanging.go.set()
    stage.clock.advance(91)
    assert await next_one.run_due() == 1
    await next_one.idle()
    assert hanging.looked == [event, event]
    assert await waiting(stage) == 0


async def test_what_cannot_be_set_right_is_given_up_and_keeps_nobody_from_reading(stage: Stage) -> None:
    """A call at Zoom is to be set right, and nobody has an account there."""
    calendar, (event,) = await managed(stage, ADA)
    wanted = Draft(title="Event 0", starts_at=STARTS, ends_at=STARTS + timedelta(minutes=30), conference="zoom")
    async with stage.gateway.database.write() as conn:
        row = (await conn.execute(select(_managed).where(_managed.c.event_id == event))).one()
        await managed_events.change(conn, stage.gateway.cipher, row, {}, writing.opening.encode(wanted))
        connections = ConnectionRow.metadata.tables["connections"]
        await conn.execute(update(connections).values(settings={"sync_direction": "outbound"}))
    follower = Follower(stage.gateway)
    assert await follower.run_due() == 1
    await follower.idle()
    async with stage.gateway.database.read() as conn:
        states = (await conn.execute(select(_writes.c.kind, _writes.c.state).order_by(_writes.c.created_at))).all()
    assert [tuple(each) for each in states] == [("create", "done"), ("change", "failed")]
    assert await waiting(stage) == 0
    assert (await stage.calendar(calendar)).writing_until is None
