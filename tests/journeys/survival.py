"""Two replicas on one PostgreSQL, of which one after the other is killed or stopped in the middle of everything.

    people edit ──► pushes to whoever is there ──► syncs, webhooks, meetings that start ──► one replica ends, and comes back

Both are reached through a balancer, by the provider as well. Meetings are planned so that they are announced all along.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic
from typing import NamedTuple

import httpx
from balancer import Balancer
from gateway_process import GatewayProcess
from judgement import Differences, held, let_leases_run_out, until_equal
from killing import until_watched
from office import Office
from recording_receiver import Arrival, Receiver, listening

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.server import serve

LEADS = (600, 599)
STARTS_A_SECOND = 4
EDIT_EVERY = 0.05
SHORTEST, LONGEST = 0.3, 1.5
"""Seconds that both live before the next one ends."""


class Verdict(NamedTuple):
    """What came of it. `unannounced` and `announced_again` count starts, by meeting and lead time."""

    ends: int
    codes: list[int]
    slowest_end: float
    edits: int
    changes: int
    differences: Differences
    starts: int
    unannounced: int
    announced_again: int
    duplicates: int
    inexplicable: int
    altered: int
    seconds: float


class Pair:
    """Two replicas, what they read and whom they tell."""

    def __init__(
        self, replicas: Sequence[GatewayProcess], url: str, hook: str, office: Office, receiver: Receiver
    ) -> None:
        self.replicas = replicas
        self.office = office
        self.receiver = receiver
        self.hook = hook
        self.planned: set[str] = set()
        self._url = url

    def client(self) -> httpx.AsyncClient:
        key = next(replica.key for replica in self.replicas if replica.key)
        return httpx.AsyncClient(base_url=self._url, headers={"authorization": f"Bearer {key}"}, timeout=30)

    async def connect(self) -> dict[str, str]:
        """Connect all calendars, half of them through each replica, with one endpoint for everything."""
        async with self.client() as http:
            types = ["event.*", "meeting.starting"]
            answer = await http.post("/webhooks/endpoints", json={"url": self.hook, "event_types": types})
            assert answer.status_code == 201, answer.text
            assert (await http.patch("/project", json={"starting_lead_seconds": LEADS})).status_code == 200
            ids = {}
            for email in self.office.emails:
                answer = await http.post("/calendars", json=self.office.credentials(email))
                assert answer.status_code == 201, answer.text
                ids[email] = answer.json()["id"]
            await until_watched(http, list(ids.values()))
        return ids

    def plan(self, seconds: float, random: Random) -> None:
        """Meetings of which some are announced in each of the coming seconds; half of them on two calendars."""
        for number in range(int(seconds * STARTS_A_SECOND)):
            owner, guest = random.sample(self.office.emails, 2)
            guests = [guest] if number % 2 else None
            moment = max(LEADS) + 3 + number / STARTS_A_SECOND
            self.office.world.add_meeting(owner, f"planned {number}", in_minutes=moment / 60, attendees=guests)
            self.planned.add(f"planned {number}")

    def announced(self) -> Counter[tuple[str, int]]:
        told = self.receiver.told("meeting.starting")
        return Counter((each["event"]["title"], each["lead_seconds"]) for each in told)


@asynccontextmanager
async def two_replicas(folder: Path, database_url: str, calendars: int, seed: int) -> AsyncIterator[Pair]:
    """Two gateways that run, behind a balancer, with nothing connected yet."""
    world, receiver, balancer = World(seed=seed), Receiver(pause=0.03), Balancer()
    world.set_push(retry_delays=[0.2] * 200)
    office = Office(world, [f"user{number}@example.com" for number in range(calendars)], Random(seed))
    keys = generate_key()
    async with serve(world) as google, listening(receiver) as hook, listening(balancer) as front:
        replicas = [
            GatewayProcess.beside(google, folder, database_url, SECRET_KEYS=keys, PUBLIC_URL=front) for _ in range(2)
        ]
        balancer.replicas = [replica.url for replica in replicas]
        try:
            await asyncio.gather(*(replica.start() for replica in replicas))
            yield Pair(replicas, front, f"{hook}/hook", office, receiver)
        finally:
            await asyncio.gather(*(replica.kill() for replica in replicas))
            await balancer.aclose()


async def end_in_turn(
    pair: Pair, database_url: str, ends: int, random: Random, *, kill: bool, patient: bool
) -> Verdict:
    """End one replica after the other so often; `patient` waits for the leases of the dead instead of shortening them."""
    began = monotonic()
    ids = await pair.connect()
    pair.plan(ends * 2.5, random)
    pair.office.world.add_fault("latency", endpoint="events.list", seconds=0.1)
    allowed: Counter[Arrival] = Counter()
    codes, slowest = [], 0.0
    work = asyncio.create_task(pair.office.work(EDIT_EVERY))
    try:
        for number in range(ends):
            await asyncio.sleep(SHORTEST + random.random() * (LONGEST - SHORTEST))
            replica = pair.replicas[number % 2]
            if kill:
                await replica.kill()
                allowed += (await held(database_url, pair.receiver)).sent
            else:
                code, seconds = await replica.stop()
                codes.append(code)
                slowest = max(slowest, seconds)
            await replica.start()
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    if kill and not patient:
        await pair.receiver.until_quiet(0.5)
        allowed += (await held(database_url, pair.receiver)).sent
        await let_leases_run_out(database_url)
    differences = await _until_all_came(pair, ids, seconds=60)
    announced = pair.announced()
    wanted = {(title, lead) for title in pair.planned for lead in LEADS}
    return Verdict(
        ends=ends,
        codes=codes,
        slowest_end=slowest,
        edits=pair.office.edits,
        changes=len({change["seq"] for change in pair.receiver.told("event.")}),
        differences=differences,
        starts=len(wanted),
        unannounced=len(wanted - announced.keys()),
        announced_again=sum(number - 1 for number in announced.values()),
        duplicates=pair.receiver.repeated.total(),
        inexplicable=(pair.receiver.repeated - allowed).total(),
        altered=len(pair.receiver.altered),
        seconds=monotonic() - began,
    )


async def _until_all_came(pair: Pair, ids: dict[str, str], seconds: float) -> Differences:
    end = monotonic() + seconds
    wanted = len(pair.planned) * len(LEADS)
    while len(pair.announced()) < wanted and monotonic() < end:
        await asyncio.sleep(0.1)
    async with pair.client() as http:
        found = await until_equal(pair.office, http, ids, pair.receiver, max(1.0, end - monotonic()))
    await pair.receiver.until_quiet(0.5)
    return found
