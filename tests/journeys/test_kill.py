"""`kill -9` of the real process at random moments: nothing is lost, and what comes twice comes under the same id."""

import asyncio
import os
import re
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from sqlalchemy import update

from service.store.database import Database
from service.store.tables import CalendarRow, ConnectionRow
from simulator.google.world import World
from simulator.server import EmbeddedServer
from simulator.server import serve as serve_world
from webhooks import tables

pytestmark = pytest.mark.anyio
PEOPLE = ["ada@example.com", "grace@example.com", "lin@example.com"]
KILLS = 10
STARTS = 40
CALENDARS = CalendarRow.metadata.tables["calendars"]
CONNECTIONS = ConnectionRow.metadata.tables["connections"]


class Receiver:
    """Believes what it is sent, and remembers under which id."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.repeated = 0

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
        known = self.bodies.setdefault(headers["webhook-id"], body)
        assert known == body, "another message under a known id"
        self.repeated += known is not body
        with suppress(OSError):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    def changes(self) -> list[dict[str, Any]]:
        """The changes in `event.*` messages by `seq`."""
        told = (msgspec.json.decode(body) for body in self.bodies.values())
        return sorted(
            (each["data"] for each in told if each["type"].startswith("event.")), key=lambda each: each["seq"]
        )


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = EmbeddedServer(uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class Gateway:
    """The process, started again and again on one SQLite file and one port."""

    def __init__(self, folder: Path, google: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CALGATE_")},
            "CALGATE_GOOGLE_API_URL": f"{google}/calendar/v3",
            "CALGATE_GOOGLE_TOKEN_URL": f"{google}/token",
            "CALGATE_ALLOW_NETWORKS": "127.0.0.0/8",
            "CALGATE_PUBLIC_URL": self.url,
            "CALGATE_LOG_LEVEL": "error",
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Run it until it says where it listens; everything that it said."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "serve", "--port", str(self.port)),
            cwd=self.folder,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        said = ""
        async with asyncio.timeout(30):
            while "listens on" not in said:
                line = await self.process.stdout.readline()
                assert line, said
                said += line.decode()
        return said

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.communicate()

    async def let_leases_run_out(self) -> None:
        """As if half a minute had passed: what the dead process held is free."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        async with Database.connect(f"sqlite:///{self.folder / 'calgate.db'}") as database, database.write() as conn:
            await conn.execute(
                update(CALENDARS).where(CALENDARS.c.lease.is_not(None)).values(leased_until=past, due_at=past)
            )
            await conn.execute(update(CONNECTIONS).values(refresh_leased_until=past))
            leased = tables.deliveries.c.lease.is_not(None)
            await conn.execute(update(tables.deliveries).where(leased).values(next_at=past))


async def until_all_agree(http: httpx.AsyncClient, world: World, receiver: Receiver, ids: dict[str, str]) -> None:
    expected = {email: truth(world, email) for email in PEOPLE}
    stored, told, last = {}, 0, 0
    for _ in range(200):
        stored = {email: await titles(http, ids[email]) for email in PEOPLE}
        last = (await http.get("/changes", params={"limit": 250})).json()["last_seq"]
        told = len(receiver.changes())
        if stored == expected and told == last:
            return
        await asyncio.sleep(0.1)
    assert (stored, told) == (expected, last)


async def titles(http: httpx.AsyncClient, calendar_id: str) -> dict[str, str]:
    page = (await http.get(f"/calendars/{calendar_id}/events", params={"limit": 250})).json()
    return {each["provider_event_id"]: each["title"] for each in page["data"] if each["status"] != "cancelled"}


def truth(world: World, email: str) -> dict[str, str]:
    return {row["id"]: row["summary"] for row in world.read_truth(email)}


async def connect(http: httpx.AsyncClient, world: World, hook: str) -> dict[str, str]:
    made = await http.post("/webhooks/endpoints", json={"url": hook, "event_types": ["event.*", "calendar.*"]})
    assert made.status_code == 201, made.text
    ids = {}
    for email in PEOPLE:
        given = world.connect(email)
        body = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
        answer = await http.post("/calendars", json={"provider": "google", **body})
        assert answer.status_code == 201, answer.text
        ids[email] = answer.json()["id"]
    for email in PEOPLE:
        await until_active(http, ids[email])
    return ids


