"""The real application over a staged gateway, and clients with keys of every scope."""

import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from api.judged_client import JudgedClient
from api.sites import Site, open_site
from flows.stage import Stage, set_stage
from litestar import Litestar
from standing_routes import standing_routes

from service.api.draining import Draining
from service.api.routes import create_api
from service.store.api_keys import create_key
from service.store.cipher import Cipher
from service.store.database import Database
from service.store.projects import create_project
from simulator.google.world import World

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


class Seconds:
    """A clock for the rate limits, which counts seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["google", "microsoft", "caldav"])
async def site(
    request: pytest.FixtureRequest, database: Database, cipher: Cipher, clock: Any, project: UUID, tmp_path: Path
) -> AsyncIterator[Site]:
    """A calendar of each kind that can be written to; whoever asks for it makes `stage` the site's own."""
    async with open_site(request.param, database, cipher, clock, project, tmp_path) as site:
        yield site


@pytest.fixture
def database_url(usual_url: str) -> str:
    """Routes behave alike on both databases, whose stores have tests of their own; the journeys run on both."""
    return usual_url


@pytest.fixture
def world(clock: Any) -> World:
    return World(clock, seed=7)


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID, world: World) -> AsyncIterator[Stage]:
    async with set_stage(database, cipher, clock, project, world, allow_networks=LOOPBACK) as stage:
        yield stage


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def draining() -> Draining:
    return Draining()


@pytest.fixture
def api(stage: Stage, draining: Draining, seconds: Seconds) -> Litestar:
    with standing_routes():
        return create_api(stage.gateway, draining, clock=seconds)


@pytest.fixture
async def keys(stage: Stage) -> dict[str, str]:
    """An API key of each scope, by scope, and `stranger`: an admin of another project."""
    now = stage.clock()
    async with stage.gateway.database.write() as conn:
        other = await create_project(conn, "stranger", now)
        found = {scope: await create_key(conn, stage.project, scope, now) for scope in ("read", "write", "admin")}
        return found | {"stranger": await create_key(conn, other, "admin", now)}


def client_of(app: Any, key: str | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://calgate.test",
        headers={"authorization": f"Bearer {key}"} if key else {},
    )


@pytest.fixture
async def call(api: Litestar, keys: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of the project."""
    async with client_of(api, keys["admin"]) as client:
        yield client


@pytest.fixture
async def stranger(api: Litestar, keys: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of another project."""
    async with client_of(api, keys["stranger"]) as client:
        yield client


@pytest.fixture
async def anybody(api: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key."""
    async with client_of(api) as client:
        yield client


@pytest.fixture
def credentials(world: World) -> dict[str, Any]:
    """What connects Ada's calendar."""
    given = world.connect("ada@example.com")
    wanted = ("client_id", "client_secret", "refresh_token")
    return {"provider": "google", **{name: given[name] for name in wanted}}


@pytest.fixture
async def vendor(api: Litestar, keys: dict[str, str]) -> AsyncIterator[JudgedClient]:
    """An admin of the project, as a client of Meeting BaaS's."""
    client = JudgedClient(api, keys["admin"])
    async with client.http:
        yield client


@pytest.fixture
def given_v1(credentials: dict[str, Any]) -> dict[str, Any]:
    """What connects Ada's calendar in v1."""
    return {"platform": "Google"} | _vendor_names(credentials)


@pytest.fixture
def given_v2(credentials: dict[str, Any]) -> dict[str, Any]:
    """What connects Ada's primary calendar in v2."""
    named = _vendor_names(credentials)
    return {"calendar_platform": "google", "oauth_tenant_id": "common", "raw_calendar_id": "primary"} | named


def _vendor_names(credentials: dict[str, Any]) -> dict[str, Any]:
    return {f"oauth_{name}": credentials[name] for name in ("client_id", "client_secret", "refresh_token")}
