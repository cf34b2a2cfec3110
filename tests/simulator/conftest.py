"""A world that stands still at a known time, and its two users."""

from datetime import datetime

import pytest
from judged_caller import ADA, GRACE, NOW, Caller

from simulator.google.world import World


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
