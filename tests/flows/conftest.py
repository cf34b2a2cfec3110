"""The stage on which flows are tested, on both databases."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from flows.stage import Stage, set_stage

from service.store.cipher import Cipher
from service.store.database import Database
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld


@pytest.fixture
def provider() -> str:
    """Whose world it is; parametrized where it is another's."""
    return "google"


@pytest.fixture
def world(clock: Any, provider: str) -> World | MicrosoftWorld:
    return MicrosoftWorld(clock, seed=7) if provider == "microsoft" else World(clock, seed=7)


@pytest.fixture
async def stage(
    database: Database, cipher: Cipher, clock: Any, project: UUID, world: World | MicrosoftWorld
) -> AsyncIterator[Stage]:
    async with set_stage(database, cipher, clock, project, world) as stage:
        yield stage


@pytest.fixture
async def rival(
    stage: Stage, database_url: str, cipher: Cipher, clock: Any, project: UUID, world: World | MicrosoftWorld
) -> AsyncIterator[Stage]:
    """A second gateway on the same database, as another process has it."""
    async with (
        Database.connect(database_url) as database,
        set_stage(database, cipher, clock, project, world) as rival,
    ):
        yield rival
