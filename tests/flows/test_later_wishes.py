"""Wishes that were left behind, beside later ones: the later word on a field stands, and one wish has one worker."""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.faulty_writer import FaultyWriter, Killed
from flows.stage import Stage
from sqlalchemy import update
from uuid_utils.compat import uuid7

from service.core.drafts import Draft, Patch
from service.errors import GatewayError, PolicyForbids, ProviderError, TransientFault
from service.flows import writing
from service.flows.gateway import Gateway
from service.flows.writing import Follower, Job, Meant, Resumer, reaching
from service.flows.writing.opening import begin, give_up
from service.providers.protocol import Access
from service.providers.writing import Place, Target, Written
from service.store import calendars, event_writes
from service.store.connection_tables import ConnectionRow
from simulator.google.world import World

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
START = datetime(2026, 3, 2, 15, tzinfo=UTC)
REVIEW = Draft(title="Review", starts_at=START, ends_at=START + timedelta(minutes=30))

Before = Callable[[], Awaitable[None]]


@pytest.fixture
def world(clock: object) -> World:
    return World(clock, seed=7)


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "PAUSES", (0.001,))
    monkeypatch.setattr(reaching, "PATIENCE", 0.3)


class StrangeWriter(FaultyWriter):
    """Something happens `before` each write or `after` it, told the number of the write."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.gateway.writers["google"], random.Random(1), before=0, after=0)
        self.gateway = dataclasses.replace(stage.gateway, writers={"google": self})
        self.earlier: Callable[[int], Awaitable[None]] | None = None
        self.later: Callable[[int], Awaitable[None]] | None = None
        self.writes = 0

    async def create(self, access: Access, place: Place, draft: Draft, *, key: str) -> Written:
        return await self._between(super().create(access, place, draft, key=key))

    async def change(self, access: Access, place: Place, target: Target, patch: Patch, *, strict: bool) -> Written:
        return await self._between(super().change(access, place, target, patch, strict=strict))

    async def _between(self, deed: Any) -> Written:
        self.writes += 1
        number = self.writes
        try:
            if self.earlier is not None:
                await self.earlier(number)
        except BaseException:
            deed.close()
            raise
        found: Written = await deed
        if self.later is not None:
            await self.later(number)
        return found


@pytest.fixture
def writer(stage: Stage) -> StrangeWriter:
    return StrangeWriter(stage)


@pytest.fixture
async def calendar(stage: Stage) -> UUID:
    found = await stage.connect(ADA)
    await stage.sync()
    return found


def failing(error: BaseException, *, at: int = 1) -> Callable[[int], Awaitable[None]]:
    async def strike(number: int) -> None:
        if number >= at:
            raise error

    return strike


async def settings(stage: Stage, **wanted: Any) -> None:
    table = ConnectionRow.metadata.tables["connections"]
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(table).values(settings=wanted))


async def write(gateway: Gateway, stage: Stage, calendar: UUID, **more: Any) -> UUID:
    job = Job(draft=REVIEW, **more)
    return await writing.create_event(gateway, stage.project, calendar, job, event_id=uuid7(), request_key=None)


async def change(gateway: Gateway, stage: Stage, event: UUID, **fields: Any) -> None:
    await writing.change_event(gateway, stage.project, Meant(event_id=event), Patch(**fields))


async def follow(gateway: Gateway) -> None:
    follower = Follower(gateway)
    await follower.run_due()
    await follower.idle()


async def work(stage: Stage, *, syncs: bool = True) -> None:
    """Everything that is due by and by."""
    for _ in range(4):
        stage.clock.advance(120)
        if syncs:
            await stage.sync()
        await follow(stage.gateway)
        resumer = Resumer(stage.gateway)
        await resumer.run_due()
        await resumer.idle()


def rows(stage: Stage) -> list[dict[str, Any]]:
    return [row for row in stage.world.read_truth(ADA) if row["status"] != "cancelled"]


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not-done"])
async def test_a_change_that_was_left_behind_leaves_later_words_alone(
    stage: Stage, writer: StrangeWriter, calendar: UUID, is_done: bool
):
    event = await write(stage.gateway, stage, calendar)
    setattr(writer, "later" if is_done else "earlier", failing(Killed()))
    with pytest.raises(Killed):
        await change(writer.gateway, stage, event, title="Old", location="Room 5")
    await change(stage.gateway, stage, event, title="Newer")
    await work(stage)
    (row,) = rows(stage)
    assert (row["summary"], row["location"]) == ("Newer", "Room 5")
    assert {each.cause for each in await stage.changes()} == {"write"}


async def test_a_change_of_which_nothing_is_left_is_given_up(stage: Stage, writer: StrangeWriter, calendar: UUID):
    event = await write(stage.gateway, stage, calendar)
    writer.earlier = failing(Killed())
    with pytest.raises(Killed):
        await change(writer.gateway, stage, event, title="Old")
    await change(stage.gateway, stage, event, title="Newer")
    seq = await stage.last_seq()
    await work(stage)
    assert [row["summary"] for row in rows(stage)] == ["Newer"]
    assert await stage.last_seq() == seq


async def test_what_is_set_right_late_leaves_later_words_alone(stage: Stage, writer: StrangeWriter, calendar: UUID):
    await settings(stage, sync_direction="outbound")
    event = await write(stage.gateway, stage, calendar)
    (row,) = rows(stage)
    stage.world.edit_event(ADA, row["id"], {"summary": "Theirs", "location": "Their room"})
    stage.clock.advance(600)
    await stage.sync()
    writer.earlier = failing(TransientFault("away"))
    await follow(writer.gateway)
    await change(stage.gateway, stage, event, title="Decided by the user")
    await work(stage)
    (row,) = rows(stage)
    assert (row["summary"], row.get("location")) == ("Decided by the user", None)


async def test_what_is_followed_late_leaves_later_words_alone(stage: Stage, writer: StrangeWriter, calendar: UUID):
    await settings(stage, sync_buffers_to_calendar=True)
    event = await write(stage.gateway, stage, calendar, buffer_before=15)
    theirs = next(row for row in rows(stage) if row["summary"] == "Review")
    stage.world.move_event(ADA, theirs["id"], by_minutes=60)
    stage.clock.advance(600)
    await stage.sync()
    writer.earlier = failing(TransientFault("away"))
    await follow(writer.gateway)
    start = START + timedelta(hours=4)
    await change(stage.gateway, stage, event, starts_at=start, ends_at=start + timedelta(minutes=30))
    await work(stage)
    found = {row["summary"]: datetime.fromisoformat(row["start"]["dateTime"]) for row in rows(stage)}
    assert found == {"Review": start, "Buffer": start - timedelta(minutes=15)}


@pytest.mark.parametrize("at", [2, 3], ids=["first-buffer", "second-buffer"])
async def test_what_was_made_and_then_refused_is_taken_back(
    stage: Stage, writer: StrangeWriter, calendar: UUID, at: int
):
    await settings(stage, sync_buffers_to_calendar=True)
    writer.earlier = failing(PolicyForbids("domainPolicy"), at=at)
    with pytest.raises(GatewayError) as refused:
        await write(writer.gateway, stage, calendar, buffer_before=15, buffer_after=15)
    assert refused.value.status == 422
    await work(stage)
    assert rows(stage) == []
    assert await stage.changes() == []


async def test_what_was_made_before_and_is_refused_now_is_taken_back(
    stage: Stage, writer: StrangeWriter, calendar: UUID
):
    async def ask() -> UUID:
        return await writing.create_event(
            writer.gateway, stage.project, calendar, Job(draft=REVIEW), event_id=uuid7(), request_key=b"1" * 32
        )

    writer.later = failing(Killed())
    with pytest.raises(Killed):
        await ask()
    assert len(rows(stage)) == 1
    stage.clock.advance(60)
    writer.earlier = failing(PolicyForbids("domainPolicy"))
    with pytest.raises(GatewayError) as refused:
        await ask()
    assert refused.value.status == 422
    await work(stage)
    assert rows(stage) == []
    assert await stage.changes() == []


async def test_what_was_made_for_a_calendar_that_is_removed_meanwhile_is_taken_back(
    stage: Stage, writer: StrangeWriter, calendar: UUID
):
    async def remove(_: int) -> None:
        async with stage.gateway.database.write() as conn:
            row = await calendars.one(conn, stage.project, calendar)
            await conn.execute(row_of(calendar))
        assert row is not None

    writer.later = remove
    with pytest.raises(GatewayError) as refused:
        await write(writer.gateway, stage, calendar)
    assert refused.value.status == 404
    assert rows(stage) == []


def row_of(calendar: UUID) -> Any:
    table = ConnectionRow.metadata.tables["calendars"]
    return table.delete().where(table.c.id == calendar)


async def test_a_wish_is_ours_for_as_long_as_it_takes(stage: Stage, writer: StrangeWriter, calendar: UUID):
    await settings(stage, sync_buffers_to_calendar=True)
    rival = Resumer(stage.gateway)

    async def linger(_: int) -> None:
        stage.clock.advance(21)
        assert await rival.run_due() == 0

    writer.later = linger
    event = await write(writer.gateway, stage, calendar, buffer_before=15, buffer_after=15)
    assert writer.writes == 3
    found = {each.id: each.title for each in await stage.events(calendar)}
    assert sorted(found.values()) == ["Buffer", "Buffer", "Review"]
    assert found[event] == "Review"


async def test_a_wish_that_somebody_else_has_carried_out_is_a_success(
    stage: Stage, writer: StrangeWriter, calendar: UUID
):
    rival = Resumer(stage.gateway)

    async def overtake(_: int) -> None:
        stage.clock.advance(60)
        assert await rival.run_due() == 1
        await rival.idle()

    writer.later = overtake
    event = await write(writer.gateway, stage, calendar)
    assert [each.id for each in await stage.events(calendar)] == [event]
    assert len(rows(stage)) == 1


@pytest.mark.parametrize("error", [TransientFault("away"), PolicyForbids("domainPolicy")], ids=["fault", "refusal"])
async def test_what_its_author_was_told_holds_though_somebody_else_goes_on(
    stage: Stage, writer: StrangeWriter, calendar: UUID, error: ProviderError
):
    go_on = asyncio.Event()
    slow = StrangeWriter(stage)
    rival = Resumer(slow.gateway)

    async def wait(_: int) -> None:
        await go_on.wait()

    async def overtake(number: int) -> None:
        if number == 1:
            stage.clock.advance(60)
            assert await rival.run_due() == 1
        raise error

    slow.later, writer.later = wait, overtake
    with pytest.raises(GatewayError):
        await write(writer.gateway, stage, calendar)
    go_on.set()
    await rival.idle()
    await work(stage)
    assert rows(stage) == []
    assert await stage.changes() == []


@pytest.fixture
def postgresql_only(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has one writer at a time")


@pytest.mark.usefixtures("postgresql_only")
async def test_a_wish_is_locked_after_its_calendar(stage: Stage, calendar: UUID):
    async with stage.gateway.database.read() as conn:
        row = await calendars.one(conn, stage.project, calendar)
    assert row is not None
    opened = await begin(stage.gateway, row, "create", Job(draft=REVIEW), event_id=uuid7())
    async with stage.gateway.database.write() as conn:
        now = stage.clock()
        await event_writes.hold(conn, stage.project, calendar, now, now, force=True)
        giving_up = asyncio.create_task(give_up(stage.gateway, opened, "refused"))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(30):
            assert await event_writes.one(conn, opened.id) is not None
    assert await giving_up
