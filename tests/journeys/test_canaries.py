"""Secrets stay secret: a gateway works, fails, is throttled, killed and backed up, and no byte that it leaves has one of them."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from gateway_process import GatewayProcess
from own_postgresql import PostgreSQL
from recording_receiver import Receiver, listening

from simulator.google.world import World
from simulator.server import serve as serve_world

pytestmark = pytest.mark.anyio
ADA, GRACE = "ada@example.com", "grace@example.com"
HEADER = "canary-runner-4f1b9c27"
CONFIG = "canary-config-77ad01c3"
PASSWORD = "canary-password-0c9e5d"
FEED = "canary-feed-51be7720"
RING = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
MEETING = "Review of the aviary"


class Scene:
    """A gateway that logs everything, its world, and every answer that it gave; `server` where it works on PostgreSQL."""

    def __init__(
        self, world: World, receiver: Receiver, gateway: GatewayProcess, hook: str, server: PostgreSQL | None
    ) -> None:
        self.world, self.receiver, self.gateway, self.hook, self.server = world, receiver, gateway, hook, server
        self.answers: list[bytes] = []
        self.secrets: dict[str, str] = {"runner": HEADER, "password": PASSWORD, "feed": FEED}

    async def ask(self, method: str, path: str, *, revealing: bool = False, **more: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.gateway.url, timeout=20) as http:
            answer = await http.request(method, path, headers={"authorization": f"Bearer {self.gateway.key}"}, **more)
        if not revealing:
            self.answers.append(answer.content + str(answer.headers).encode())
        with suppress(ValueError):
            return answer.json()

    async def until(self, calendar_id: str, status: str) -> None:
        async with asyncio.timeout(120):
            while (await self.ask("GET", f"/calendars/{calendar_id}"))["status"] != status:
                await asyncio.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def scene(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Scene]:
    world, receiver = World(seed=11), Receiver()
    more = {"LOG_LEVEL": "debug", "POLL_SECONDS": "1"}
    url, server = f"sqlite:///{tmp_path / 'calgate.db'}", None
    if request.param == "postgresql":
        # A server of its own, so that all that lies in its folder is this gateway's; where others than us may enter.
        server = await asyncio.to_thread(PostgreSQL, Path(tempfile.gettempdir(), f"calgate-{uuid4().hex[:12]}"))
        url = server.url
        more["SECRET_KEYS"] = f"k1:{RING}"
    async with serve_world(world) as google, listening(receiver) as hook:
        gateway = GatewayProcess.beside(google, tmp_path, url, **more)
        try:
            await gateway.start()
            yield Scene(world, receiver, gateway, f"{hook}/hook", server)
        finally:
            await gateway.kill()
            if server is not None:
                await asyncio.to_thread(server.server.cleanup)


async def work(scene: Scene) -> None:
    """Everything that touches a secret, good and bad."""
    given = scene.world.connect(ADA)
    scene.secrets |= {"refresh token": given["refresh_token"], "client secret": given["client_secret"]}
    scene.secrets["API key"] = str(scene.gateway.key).split("_", 2)[2]
    wanted = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
    row = scene.world.add_meeting(ADA, MEETING, in_minutes=60)
    calendar = await scene.ask("POST", "/calendars", json={"provider": "google", **wanted})
    await scene.until(calendar["id"], "active")
    types = ["calendar.*", "event.*", "meeting.*"]
    for form in ("standard", "meeting_baas_v1", "meeting_baas_v2"):
        body = {"url": scene.hook, "format": form} | ({"event_types": types} if form == "standard" else {})
        made = await scene.ask("POST", "/webhooks/endpoints", revealing=True, json=body)
        scene.secrets[f"webhook {form}"] = made["secret"].removeprefix("whsec_")
        rotated = await scene.ask("POST", f"/webhooks/endpoints/{made['id']}/rotate_secret", revealing=True, json={})
        scene.secrets[f"rotated {form}"] = rotated["secret"].removeprefix("whsec_")
        await scene.ask("POST", f"/webhooks/endpoints/{made['id']}/test", json={})
    runner = {"kind": "http", "url": scene.hook, "headers": {"authorization": f"Bearer {HEADER}"}}
    await scene.ask("PUT", "/bot_runner", json=runner)
    (event,) = [each for each in (await scene.ask("GET", "/events"))["data"] if each["title"] == MEETING]
    await scene.ask("PUT", f"/events/{event['id']}/bot", revealing=True, json={"config": {"api_key": CONFIG}})
    # What fails has secrets in its hands, too.
    wrong = {"provider": "google", **wanted, "refresh_token": f"1//{FEED}"}
    for path in ("/calendars", "/calendars/raw"):
        await scene.ask("POST", path, json=wrong)
        await scene.ask("POST", path, json={"provider": "google", **wanted, "client_secret": PASSWORD})
        login = {"server_url": f"{scene.gateway.url}/dav/", "username": "ada", "password": PASSWORD}
        await scene.ask("POST", path, json={"provider": "caldav", **login})
        await scene.ask("POST", path, json={"provider": "ics", "url": f"{scene.hook}?token={FEED}"})
    await scene.ask("GET", f"/connect/google/callback?code={FEED}")
    await scene.ask("POST", "/calendars", content=b'{"refresh_token": "' + FEED.encode() + b'", ' + b"\xff}")
    await scene.ask("POST", "/calendars", json={"provider": "google", "password": PASSWORD})
    # A rotated client, a revoked user, a full day's quota.
    scene.world.set_client(given["client_id"], client_secret="GOCSPX-another")
    scene.world.expire_access_tokens()
    await scene.ask("POST", f"/calendars/{calendar['id']}/resync", json={"full": True})
    await scene.until(calendar["id"], "error")
    scene.world.set_client(given["client_id"], client_secret=given["client_secret"])
    await scene.ask("PATCH", f"/calendars/{calendar['id']}", json={"credentials": {"provider": "google", **wanted}})
    await scene.ask("PATCH", f"/calendars/{calendar['id']}", json={"provider": "google", **wanted})
    await scene.until(calendar["id"], "active")
    scene.world.move_event(ADA, row["id"], by_minutes=30)
    for path in (
        "/metrics",
        "/health/ready",
        "/project",
        "/webhooks/messages",
        "/webhooks/endpoints",
        "/changes",
        "/audit",
    ):
        await scene.ask("GET", path)


def calgate(scene: Scene, *arguments: str) -> None:
    environment = scene.gateway._environment
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=scene.gateway.folder,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    (scene.gateway.folder / f"said-{arguments[0]}.log").write_bytes(done.stdout + done.stderr)


async def test_no_byte_that_a_gateway_leaves_has_a_secret(scene: Scene) -> None:
    await work(scene)
    tokens = {f"access {number}": token for number, token in enumerate(scene.world.access_tokens)}
    assert tokens, "no access token was ever given out"
    for arguments in (("secrets", "rotate"), ("audit", "list"), ("keys", "list")):
        await asyncio.to_thread(calgate, scene, *arguments)
    left = await (left_by_sqlite(scene) if scene.server is None else left_by_postgresql(scene, scene.server))
    assert len(left[scene.gateway.log.name]) > 1000, "the log says nothing, so it proves nothing"
    left["answers"] = b"\n".join(scene.answers)
    everything = scene.secrets | tokens | {"config": CONFIG} | ({"ring": RING} if scene.server else {})
    assert hits(everything, left) == []


def hits(secrets: Mapping[str, str], left: Mapping[str, bytes]) -> list[str]:
    """Which secret is where, as it is or in the hexadecimal form in which a dump shows bytes."""
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, content in left.items()
        if secret.encode() in content or (place.endswith(".sql") and secret.encode().hex().encode() in content)
    ]


async def left_by_sqlite(scene: Scene) -> dict[str, bytes]:
    """All files of a gateway that was killed, its backup among them."""
    await asyncio.to_thread(calgate, scene, "backup", "copy.db")
    await scene.gateway.kill()
    left = files_in(scene.gateway.folder)
    assert {"calgate.db", "calgate.db-wal", "copy.db"} <= set(left), sorted(left)
    assert hits({"what is no secret": MEETING}, {"it": left["calgate.db"] + left["calgate.db-wal"]})
    return left


async def left_by_postgresql(scene: Scene, server: PostgreSQL) -> dict[str, bytes]:
    """All files of a gateway that was killed, those of its server, and a dump, in which nothing is compressed."""
    await scene.gateway.kill()
    path = f"{server.server.bin_path}:{os.environ['PATH']}"
    dump = ["pg_dump", f"--file={scene.gateway.folder / 'copy.sql'}", server.url]
    await asyncio.to_thread(subprocess.run, dump, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    await server.run("CHECKPOINT")
    left = files_in(scene.gateway.folder) | files_in(server.folder)
    places = {"copy.sql": "a dump", "pg/base/": "tables", "pg/pg_wal/": "the log of changes"}
    for begins, what in places.items():
        found = {place: content for place, content in left.items() if place.startswith(begins)}
        assert hits({"what is no secret": MEETING}, found), f"nothing is found in {what}"
    assert MEETING.encode().hex().encode() in left["copy.sql"], "bytes are shown as numbers, which are looked for, too"
    return left


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path in it."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a server tidies up
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found
