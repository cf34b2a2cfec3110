"""How many calendars a project may have, where an operator says so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage, set_stage

from service.errors import GatewayError
from service.store.cipher import Cipher
from service.store.database import Database
from service.store.projects import create_project
from simulator.google.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID, world: World) -> AsyncIterator[Stage]:
    async with set_stage(database, cipher, clock, project, world, max_calendars_per_project=3) as stage:
        yield stage


async def test_one_too_many_is_refused_and_leaves_nothing_behind(stage: Stage) -> None:
    ids = [await stage.connect(f"user{number}@example.com") for number in range(3)]
    before = [await stage.count(table) for table in ("calendars", "connections")]
    with pytest.raises(GatewayError) as refused:
        await stage.connect("onemore@example.com")
    assert (refused.value.status, refused.value.code) == (422, "validation_failed")
    assert "has 3 calendars, which is all" in refused.value.detail
    assert [await stage.count(table) for table in ("calendars", "connections")] == before
    assert await stage.connect("user0@example.com") == ids[0], "one that is connected can be connected again"
    await stage.remove(ids[1])
    await stage.connect("onemore@example.com")


async def test_another_project_has_its_own(stage: Stage) -> None:
    for number in range(3):
        await stage.connect(f"user{number}@example.com")
    async with stage.gateway.database.write() as conn:
        stage.project = await create_project(conn, "other", stage.clock())
    await stage.connect("other@example.com")


async def test_those_who_connect_at_once_do_not_get_past_it(stage: Stage) -> None:
    found = await asyncio.gather(
        *(stage.connect(f"user{number}@example.com") for number in range(6)), return_exceptions=True
    )
    assert sum(isinstance(each, GatewayError) for each in found) == 3
    assert await stage.count("calendars") == 3
