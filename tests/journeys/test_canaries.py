"""Secrets stay secret: a gateway works, fails, is throttled, killed and backed up, and no byte that it leaves has one of them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_process import GatewayProcess
from recording_receiver import Receiver, listening

from simulator.google.world import World
from simulator.server import serve as serve_world

pytestmark = pytest.mark.anyio
ADA, GRACE = "ada@example.com", "grace@example.com"
HEADER = "canary-runner-4f1b9c27"
CONFIG = "canary-config-77ad01c3"
PASSWORD = "canary-password-0c9e5d"
FEED = "canary-feed-51be7720"


class Scene:
    """A gateway that logs everything, its world, and every answer that it gave."""

    def __init__(self, world: World, receiver: Receiver, gateway: GatewayProcess, hook: str) -> None:
        self.world, self.receiver, self.gateway, self.hook = world, receiver, gateway, hook
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
        async with asyncio.timeout(20):
            while (await self.ask("GET", f"/calendars/{calendar_id}"))["status"] != status:
                await asyncio.sleep(0.1)


@pytest.fixture
async def scene(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Scene]:
    world, receiver = World(seed=11), Receiver()
    async with serve_world(world) as google, listening(receiver) as hook:
        url = f"sqlite:///{tmp_path / 'calgate.db'}"
        gateway = GatewayProcess.beside(google, tmp_path, url, LOG_LEVEL="debug", POLL_SECONDS="1")
        try:
            await gateway.start()
            yield Scene(world, receiver, gateway, f"{hook}/hook")
        finally:
            await gateway.kill()


async def work(scene: Scene) -> None:
    """Everything that touches a secret, good and bad."""
    given = scene.world.connect(ADA)
    scene.secrets |= {"refresh token": given["refresh_token"], "client secret": given["client_secret"]}
    scene.secrets["API key"] = str(scene.gateway.key).rpartition("_")[2]
    wanted = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
    row = scene.world.add_meeting(ADA, "Review", in_minutes=60)
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
    (event,) = [each for each in (await scene.ask("GET", "/events"))["data"] if each["title"] == "Review"]
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
    for path in ("/metrics", "/health/ready", "/project", "/webhooks/messages", "/webhooks/endpoints", "/changes"):
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
    await asyncio.to_thread(calgate, scene, "backup", "copy.db")
    await asyncio.to_thread(calgate, scene, "secrets", "rotate")
    await scene.gateway.kill()
    left = {path.name: path.read_bytes() for path in scene.gateway.folder.rglob("*") if path.is_file()}
    assert {"calgate.db", "calgate.db-wal", "copy.db"} <= set(left), sorted(left)
    assert len(left[scene.gateway.log.name]) > 1000, "the log says nothing, so it proves nothing"
    assert b"Review" in left["calgate.db"] + left["calgate.db-wal"], "what is no secret is found"
    left["answers"] = b"\n".join(scene.answers)
    hits = [
        f"{name} in {place}"
        for name, secret in (scene.secrets | tokens | {"config": CONFIG}).items()
        for place, content in left.items()
        if secret.encode() in content
    ]
    assert hits == []
