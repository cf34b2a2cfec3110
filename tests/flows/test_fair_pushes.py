"""Push channels of many projects: one whose provider hangs keeps nobody else from getting theirs."""

import asyncio
from typing import Any

import pytest
from flows.stage import Stage

from service.flows.push import Renewer, renewer
from service.store.database import Database
from service.store.projects import create_project

pytestmark = pytest.mark.anyio


async def test_channels_are_opened_beside_a_project_whose_provider_hangs(
    stage: Stage, database: Database, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewer, "PLACES", 8)  # as many as the stage has clients
    hanging = {(await stage.calendar(await stage.connect(f"user{n}@example.com"))).raw_calendar_id for n in range(20)}
    go, asked = asyncio.Event(), []
    provider: Any = stage.gateway.providers["google"]
    opens = provider.open_channel

    async def open_channel(access: Any, raw_id: str, **more: Any) -> Any:
        if raw_id in hanging:
            asked.append(raw_id)
            await go.wait()
        return await opens(access, raw_id, **more)

    provider.open_channel = open_channel
    async with database.write() as conn:
        stage.project = await create_project(conn, "other", clock())
    first = await stage.connect("first@example.com")
    worker = Renewer(stage.gateway)
    for late in ("", "late@example.com", "later@example.com"):
        calendar_id = await stage.connect(late) if late else first
        await asyncio.wait_for(worker.run_due(), 30)
        async with asyncio.timeout(30):
            while (await stage.calendar(calendar_id)).push_until is None:
                await asyncio.sleep(0.01)
    assert 1 < len(asked) <= 6
    go.set()
    await worker.idle()
    while await worker.run_due():
        await worker.idle()
    assert len(set(asked)) == 20
    await worker.drain(1)


async def test_a_channel_that_hangs_is_given_up_at_the_end_and_due_again(stage: Stage, clock: Any) -> None:
    calendar_id = await stage.connect()
    provider: Any = stage.gateway.providers["google"]
    opens, begun = provider.open_channel, asyncio.Event()

    async def open_channel(*_: Any, **__: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    provider.open_channel = open_channel
    worker = Renewer(stage.gateway)
    assert await worker.run_due() == 1
    await asyncio.wait_for(begun.wait(), 30)
    await worker.drain(0.01)
    assert await worker.run_due() == 0, "it has stopped"
    provider.open_channel = opens
    clock.advance(61)
    await stage.renew_channels()
    assert (await stage.calendar(calendar_id)).push_until is not None