async def until_active(http: httpx.AsyncClient, calendar_id: str) -> None:
    async with asyncio.timeout(10):
        while (await http.get(f"/calendars/{calendar_id}")).json()["status"] != "active":
            await asyncio.sleep(0.05)


def edit(world: World, random: Random, number: int) -> None:
    """What people did: each of them something new, and something changed or cancelled."""
    for email in PEOPLE:
        rows = world.read_truth(email)
        if rows and random.random() < 0.7:
            row = random.choice(rows)
            if random.random() < 0.3:
                world.cancel_event(email, row["id"])
            else:
                world.edit_event(email, row["id"], {"summary": f"{row['summary']}+"})
        world.add_meeting(email, f"{number}", in_minutes=60 + number)


async def test_killed_at_any_moment_it_loses_nothing(tmp_path: Path) -> None:
    random, world, receiver = Random(7), World(seed=7), Receiver()
    world.set_push(retry_delays=[0.2] * 40)
    async with serve_world(world) as google, listening(receiver) as hook:
        gateway = Gateway(tmp_path, google)
        try:
            key = re.search(r"cgk_\S+", await gateway.start())
            assert key is not None
            headers = {"authorization": f"Bearer {key[0]}"}
            async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as http:
                ids = await connect(http, world, f"{hook}/hook")
            for number in range(KILLS):
                edit(world, random, number)
                # A push takes a moment; the kill comes before, in or after the read, the write and the delivery.
                await asyncio.sleep(random.random() * 0.3)
                await gateway.kill()
                await gateway.let_leases_run_out()
                await gateway.start()
            async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as http:
                await http.post("/calendars/resync", json={})
                await until_all_agree(http, world, receiver, ids)
                log = (await http.get("/changes", params={"limit": 250})).json()
        finally:
            await gateway.kill()
    assert [change["seq"] for change in log["data"]] == list(range(1, log["last_seq"] + 1))
    told = receiver.changes()
    assert [change["seq"] for change in told] == list(range(1, log["last_seq"] + 1)), "each change, and each once"
    assert [change["event_id"] for change in told] == [change["event_id"] for change in log["data"]]
    assert receiver.repeated <= KILLS * 9, "no more than what can have been in flight"


async def test_killed_while_meetings_are_announced_it_announces_each_once(tmp_path: Path) -> None:
    random, world, receiver = Random(3), World(seed=3), Receiver()
    world.connect(PEOPLE[0])
    for number in range(STARTS):
        world.add_meeting(PEOPLE[0], f"{number}", in_minutes=50)
    leads: list[int] = []
    async with serve_world(world) as google, listening(receiver) as hook:
        gateway = Gateway(tmp_path, google)
        try:
            key = re.search(r"cgk_\S+", await gateway.start())
            assert key is not None
            headers = {"authorization": f"Bearer {key[0]}"}
            async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as http:
                await http.post(
                    "/webhooks/endpoints", json={"url": f"{hook}/hook", "event_types": ["meeting.starting"]}
                )
                given = world.connect(PEOPLE[0])
                body = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
                made = await http.post("/calendars", json={"provider": "google", **body})
                await until_active(http, made.json()["id"])
            for _ in range(5):
                async with httpx.AsyncClient(base_url=gateway.url, headers=headers) as http:
                    coming = (await http.get("/meetings", params={"limit": 1})).json()["data"][0]
                    starts_at = datetime.fromisoformat(coming["starts_at"])
                    # Its moment comes within two seconds, for every meeting.
                    leads.append(int((starts_at - datetime.now(UTC)).total_seconds()) - 1)
                    answer = await http.patch("/project", json={"starting_lead_seconds": leads})
                    assert answer.status_code == 200, answer.text
                moment = starts_at - timedelta(seconds=leads[-1])
                # The kill comes before, in or after the claim and the delivery.
                await asyncio.sleep((moment - datetime.now(UTC)).total_seconds() + random.random() * 0.15)
                await gateway.kill()
                await gateway.let_leases_run_out()
                await gateway.start()
            async with asyncio.timeout(20):
                while len(receiver.bodies) < STARTS * len(leads):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
        finally:
            await gateway.kill()
    told = [msgspec.json.decode(body)["data"] for body in receiver.bodies.values()]
    assert Counter((each["event"]["title"], each["lead_seconds"]) for each in told) == {
        (f"{number}", lead): 1 for number in range(STARTS) for lead in leads
    }
