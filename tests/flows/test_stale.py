"""`calendar.stale`: said once when a calendar was not verified for longer than promised, and again only after it was."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage
from sqlalchemy import text

from service.api.views import sync_view
from service.core.schedule import LEAST_PROMISE
from service.flows.staleness import announce_stale
from service.store import freshness

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


async def said(stage: Stage) -> list[dict[str, Any]]:
    return [data for kind, data in await stage.messages() if kind == "calendar.stale"]


@pytest.fixture
async def calm(stage: Stage) -> UUID:
    """A calendar that was read once, and somebody who listens."""
    await stage.subscribe()
    calendar_id = await stage.connect(name="Ada")
    await stage.sync()
    return calendar_id


async def test_a_calendar_that_nobody_reads_is_announced_once(stage: Stage, calm: UUID) -> None:
    synced_at = stage.clock()
    stage.clock.advance((LEAST_PROMISE - timedelta(seconds=1)).total_seconds())
    assert await announce_stale(stage.gateway) == 0
    stage.clock.advance(1)
    assert await announce_stale(stage.gateway) == 1
    for _ in range(4):
        stage.clock.advance(minutes=20)
        assert await announce_stale(stage.gateway) == 0
    [told] = await said(stage)
    calendar = await stage.calendar(calm)
    assert told == {
        "calendar_id": str(calm),
        "provider": "google",
        "email": ADA,
        "raw_calendar_id": ADA,
        "status": "active",
        "previous_status": "active",
        "error_code": None,
        "error_message": None,
        "metadata": {},
        "last_synced_at": f"{synced_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert calendar.stale_since == synced_at + LEAST_PROMISE


async def test_the_next_success_arms_it_again(stage: Stage, calm: UUID) -> None:
    for number in (1, 2):
        stage.clock.advance(LEAST_PROMISE.total_seconds())
        assert await announce_stale(stage.gateway) == 1
        stage.clock.advance(minutes=3)
        await stage.sync_again(calm)
        assert (await stage.calendar(calm)).stale_since is None
        assert await announce_stale(stage.gateway) == 0
        assert len(await said(stage)) == number


async def test_failures_and_throttling_do_not_hide_it(stage: Stage, calm: UUID) -> None:
    provider: Any = stage.gateway.providers["google"]

    async def pages(*_: Any, **__: Any) -> Any:
        raise AssertionError("a fault of ours, which is a passing failure")
        yield

    provider.pages = pages
    for _ in range(16):
        stage.clock.advance(minutes=1)
        await stage.sync_again(calm)
        await announce_stale(stage.gateway)
    calendar = await stage.calendar(calm)
    assert (calendar.status, len(await said(stage))) == ("error", 1)
    assert (await said(stage))[0]["error_code"] == "provider_unavailable"
    await stage.sync_again(calm)
    assert (await stage.calendar(calm)).stale_since is not None, "a read that failed does not arm it"


async def test_a_calendar_that_was_never_read_is_stale_too(stage: Stage) -> None:
    await stage.subscribe()
    await stage.connect()
    stage.clock.advance(LEAST_PROMISE.total_seconds())
    assert await announce_stale(stage.gateway) == 1
    assert (await said(stage))[0]["last_synced_at"] is None


async def test_what_is_pushed_is_promised_its_safety_poll(stage: Stage, calm: UUID) -> None:
    await stage.renew_channels()
    await stage.sync_again(calm)
    stage.clock.advance(hours=2, minutes=59)
    assert await announce_stale(stage.gateway) == 0
    stage.clock.advance(minutes=2)
    assert await announce_stale(stage.gateway) == 1


async def test_a_disconnected_one_never_is_until_it_is_connected_again(stage: Stage, calm: UUID) -> None:
    stage.world.revoke_consent(ADA)
    stage.world.expire_access_tokens()
    for _ in range(2):
        stage.clock.advance(minutes=2)
        await stage.sync_again(calm)
    assert (await stage.calendar(calm)).status == "disconnected"
    for _ in range(10):
        stage.clock.advance(hours=7)
        assert await announce_stale(stage.gateway) == 0
    await stage.patch(calm, stage.world.connect(ADA))
    stage.clock.advance((LEAST_PROMISE - timedelta(seconds=1)).total_seconds())
    assert await announce_stale(stage.gateway) == 0
    stage.clock.advance(1)
    assert await announce_stale(stage.gateway) == 1


async def test_two_workers_announce_it_once(stage: Stage, rival: Stage, calm: UUID) -> None:
    for number in range(30):
        await stage.connect(f"user{number}@example.com")
    stage.clock.advance(hours=1)
    assert sum(await asyncio.gather(*(announce_stale(each.gateway) for each in (stage, rival)))) == 31
    assert len(await said(stage)) == 31


async def test_a_read_that_ends_after_it_was_announced_counts(stage: Stage, calm: UUID) -> None:
    """A calendar whose round was on its way when it was announced is not left marked."""
    stage.clock.advance(LEAST_PROMISE.total_seconds())
    claimed = asyncio.Event()
    go = asyncio.Event()
    provider: Any = stage.gateway.providers["google"]
    listing = provider.pages

    async def pages(*args: Any, **more: Any) -> Any:
        claimed.set()
        await go.wait()
        async for page in listing(*args, **more):
            yield page

    provider.pages = pages
    running = asyncio.create_task(stage.sync_again(calm))
    await claimed.wait()
    assert await announce_stale(stage.gateway) == 1
    stage.clock.advance(1)
    assert (await stage.calendar(calm)).stale_since is not None
    go.set()
    await running
    row = await stage.calendar(calm)
    assert (row.stale_since, row.stale_at > stage.clock()) == (None, True)


async def test_a_look_is_found_by_an_index(stage: Stage, calm: UUID) -> None:
    query = "SELECT calendar_id FROM freshness WHERE look_at <= '2026-03-02' ORDER BY look_at LIMIT 1"
    async with stage.gateway.database.write() as conn:
        if conn.dialect.name == "sqlite":
            plan = (await conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()
        else:
            await conn.execute(text("SET LOCAL enable_seqscan = off"))
            plan = (await conn.execute(text(f"EXPLAIN {query}"))).all()
        assert "ix_freshness_look_at" in str(plan)
        assert (await freshness.claim(conn, stage.clock(), 10)).due == 0


async def test_it_is_shown_with_the_calendars_synchronisation(stage: Stage, calm: UUID) -> None:
    stage.clock.advance(hours=1)
    await announce_stale(stage.gateway)
    assert sync_view(await stage.calendar(calm), 0, stage.clock()).stale_since == stage.clock()
