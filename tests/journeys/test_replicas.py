"""Two replicas on one PostgreSQL: each calendar is read by one at a time, and each change is told once."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.server import serve

pytestmark = pytest.mark.anyio

CALENDARS = 12
ROUNDS = 3


class Receiver:
    """Keeps every webhook that it is sent, in the order in which they came."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # the sender died halfway: nothing was received
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.got.append((headers["webhook-id"], body))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    app = Receiver()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield app, f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    server.should_exit = True
    await task


class Replica:
    """`calgate serve` as a process of its own."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", str(self.port)],
            env={**os.environ, **environment},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    async def ready(self) -> None:
        async with httpx.AsyncClient() as http, asyncio.timeout(120):
            while True:
                assert self.process.poll() is None, "".join(self.lines)
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.url}/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    @property
    def key(self) -> str | None:
        found = re.search(r"cgk_\S+", "".join(self.lines))
        return found.group() if found else None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    running: list[Replica] = []
    yield running
    codes = [replica.stop() for replica in running]
    assert codes == [0] * len(running)


async def test_two_replicas_share_the_work_and_tell_each_change_once(
    postgresql_url: str, tmp_path: Path, receiver: tuple[Receiver, str], replicas: list[Replica]
) -> None:
    world = World(seed=3)
    emails = [f"user{number}@example.com" for number in range(CALENDARS)]
    for email in emails:
        world.connect(email)
        for minutes in (20, 200):
            world.add_meeting(email, f"{email} in {minutes}", in_minutes=minutes)
    async with serve(world) as google:
        environment = {
            "CALGATE_DATABASE_URL": postgresql_url,
            "CALGATE_SECRET_KEYS": generate_key(),
            "CALGATE_GOOGLE_API_URL": f"{google}/calendar/v3",
            "CALGATE_GOOGLE_TOKEN_URL": f"{google}/token",
            "CALGATE_ALLOW_NETWORKS": "127.0.0.0/8",
            "CALGATE_LOG_LEVEL": "warning",
        }
        replicas += [Replica(environment, tmp_path) for _ in range(2)]
        for replica in replicas:
            await replica.ready()
        key = replicas[0].key or replicas[1].key
        assert key is not None, "neither replica printed the first key"
        headers = {"Authorization": f"Bearer {key}"}
        app, hook = receiver
        async with (
            httpx.AsyncClient(base_url=replicas[0].url, headers=headers, timeout=20) as one,
            httpx.AsyncClient(base_url=replicas[1].url, headers=headers, timeout=20) as two,
        ):
            answer = await one.post("/webhooks/endpoints", json={"url": hook, "event_types": ["event.*"]})
            assert answer.status_code == 201, answer.text
            await connect_all(world, emails, one, two)
            await wait_for(one, lambda seq: seq == 2 * CALENDARS)
            overlaps = await edit_and_resync(world, emails, one, two)
            expected = CALENDARS * (2 + ROUNDS)
            changes = await wait_for(two, lambda seq: seq == expected)
            await settle_down(app, CALENDARS * ROUNDS)

    assert [change["seq"] for change in changes] == list(range(1, expected + 1))
    assert Counter(change["kind"] for change in changes) == {"created": 2 * CALENDARS, "updated": CALENDARS * ROUNDS}
    assert overlaps == []
    assert Counter(Counter(sent for sent, _ in app.got).values()) == {1: CALENDARS * ROUNDS}


async def connect_all(world: World, emails: list[str], *replicas: httpx.AsyncClient) -> None:
    """Connect half of the accounts through each replica."""
    for number, email in enumerate(emails):
        body = {"provider": "google", **world.connect(email)}
        del body["email"]
        answer = await replicas[number % len(replicas)].post("/calendars", json=body)
        assert answer.status_code == 201, answer.text


async def edit_and_resync(world: World, emails: list[str], *replicas: httpx.AsyncClient) -> list[str]:
    """Edit every calendar and ask both replicas to read all of them at once; calendars that two were reading."""
    overlaps: list[str] = []
    busy: Counter[str] = Counter()
    handle = world.handle

    def watched(request: Any) -> Any:
        found = re.search(r"/calendars/([^/]+)/events$", request.path)
        answer = handle(request)
        if found and request.method == "GET":
            name = found.group(1)
            busy[name] += 1
            if busy[name] > 1:
                overlaps.append(name)
            answer.delay = 0.05
            asyncio.get_running_loop().call_later(0.05, busy.subtract, {name: 1})
        return answer

    world.handle = watched  # type: ignore[method-assign]
    for turn in range(ROUNDS):
        for email in emails:
            event = world.read_truth(email)[0]
            world.edit_event(email, event["id"], {"summary": f"turn {turn}"})
        await asyncio.gather(*(replica.post("/calendars/resync") for replica in replicas))
        await wait_for(replicas[0], lambda seq, turn=turn: seq == len(emails) * (3 + turn))
    return overlaps


async def wait_for(http: httpx.AsyncClient, done: Any) -> list[dict[str, Any]]:
    """Read the change log until its last number is as expected; all of it."""
    changes: list[dict[str, Any]] = []
    async with asyncio.timeout(120):
        while not done(changes[-1]["seq"] if changes else 0):
            after = changes[-1]["seq"] if changes else 0
            answer = await http.get("/changes", params={"after": after, "limit": 250, "wait": 1})
            changes += answer.json()["data"]
    return changes


async def settle_down(app: Receiver, count: int) -> None:
    """Wait for the webhooks, and a moment for those that should not come."""
    async with asyncio.timeout(120):
        while len(app.got) < count:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
