"""Hostile inputs that belong nowhere else: slow heads, forged addresses, names that never resolve, swapped secrets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
import uvicorn
from flows.stage import Stage
from litestar import Litestar
from sqlalchemy import select, update

from service.commands.listening import Server
from service.commands.patient_http import PatientProtocol
from service.commands.serving import _config as config_of
from service.settings import Settings
from service.store.connection_tables import ConnectionRow

pytestmark = pytest.mark.anyio
CONNECTIONS = ConnectionRow.metadata.tables["connections"]
WRONG = {"authorization": "Bearer cgk_aaaaaaaa_" + "x" * 43}


@asynccontextmanager
async def served(app: Any, settings: Settings | None = None) -> AsyncIterator[int]:
    """The application as `calgate serve` serves it; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = asyncio.Event()
        config: uvicorn.Config = config_of(app, settings or Settings())
        config.timeout_graceful_shutdown = 1
        server = Server(config, listening.set)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await listening.wait()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def test_a_head_that_never_ends_is_hung_up_on(api: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "head_seconds", 0.3)
    async with served(api) as port:
        for start in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start)
            feeding = asyncio.create_task(drip(writer)) if start else None
            async with asyncio.timeout(2):
                assert await reader.read() == b""
            if feeding is not None:
                feeding.cancel()
            writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


async def test_a_connection_that_is_kept_has_its_own_patience(api: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "head_seconds", 0.2)
    async with served(api) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/health/live")).status_code == 200
        await asyncio.sleep(0.5)
        (connection,) = client._transport._pool.connections  # type: ignore[attr-defined]
        assert (await client.get("/health/live")).status_code == 200
        assert client._transport._pool.connections == [connection]  # type: ignore[attr-defined]


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_forwarded_address_counts_only_from_a_proxy_that_is_trusted(api: Litestar, trusted: bool) -> None:
    settings = Settings(trusted_proxies=(ip_network("127.0.0.1/32"),) if trusted else ())
    async with served(api, settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [
            (await client.get("/project", headers=WRONG | {"x-forwarded-for": f"203.0.113.{number}"})).status_code
            for number in range(120)
        ]
    assert set(answers) == ({401} if trusted else {401, 429}), "a client cannot choose whose bucket it empties"


async def test_two_tenants_may_name_one_address(call: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = [
        (await client.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/hook"})).json()
        for client in (call, stranger)
    ]
    assert made[0]["id"] != made[1]["id"]
    assert made[0]["secret"] != made[1]["secret"]


async def test_a_swapped_secret_stops_its_own_calendar_alone(call: httpx.AsyncClient, stage: Stage) -> None:
    for email in ("ada@example.com", "grace@example.com"):
        stage.world.connect(email)
    mine, other = [await stage.connect(email) for email in ("ada@example.com", "grace@example.com")]
    await stage.sync()
    row = await stage.calendar(mine)
    async with stage.gateway.database.write() as conn:
        query = select(CONNECTIONS.c.refresh_token).where(CONNECTIONS.c.id != row.connection_id)
        stolen = (await conn.execute(query)).scalar_one()
        values = {"refresh_token": stolen, "access_token": None}
        await conn.execute(update(CONNECTIONS).where(CONNECTIONS.c.id == row.connection_id).values(**values))
    stage.gateway.tokens.forget(row.connection_id)
    for calendar_id in (mine, other):
        await stage.sync_again(calendar_id)
    shown = (await call.get(f"/calendars/{mine}")).json()
    assert (shown["status"], shown["error_code"]) == ("error", "credential_unreadable")
    assert "PATCH the calendar" in shown["error_message"]
    assert (await call.get(f"/calendars/{other}")).json()["status"] == "active"
    credentials = stage.world.connect("ada@example.com")
    await stage.patch(mine, credentials)
    await stage.sync()
    assert (await call.get(f"/calendars/{mine}")).json()["status"] == "active"


@pytest.mark.parametrize("tag", ['W/"1"', '"1", "2"', "one", '"' + "9" * 30 + '"', '"7"', ""])
async def test_a_version_that_is_not_the_objects_changes_nothing(call: httpx.AsyncClient, tag: str) -> None:
    answer = await call.patch("/project", json={"name": "changed"}, headers={"if-match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert (await call.get("/project")).json()["name"] != "changed"
