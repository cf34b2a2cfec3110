"""A calendar of Microsoft's from its connection to a pushed change, over real sockets: Graph asks back while we ask it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings
from service.store.api_keys import create_key
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.projects import create_project
from simulator.microsoft.world import MicrosoftWorld
from simulator.server import EmbeddedServer, serve

pytestmark = pytest.mark.anyio
BARBARA = "barbara@contoso.example"


@asynccontextmanager
async def gateway(url: str, microsoft: str, *, pushed: bool) -> AsyncIterator[str]:
    """A whole gateway on a port of its own, which Graph can reach."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    own = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(
        database_url=url,
        secret_keys=generate_key() if url.startswith("postgresql") else None,
        public_url=own if pushed else None,
        poll_seconds=1,
        microsoft_graph_url=f"{microsoft}/v1.0",
        microsoft_login_url=microsoft,
    )
    async with create_app(settings) as app:
        server = EmbeddedServer(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        server.config.timeout_graceful_shutdown = 1
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.005)
            yield own
        finally:
            server.should_exit = True
            await task
            listener.close()


async def new_key(url: str) -> str:
    async with Database.connect(url) as database, database.write() as conn:
        project_id = await create_project(conn, "acme", datetime.now(UTC))
        return await create_key(conn, project_id, "admin", datetime.now(UTC))


async def until(holds: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(120):
        while not (found := await holds()):
            await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize("pushed", [pytest.param(True, id="push"), pytest.param(False, id="polling")])
async def test_from_connecting_to_a_change(database_url: str, pushed: bool) -> None:
    world = MicrosoftWorld(seed=5)
    credentials = world.connect(BARBARA, time_zone="Europe/Paris")
    world.add_meeting(BARBARA, "Kick-off", in_minutes=60)
    wanted = {name: credentials[name] for name in ("client_id", "client_secret", "refresh_token")}
    key = await new_key(database_url)
    async with (
        serve(world) as microsoft,
        gateway(database_url, microsoft, pushed=pushed) as own,
        httpx.AsyncClient(base_url=own, headers={"authorization": f"Bearer {key}"}) as http,
    ):
        made = await http.post("/calendars", json={"provider": "microsoft", **wanted})
        assert made.status_code == 201, made.text
        path = f"/calendars/{made.json()['id']}"

        async def is_in_step() -> bool:
            told = (await http.get(f"{path}/sync")).json()
            return told["status"] == "active" and told["push"]["enabled"] is pushed

        async def titles() -> list[str]:
            return [row["title"] for row in (await http.get("/meetings")).json()["data"]]

        await until(is_in_step)
        assert len(world.read_subscriptions()) == pushed
        await until(lambda: _equals(titles, ["Kick-off"]))
        world.add_meeting(BARBARA, "Surprise", in_minutes=90)
        await until(lambda: _equals(titles, ["Kick-off", "Surprise"]))
        if pushed:
            assert (await http.get(f"{path}/sync")).json()["push"]["last_received_at"]
        assert (await http.delete(path)).status_code == 204
        assert world.read_subscriptions() == []


async def _equals(ask: Callable[[], Awaitable[Any]], wanted: Any) -> bool:
    return await ask() == wanted
