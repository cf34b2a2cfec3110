"""A conference that is asked for by a change, and that the provider does not make: its author is told so."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from api.sites import Site, open_site
from flows.stage import Stage

from service.store.cipher import Cipher
from service.store.database import Database
from simulator.microsoft.state import CONSUMERS

pytestmark = pytest.mark.anyio
EVENT = {"title": "Review", "starts_at": "2026-03-03T12:00:00Z", "ends_at": "2026-03-03T13:00:00Z"}
CONFERENCES = {"google": "google_meet", "microsoft": "microsoft_teams"}


@pytest.fixture(params=list(CONFERENCES))
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def site(
    provider: str, database: Database, cipher: Cipher, clock: Any, project: UUID, tmp_path: Path
) -> AsyncIterator[Site]:
    async with open_site(provider, database, cipher, clock, project, tmp_path) as site:
        yield site


@pytest.fixture
def stage(site: Site) -> Stage:
    return site.stage


@pytest.fixture
async def event(call: httpx.AsyncClient, site: Site) -> dict[str, Any]:
    calendar = (await call.post("/calendars", json=site.account())).json()["id"]
    await site.stage.sync()
    answer = await call.post(f"/calendars/{calendar}/events", json=EVENT)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def break_conferences(site: Site, provider: str) -> None:
    """The provider promises a conference, and makes none."""
    world = site.stage.world
    if provider == "google":
        world.set(conference_outcome="failure")
    else:
        # Nobody says what a personal account may have, which is no Teams.
        world.accounts["ada@example.com"].tenant = CONSUMERS
        world.add_fault("custom", endpoint="calendars.get", status=200, body='{"canEdit": true}', times=9)


async def test_a_conference_is_added(call: httpx.AsyncClient, event: dict[str, Any], provider: str):
    answer = await call.patch(f"/events/{event['id']}", json={"conference": CONFERENCES[provider]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["meeting"]["platform"] == CONFERENCES[provider]


async def test_a_conference_that_cannot_be_added_is_told_and_the_rest_is_written(
    call: httpx.AsyncClient, event: dict[str, Any], site: Site, provider: str
):
    break_conferences(site, provider)
    wish = {"conference": CONFERENCES[provider], "title": "Renamed"}
    answer = await call.patch(f"/events/{event['id']}", json=wish)
    assert answer.status_code == 422, answer.text
    assert CONFERENCES[provider] in answer.json()["detail"]
    shown = (await call.get(f"/events/{event['id']}")).json()
    assert (shown["title"], shown["meeting"]) == ("Renamed", None)
    # It is done, and not tried again: the calendar is read as ever.
    site.stage.clock.advance(600)
    assert await site.stage.sync() == 1
    assert (await call.get(f"/events/{event['id']}")).json()["version"] == shown["version"]
