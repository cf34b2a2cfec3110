"""Writes under faults: time-outs after the deed, errors before and after it, crashes; every event is at the provider once."""

import asyncio
import dataclasses
import os
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flows.faulty_writer import FaultyWriter, Killed
from flows.stage import Stage
from sqlalchemy import update
from uuid_utils.compat import uuid7

from service.core.drafts import Draft, Patch
from service.errors import GatewayError, TransientFault
from service.flows import writing
from service.flows.gateway import Gateway
from service.flows.writing import Job, Meant, Resumer, reaching
from service.providers.protocol import Access
from service.providers.writing import Place, QuickAdder, Written
from service.store.tables import Table
from simulator.google.world import World

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
WRITES = int(os.environ.get("WRITES", "100"))


@pytest.fixture
def world(clock: object) -> World:
    return World(clock, seed=7)


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "PAUSES", (0.001,))


def faulty(
    stage: Stage, *, before: float = 0.0, after: float = 0.0, killed: float = 0.0
) -> tuple[Gateway, FaultyWriter]:
    writer = FaultyWriter(stage.gateway.writers["google"], random.Random(11), before=before, after=after, killed=killed)
    return dataclasses.replace(stage.gateway, writers={"google": writer}), writer


def job(number: int = 0) -> Job:
    start = datetime(2026, 3, 2, 15, tzinfo=UTC) + timedelta(minutes=number)
    return Job(draft=Draft(title=f"Event {number}", starts_at=start, ends_at=start + timedelta(minutes=30)))


def titles(stage: Stage) -> list[str]:
    return sorted(row["summary"] for row in stage.world.read_truth(ADA))


async def write(gateway: Gateway, stage: Stage, calendar: UUID, number: int = 0, key: bytes | None = None) -> UUID:
    return await writing.create_event(gateway, stage.project, calendar, job(number), event_id=uuid7(), request_key=key)


async def resume(gateway: Gateway, stage: Stage, after: float = 60) -> int:
    resumer = Resumer(gateway)
    stage.clock.advance(after)
    taken = await resumer.run_due()
    await resumer.idle()
    return taken


async def direct(stage: Stage, direction: str) -> None:
    """Set the connection's `sync_direction`."""
    async with stage.gateway.database.write() as conn:
        connections = Table.metadata.tables["connections"]
        await conn.execute(update(connections).values(settings={"sync_direction": direction}))


async def test_writes_whose_answers_are_lost_are_at_the_provider_once(stage: Stage):
    calendar = await stage.connect(ADA)
    await stage.sync()
    gateway, writer = faulty(stage, before=0.15, after=0.15)

    async def insistent(number: int) -> None:
        key = writing.digest("key", number)
        for _ in range(20):
            try:
                await write(gateway, stage, calendar, number, key)
            except GatewayError as error:
                if error.status != 503:
                    raise
            else:
                break

    for start in range(0, WRITES, 50):
        async with asyncio.TaskGroup() as tasks:
            for number in range(start, min(start + 50, WRITES)):
                tasks.create_task(insistent(number))
        stage.clock.advance(60)  # no user may ask Google for more in a minute than these
    assert writer.struck > WRITES // 5
    assert titles(stage) == sorted(f"Event {number}" for number in range(WRITES))
    stage.clock.advance(3600)
    await stage.sync()
    changes = await stage.changes()
    assert {(each.kind, each.cause) for each in changes} == {("created", "write")}
    assert len({each.event_id for each in changes}) == WRITES


async def test_what_was_refused_is_taken_back(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reaching, "PATIENCE", 0.0)
    calendar = await stage.connect(ADA)
    await stage.sync()
    gateway, writer = faulty(stage, after=1.0)
    with pytest.raises(GatewayError) as refused:
        await write(gateway, stage, calendar)
    assert refused.value.status == 503
    assert titles(stage) == ["Event 0"]
    writer.heal()
    assert await resume(gateway, stage) == 1
    assert titles(stage) == []
    await stage.sync()
    assert await stage.changes() == []


@pytest.mark.parametrize("is_there", [pytest.param(False, id="not-written"), pytest.param(True, id="written")])
async def test_what_was_begun_is_not_gone_on_with_once_nothing_is_to_be_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_there: bool
):
    """And nothing of it is left: who asks again is told that nothing is written."""
    monkeypatch.setattr(reaching, "PATIENCE", 0.0)
    calendar = await stage.connect(ADA)
    await stage.sync()
    gateway, writer = faulty(stage, before=0.0 if is_there else 1.0, after=1.0)
    with pytest.raises(GatewayError) as refused:
        await write(gateway, stage, calendar, key=b"1" * 32)
    assert refused.value.status == 503
    assert titles(stage) == ["Event 0"] * is_there
    await direct(stage, "inbound")
    writer.heal()
    for _ in range(3):
        await resume(gateway, stage)
    assert titles(stage) == []
    with pytest.raises(GatewayError, match="inbound"):
        await write(gateway, stage, calendar, key=b"1" * 32)
    await direct(stage, "both")
    await write(gateway, stage, calendar, key=b"1" * 32)
    assert titles(stage) == ["Event 0"]


