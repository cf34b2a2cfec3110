"""Worlds of both providers that stand still at a known time, and their users."""

from datetime import datetime

import pytest
from judged_caller import ADA, GRACE, NOW, Caller
from judged_graph import BARBARA, LESLIE, GraphCaller

from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld


@pytest.fixture
def now() -> list[datetime]:
    """A clock that a test may turn by replacing its only element."""
    return [NOW]


@pytest.fixture
def world(now) -> World:
    world = World(lambda: now[0], seed=7)
    world.settings.series_years = 2
    world.add_client("one.apps.googleusercontent.com", "first-secret", "one")
    world.add_account(ADA, time_zone="Europe/Paris")
    world.add_account(GRACE, time_zone="America/New_York")
    return world


@pytest.fixture
def google(world) -> Caller:
    return Caller(world)


@pytest.fixture
def grace(world) -> Caller:
    return Caller(world, GRACE)


@pytest.fixture
def microsoft(now) -> MicrosoftWorld:
    microsoft = MicrosoftWorld(lambda: now[0], seed=7)
    microsoft.add_client()
    microsoft.add_account(BARBARA, time_zone="Europe/Paris")
    microsoft.add_account(LESLIE, time_zone="America/New_York")
    return microsoft


@pytest.fixture
def graph(microsoft) -> GraphCaller:
    return GraphCaller(microsoft)


@pytest.fixture
def leslie(microsoft) -> GraphCaller:
    return GraphCaller(microsoft, LESLIE)
