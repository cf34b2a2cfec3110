"""Hostile inputs that belong nowhere else: slow heads, forged addresses, names that never resolve, swapped secrets."""

import asyncio
import io
import json
import logging
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from flows.stage import Stage
from litestar import Litestar
from sqlalchemy import select, update

from service.commands.listening import Server
from service.commands.patient_http import PatientProtocol
from service.commands.serving import _config as config_of
from service.observability import AccessLog, configure_logging
from service.settings import Settings
from service.store.connection_tables import ConnectionRow

pytestmark = pytest.mark.anyio
CONNECTIONS = ConnectionRow.metadata.tables["connections"]
WRONG = {"authorization": "Bearer cgk_aaaaaaaa_" + "x" * 43}


@asynccontextmanager
async def served(app: Any, settings: Settings | None = None, **changed: Any) -> AsyncIterator[int]:
    """The application as `calgate serve` serves it, but for what is changed of uvicorn's configuration; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = asyncio.Event()
        config: uvicorn.Config = config_of(app, settings or Settings())
        for name, value in {"timeout_graceful_shutdown": 1, **changed}.items():
            setattr(config, name, value)
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
            async with asyncio.timeout(30):
                assert await reader.read() == b""
            if feeding is not None:
                feeding.cancel()
            writer.close()


async def drip(writer: asyncio.StreamWriter, drop: bytes = b"x") -> None:
    with suppress(ConnectionError):
        while True:
            writer.write(drop)
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


UNREAD = b"POST /webhooks/endpoints HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("rest", "drop"),
    [
        pytest.param(b"", b"x", id="dripping its body"),
        pytest.param(b"x" * 1000, b"", id="sending its body late"),
        pytest.param(b"x" * 1000, b"\r\n", id="dripping empty lines"),
    ],
)
async def test_who_was_answered_holds_the_connection_no_longer_than_an_idle_one(
    api: Litestar, rest: bytes, drop: bytes
) -> None:
    async with served(api, timeout_keep_alive=0.5) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UNREAD)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401 ")
        writer.write(rest)
        feeding = asyncio.create_task(drip(writer, drop))
        async with asyncio.timeout(30):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        feeding.cancel()
        writer.close()


async def test_a_body_that_ends_after_its_answer_leaves_the_connection_to_the_next_request(api: Litestar) -> None:
    async with served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(UNREAD)
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401 ")
            writer.write(b"x" * 500)
            await writer.drain()
            writer.write(b"x" * 500 + b"\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        writer.close()


HEADS = {
    "one header": (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Big: ", b"x"),
    "many headers": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"X-Many: 1\r\n"),
    "a request line": (b"GET /", b"x"),
}
BODIES = {
    "trailers": (b"POST /calendars HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Many: 1\r\n"),
    "a chunk's head": (b"POST /calendars HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize(("start", "more"), HEADS.values(), ids=HEADS)
async def test_a_head_without_end_is_431_and_costs_no_memory(
    api: Litestar, start: bytes, more: bytes, kept: bool
) -> None:
    async with served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if kept:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        before = resident()
        flooding = asyncio.create_task(flood(writer, start, more))
        async with asyncio.timeout(30):
            answer = await reader.read()
        grown = resident() - before
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert b"headers_too_large" in answer
        assert grown < 20
        await flooding
        writer.close()


@pytest.mark.parametrize(("start", "more"), BODIES.values(), ids=BODIES)
async def test_what_is_no_body_has_an_end(api: Litestar, start: bytes, more: bytes) -> None:
    async with served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        before = resident()
        flooding = asyncio.create_task(flood(writer, start, more))
        async with asyncio.timeout(30):
            with suppress(ConnectionError):
                await reader.read()
        await flooding
        assert resident() - before < 20
        writer.close()


async def test_many_long_heads_on_one_connection_are_each_short_enough(api: Litestar) -> None:
    async with served(api) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(10):
            assert (await client.get("/health/live", headers={"x-big": "x" * 50_000})).status_code == 200
        assert (await client.get("/health/live", headers={"x-big": "x" * 70_000})).status_code == 431


async def test_a_trailer_is_no_header(api: Litestar) -> None:
    async with served(api) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        writer.write(b"0\r\nX-Request-Id: smuggled\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"smuggled" not in answer
        writer.close()


async def flood(writer: asyncio.StreamWriter, start: bytes, more: bytes, size: int = 64 * 2**20) -> None:
    block = more * (2**18 // len(more))
    with suppress(ConnectionError):
        writer.write(start)
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0)


def resident() -> float:
    """What this process has in memory, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_forwarded_address_counts_only_from_a_proxy_that_is_trusted(api: Litestar, trusted: bool) -> None:
    settings = Settings(trusted_proxies=(ip_network("127.0.0.1/32"),) if trusted else ())
    async with served(api, settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [
            (await client.get("/project", headers=WRONG | {"x-forwarded-for": f"203.0.113.{number}"})).status_code
            for number in range(120)
        ]
    assert set(answers) == ({401} if trusted else {401, 429}), "a client cannot choose whose bucket it empties"


async def test_line_breaks_and_colours_that_users_send_are_no_lines_of_the_log(
    api: Litestar, keys: dict[str, str]
) -> None:
    harm, sink, root = "a\n\x1b[31mb", io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("debug", "json", sink)
    try:
        transport = httpx.ASGITransport(AccessLog(api))  # type: ignore[arg-type]
        given = {"x-api-key": keys["admin"], "x-request-id": "a [31mb"}
        async with httpx.AsyncClient(transport=transport, base_url="http://calgate.test", headers=given) as client:
            await client.patch("/project", json={"name": harm})
            await client.get("/calendars/" + quote(harm))
            refused = await client.post("/webhooks/endpoints", json={"url": f"https://x.example/{harm}"})
            hook = {"url": f"http://127.0.0.1:8999/{quote(harm)}", "description": harm}
            taken = await client.post("/webhooks/endpoints", json=hook)
    finally:
        root.handlers[:], root.level = before
    assert (taken.status_code, refused.status_code) == (201, 422)
    lines = sink.getvalue().splitlines()
    assert sum("route" in json.loads(line) for line in lines) == 4
    assert all(line.isprintable() for line in lines)


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
