"""Signals to a running gateway: what waits is answered early, what is sent is finished, and the second one ends it at once."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from gateway_process import GatewayProcess
from killing import client
from recording_receiver import Receiver, listening
from sqlalchemy import func, select

from service.commands.session import utc_now
from service.jobs import GRACE
from service.store import leases
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.turns import Turns
from simulator.google.world import World
from simulator.server import serve
from webhooks import tables

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


@pytest.fixture
async def world() -> AsyncIterator[tuple[World, str]]:
    world = World(seed=3)
    async with serve(world) as url:
        yield world, url


@pytest.fixture
async def gateway(world: tuple[World, str], sqlite_url: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    gateway = GatewayProcess.beside(world[1], tmp_path, sqlite_url, SECRET_KEYS=generate_key())
    await gateway.start()
    yield gateway
    await gateway.kill()


async def connect(http: httpx.AsyncClient, world: World) -> str:
    given = world.connect(ADA)
    wanted = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
    answer = await http.post("/calendars", json={"provider": "google", **wanted})
    return str(answer.json()["id"])


async def test_who_waits_for_changes_is_answered_early(gateway: GatewayProcess) -> None:
    async with client(gateway) as http:
        waiting = asyncio.create_task(http.get("/changes", params={"wait": 30}))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        code, _ = await gateway.stop()
        answer = await waiting  # it would be broken off if it were still waiting when the time is over
    assert (answer.status_code, answer.json()) == (200, {"data": [], "last_seq": 0})
    assert code == 0


async def test_a_delivery_in_flight_is_finished_and_recorded(
    gateway: GatewayProcess, world: tuple[World, str], sqlite_url: str
) -> None:
    receiver = Receiver()
    async with listening(receiver) as hook, client(gateway) as http:
        await http.post("/webhooks/endpoints", json={"url": f"{hook}/hook", "event_types": ["calendar.created"]})
        receiver.pause = 1.5
        await connect(http, world[0])
        await asyncio.sleep(0.3)
        code, _ = await gateway.stop()
    assert code == 0
    async with Database.connect(sqlite_url) as database, database.read() as conn:
        states = (await conn.execute(select(tables.deliveries.c.state, tables.deliveries.c.attempts))).all()
        failed = select(func.count()).where(tables.attempts.c.error_kind.is_not(None))
        assert (await conn.execute(failed)).scalar_one() == 0
    assert [tuple(row) for row in states] == [("delivered", 1)]


async def test_a_sync_that_hangs_is_left_to_the_next_worker_at_once(
    gateway: GatewayProcess, world: tuple[World, str], sqlite_url: str
) -> None:
    async with client(gateway) as http:
        world[0].add_fault("latency", endpoint="events.list", seconds=60)
        calendar_id = await connect(http, world[0])
        await asyncio.sleep(0.5)
        code, _ = await gateway.stop()
    assert code == 0
    assert await claimable(sqlite_url) == [calendar_id], "nobody waits for its lease"


async def claimable(url: str) -> list[str]:
    """What another worker would get now."""
    now = utc_now()
    async with Database.connect(url) as database, database.write() as conn:
        claimed = await leases.claim(conn, now=now, until=now, owner=uuid4(), most=5, turns=Turns())
    return [str(row.id) for row in claimed.rows]


async def test_the_second_signal_ends_it_at_once(
    gateway: GatewayProcess, world: tuple[World, str], sqlite_url: str
) -> None:
    async with client(gateway) as http:
        world[0].add_fault("latency", endpoint="events.list", seconds=60)
        calendar_id = await connect(http, world[0])
        await asyncio.sleep(0.5)
    assert gateway.pid is not None
    os.kill(gateway.pid, signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert gateway.pid is not None, "the first one lets it finish"
    _, seconds = await gateway.stop()
    assert seconds < GRACE, "it did not wait for what was in flight"
    assert await claimable(sqlite_url) == [calendar_id]
