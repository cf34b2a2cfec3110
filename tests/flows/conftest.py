"""The stage on which flows are tested, on both databases."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage, set_stage

from service.store.cipher import Cipher
from service.store.database import Database
from simulator.google.world import World


@pytest.fixture
def world(clock: Any) -> World:
    return World(clock, seed=7)


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID, world: World) -> AsyncIterator[Stage]:
    async with set_stage(database, cipher, clock, project, world) as stage:
        yield stage


@pytest.fixture
async def rival(
    stage: Stage, database_url: str, cipher: Cipher, clock: Any, project: UUID, world: World
) -> AsyncIterator[Stage]:
    """A second gateway on the same database, as another process has it."""
    async with (
        Database.connect(database_url) as database,
        set_stage(database, cipher, clock, project, world) as rival,
    ):
        yield rival
