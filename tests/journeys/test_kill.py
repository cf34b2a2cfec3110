"""`kill -9` of the real process at random moments: nothing is lost, and what comes twice comes under the same id."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from gateway_process import GatewayProcess
from judgement import let_leases_run_out
from killing import Mortal, client, kill_again_and_again
from office import Office
from recording_receiver import Receiver, listening

from simulator.google.world import World
from simulator.server import serve as serve_world

pytestmark = pytest.mark.anyio
KILLS = 10
CALENDARS = 20
STARTS = 40


class Stage:
    """A world, a receiver, and a gateway on a SQLite file that has the simulated provider's addresses."""

    def __init__(self, world: World, receiver: Receiver, google: str, hook: str, folder: Path) -> None:
        self.world = world
        self.receiver = receiver
        self.hook = f"{hook}/hook"
        self.database_url = f"sqlite:///{folder / 'calgate.db'}"
        self.gateway = GatewayProcess.beside(google, folder, self.database_url)


@pytest.fixture
async def stage(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Stage]:
    world, receiver = World(seed=7), Receiver()
    world.set_push(retry_delays=[0.2] * 200)
    async with serve_world(world) as google, listening(receiver) as hook:
        made = Stage(world, receiver, google, hook, tmp_path)
        try:
            await made.gateway.start()
            yield made
        finally:
            await made.gateway.kill()


async def test_killed_at_any_moment_it_loses_nothing(stage: Stage) -> None:
    office = Office(stage.world, [f"user{number}@example.com" for number in range(CALENDARS)], Random(7))
    mortal = Mortal(stage.gateway, stage.database_url, office, stage.receiver)
    verdict = await kill_again_and_again(mortal, stage.hook, KILLS, Random(3))
    assert verdict.lost == 0, verdict
    assert verdict.delivered == verdict.changes > KILLS, "each change, and each once"
    assert verdict.inexplicable == 0, "nothing came twice but what was on its way at a kill"
    assert verdict.altered == 0, "what came twice came with the same bytes"
    assert verdict.during_sync > 0, "no kill hit a sync"
    assert verdict.during_delivery > 0, "no kill hit a delivery"


async def test_killed_while_meetings_are_announced_it_announces_each_once(stage: Stage) -> None:
    random, gateway = Random(3), stage.gateway
    office = Office(stage.world, ["ada@example.com"], random)
    for number in range(STARTS):
        stage.world.add_meeting("ada@example.com", f"{number}", in_minutes=50)
    leads: list[int] = []
    async with client(gateway) as http:
        await http.post("/webhooks/endpoints", json={"url": stage.hook, "event_types": ["meeting.starting"]})
        made = (await http.post("/calendars", json=office.credentials("ada@example.com"))).json()
        async with asyncio.timeout(120):
            while (await http.get(f"/calendars/{made['id']}")).json()["status"] != "active":
                await asyncio.sleep(0.05)
    for _ in range(5):
        async with client(gateway) as http:
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
        await let_leases_run_out(stage.database_url)
        await gateway.start()
    async with asyncio.timeout(120):
        while len(stage.receiver.bodies) < STARTS * len(leads):
            await asyncio.sleep(0.05)
    await stage.receiver.until_quiet(0.3)
    told = stage.receiver.told("meeting.starting")
    assert Counter((each["event"]["title"], each["lead_seconds"]) for each in told) == {
        (f"{number}", lead): 1 for number in range(STARTS) for lead in leads
    }