async def test_a_change_that_was_begun_is_not_gone_on_with_once_nothing_is_to_be_written(stage: Stage):
    calendar = await stage.connect(ADA)
    await stage.sync()
    event = await write(stage.gateway, stage, calendar)
    gateway, _ = faulty(stage, killed=2.0)
    with pytest.raises(Killed):
        await writing.change_event(gateway, stage.project, Meant(event_id=event), Patch(title="Another"))
    await direct(stage, "inbound")
    assert await resume(stage.gateway, stage) == 1
    assert titles(stage) == ["Event 0"]
    await direct(stage, "both")
    assert await resume(stage.gateway, stage) == 0


class Deaf:
    """Google reads a sentence and makes its event; no answer ever comes."""

    def __init__(self, inner: QuickAdder) -> None:
        self._inner = inner

    async def quick_add(self, access: Access, place: Place, text: str, *, notify: bool, now: datetime) -> Written:
        await self._inner.quick_add(access, place, text, notify=notify, now=now)
        raise TransientFault("timeout")


async def test_of_a_sentence_without_an_answer_nobody_says_that_it_is_taken_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reaching, "PATIENCE", 0.0)
    calendar = await stage.connect(ADA)
    await stage.sync()
    deaf = dataclasses.replace(stage.gateway, quick_adders={"google": Deaf(stage.gateway.quick_adders["google"])})
    sentence = Job(text="Lunch with Sarah tomorrow at 1pm")
    with pytest.raises(GatewayError, match="may have been made") as refused:
        await writing.create_event(deaf, stage.project, calendar, sentence, event_id=uuid7(), request_key=None)
    assert refused.value.status == 503
    assert "taken back" not in refused.value.detail
    await resume(stage.gateway, stage)
    assert len(titles(stage)) == 1
    await stage.sync()
    assert [(each.kind, each.cause) for each in await stage.changes()] == [("created", "poll")]


async def test_a_request_that_comes_again_goes_on_where_the_first_broke_off(stage: Stage):
    calendar = await stage.connect(ADA)
    await stage.sync()
    gateway, _ = faulty(stage, killed=2.0)
    with pytest.raises(Killed):
        await write(gateway, stage, calendar, key=b"1" * 32)
    with pytest.raises(GatewayError) as running:
        await write(stage.gateway, stage, calendar, key=b"1" * 32)
    assert running.value.status == 409
    stage.clock.advance(60)
    first = await write(stage.gateway, stage, calendar, key=b"1" * 32)
    again = await write(stage.gateway, stage, calendar, key=b"1" * 32)
    assert first == again
    assert titles(stage) == ["Event 0"]


async def test_what_was_made_beyond_the_horizon_is_not_in_its_own_way_when_the_request_comes_again(stage: Stage):
    calendar = await stage.connect(ADA)
    await stage.sync()
    async with stage.gateway.database.write() as conn:
        connections = Table.metadata.tables["connections"]
        await conn.execute(update(connections).values(settings={"validate_availability": True}))
    gateway, writer = faulty(stage, killed=1.0)
    writer.roll(0)  # it dies when the event is there
    far = 60 * 24 * 90
    with pytest.raises(Killed):
        await write(gateway, stage, calendar, far, key=b"1" * 32)
    assert titles(stage) == [f"Event {far}"]
    stage.clock.advance(60)
    await write(stage.gateway, stage, calendar, far, key=b"1" * 32)
    assert titles(stage) == [f"Event {far}"]
    with pytest.raises(GatewayError, match="taken"):
        await write(stage.gateway, stage, calendar, far + 10)


@pytest.fixture(params=range(6), ids=str)
def seed(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


async def test_a_process_that_dies_in_the_middle_leaves_a_wish_that_is_carried_out(stage: Stage, seed: int):
    calendar = await stage.connect(ADA)
    await stage.sync()
    gateway, writer = faulty(stage, killed=1.0)
    writer.roll(seed)
    done = 0
    for number in range(8):
        try:
            await write(gateway, stage, calendar, number)
            done += 1
        except Killed:
            pass
    assert done < 8
    # While wishes are on their way nobody reads the calendar, so that none of them is news.
    stage.clock.advance(50)
    await stage.sync()
    assert {each.cause for each in await stage.changes()} <= {"write"}
    assert await resume(stage.gateway, stage) == 8 - done
    assert titles(stage) == [f"Event {number}" for number in range(8)]
    stage.clock.advance(3600)
    await stage.sync()
    assert {each.cause for each in await stage.changes()} == {"write"}
    assert len(await stage.events(calendar)) == 8
