"""What holds for every request: ids, headers, hosts, HEAD, slashes, faults; and over a real socket, slow bodies."""

import asyncio
import contextlib
import dataclasses
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from flows.stage import Stage
from litestar import Litestar, get

from service.api.draining import Draining
from service.api.edge import Edge
from service.api.problems import EXCEPTION_HANDLERS
from service.api.routes import create_api
from service.store.database import DatabaseUnavailable

pytestmark = pytest.mark.anyio


async def test_every_response_has_an_id_and_careful_headers(
    call: httpx.AsyncClient, anybody: httpx.AsyncClient
) -> None:
    answers = [
        await call.get("/calendars"),
        await anybody.get("/calendars"),
        await anybody.get("/nowhere"),
        await anybody.put("/calendars"),
        await anybody.get("/health/live"),
        await anybody.get("/", headers={"host": "a", "x-big": "x" * 70_000}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 405, 200, 431]
    for answer in answers:
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            assert answer.json()["type"] == f"urn:calgate:problem:{answer.json()['code']}"
    assert "GET" in answers[3].headers["allow"]


async def test_metrics_name_their_charset_once(anybody: httpx.AsyncClient) -> None:
    kind = (await anybody.get("/metrics")).headers["content-type"]
    assert kind.startswith("text/plain; version=")
    assert kind.count("charset=utf-8") == 1


async def test_https_is_made_to_stay(api: Litestar) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="https://calgate.test") as client:
        assert (await client.get("/health/live")).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123.X_9:", True), ("a b", False), ("", False), ("x" * 129, False), ("<script>", False), ("ü", False)],
)
async def test_a_sane_request_id_of_the_callers_is_kept(anybody: httpx.AsyncClient, given: str, kept: bool) -> None:
    answer = await anybody.get("/health/live", headers=[(b"x-request-id", given.encode())])
    assert (answer.headers["x-request-id"] == given) is kept


async def test_head_is_get_without_a_body(call: httpx.AsyncClient) -> None:
    full = await call.get("/calendars")
    head = await call.head("/calendars")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == full.headers["content-length"]
    assert (await call.head("/calendars/resync")).status_code == 405


async def test_head_over_a_real_connection_keeps_it_open(
    stage: Stage, keys: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"x-api-key": keys["read"]}
    async with served(create_api(stage.gateway)) as port, httpx.AsyncClient(trust_env=False, headers=headers) as client:
        for path in ("/health/live", "/calendars", "/metrics", "/nowhere"):
            head = await client.head(f"http://127.0.0.1:{port}{path}")
            full = await client.get(f"http://127.0.0.1:{port}{path}")
            assert (head.status_code, head.content) == (full.status_code, b"")
            one, other = (answer.extensions["network_stream"].get_extra_info("client_addr") for answer in (head, full))
            assert one == other, "the connection was dropped"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_both_slash_forms_answer(call: httpx.AsyncClient) -> None:
    assert (await call.get("/calendars/")).status_code == 200
    assert (await call.post("/calendars/resync/")).status_code == 202
    assert (await call.post("/calendars/", json={})).status_code == 422


async def test_headers_have_a_number_and_a_host(anybody: httpx.AsyncClient) -> None:
    many = [(f"x-{n}", "1") for n in range(1000)]
    answer = await anybody.get("/health/live", headers=many)
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
    twice = [("host", "a"), ("host", "b")]
    assert (await anybody.get("/health/live", headers=twice)).status_code == 400


async def test_only_allowed_hosts_are_answered(stage: Stage) -> None:
    gateway = stage.gateway
    settings = msgspec.structs.replace(gateway.settings, allowed_hosts=("calgate.test", "*.example.com"))
    api = create_api(dataclasses.replace(gateway, settings=settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://calgate.test") as client:

        async def status(host: str, path: str = "/calendars") -> int:
            return (await client.get(path, headers={"host": host})).status_code

        assert [await status(host) for host in ("calgate.test", "CALGATE.test:8420", "a.example.com")] == [401] * 3
        assert [await status(host) for host in ("evil.com", "example.com", "xcalgate.test", "a.example.com.evil")] == [
            400
        ] * 4
        assert await status("10.0.0.7:8420", "/health/live") == 200


async def test_a_fault_is_500_one_log_line_and_no_leak(caplog: pytest.LogCaptureFixture) -> None:
    @get("/fault")
    async def fault() -> None:
        raise RuntimeError("hush-password")

    @get("/away")
    async def away() -> None:
        raise DatabaseUnavailable("locked")

    app = Litestar([fault, away], exception_handlers=EXCEPTION_HANDLERS, logging_config=None, openapi_config=None)
    app.asgi_handler = Edge(app.asgi_handler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        with caplog.at_level(logging.INFO):
            answer = await client.get("/fault?token=hush")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "hush" not in answer.text
        (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert record.exc_info
        assert record.__dict__["request_id"] == answer.headers["x-request-id"]
        busy = await client.get("/away")
        assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (503, "unavailable", "2")


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(200):
        if happened():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(app, log_config=None, lifespan="off", http="httptools", server_header=False)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        try:
            yield port
        finally:
            server.should_exit = True
            await task


async def spoken(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_does_not_arrive_is_408_and_the_connection_ends(stage: Stage, keys: dict[str, str]) -> None:
    async with served(create_api(stage.gateway, body_seconds=0.2)) as port:
        head = (
            f"POST /calendars HTTP/1.1\r\nHost: x\r\nx-api-key: {keys['admin']}\r\nContent-Type: application/json\r\n"
        )
        answer = await spoken(port, head.encode() + b"Content-Length: 500\r\n\r\n{}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_timeout"' in answer
        assert b"connection: close" in answer.lower()
        assert b"\r\nserver:" not in answer.lower()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", id="length-and-chunked"),
        pytest.param(b"Content-Length: 2\r\nContent-Length: 3\r\n", id="two-lengths"),
    ],
)
async def test_an_ambiguous_length_is_400(stage: Stage, lines: bytes) -> None:
    async with served(create_api(stage.gateway)) as port:
        answer = await spoken(port, b"POST /calendars HTTP/1.1\r\nHost: x\r\n" + lines + b"Connection: close\r\n\r\n{}")
        assert answer.startswith(b"HTTP/1.1 400 ")


async def test_no_host_is_400(stage: Stage) -> None:
    async with served(create_api(stage.gateway)) as port:
        answer = await spoken(port, b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_hangs_up_ends_its_long_poll(stage: Stage, keys: dict[str, str]) -> None:
    async with served(create_api(stage.gateway)) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /changes?wait=30 HTTP/1.1\r\nHost: x\r\nx-api-key: {keys['read']}\r\n\r\n".encode())
        topic = f"changes:{stage.project}"
        await until(lambda: topic in stage.gateway.wake._listeners)
        writer.close()
        await writer.wait_closed()
        await until(lambda: topic not in stage.gateway.wake._listeners)


async def test_at_the_end_each_answer_is_the_last_of_its_connection(
    anybody: httpx.AsyncClient, draining: Draining
) -> None:
    assert "connection" not in (await anybody.get("/health/live")).headers
    draining.begin()
    for path in ("/health/live", "/health/ready", "/nowhere"):
        assert (await anybody.get(path)).headers["connection"] == "close"
