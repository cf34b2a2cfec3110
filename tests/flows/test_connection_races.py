"""A connection is let go while others connect, change and read it: each act is whole, and none fails for another's sake."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage

from service.errors import GatewayError
from service.flows import connect

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


async def let_go(stage: Stage, calendar_id: UUID) -> None:
    connection_id = (await stage.calendar(calendar_id)).connection_id
    with suppress(GatewayError):  # somebody else was sooner
        await connect.remove_connection(stage.gateway, stage.project, connection_id)


async def is_whole(stage: Stage) -> None:
    """There is a client for each connection, and either a calendar and both, or none of them."""
    counts = {name: await stage.count(name) for name in ("oauth_clients", "connections", "calendars")}
    assert counts in (dict.fromkeys(counts, 0), dict.fromkeys(counts, 1)), counts


async def test_who_connects_while_it_is_let_go(stage: Stage) -> None:
    credentials = stage.world.connect(ADA)
    await stage.subscribe("calendar.*", "integration.*")
    for turn in range(12):
        calendar_id, _ = await stage.post(credentials)
        acts = [let_go(stage, calendar_id), stage.post(credentials), stage.post(credentials)]
        if turn % 2:
            acts.insert(0, stage.syncer.run_due())
        await asyncio.gather(*acts)
        await stage.syncer.idle()
        await is_whole(stage)
    told = [kind for kind, _ in await stage.messages()]
    assert told.count("calendar.created") - told.count("calendar.deleted") == await stage.count("calendars")


async def test_who_changes_it_while_it_is_let_go(stage: Stage) -> None:
    credentials = stage.world.connect(ADA)
    team = stage.world.add_calendar(ADA, "Team")
    await stage.subscribe("calendar.*", "integration.*")

    async def choose(connection_id: UUID, selected: list[str]) -> Any:
        patch = connect.ConnectionPatch(selected_calendars=selected, settings={"sync_frequency": len(selected)})
        with suppress(GatewayError):
            await connect.change_connection(stage.gateway, stage.project, connection_id, patch)

    for turn in range(8):
        calendar_id, _ = await stage.post(credentials)
        connection_id = (await stage.calendar(calendar_id)).connection_id
        acts = [choose(connection_id, [ADA, team]), choose(connection_id, [ADA]), choose(connection_id, [team])]
        if turn % 2:
            acts.append(let_go(stage, calendar_id))
        acts.append(connect.refresh(stage.gateway, stage.project, connection_id))
        results = await asyncio.gather(stage.syncer.run_due(), *acts, return_exceptions=True)
        assert [each for each in results if isinstance(each, Exception) and not isinstance(each, GatewayError)] == []
        await stage.syncer.idle()
        assert await stage.count("connections") == (0 if turn % 2 else 1)
        if turn % 2 == 0:
            await connect.remove_connection(stage.gateway, stage.project, connection_id)
    told = [kind for kind, _ in await stage.messages()]
    assert told.count("calendar.created") == told.count("calendar.deleted")
    assert [await stage.count(name) for name in ("oauth_clients", "connections", "calendars")] == [0, 0, 0]
