"""Kills a gateway again and again while people edit and webhooks leave, and then judges what became of every change.

start ──► edits, syncs, webhooks ──► kill -9 at a random moment ──► what it held ──► its leases run out ──► start …
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from time import monotonic
from typing import NamedTuple

import httpx
from gateway_process import GatewayProcess
from judgement import Differences, held, let_leases_run_out, until_equal
from office import Office
from recording_receiver import Arrival, Receiver

LONGEST_LIFE = 1.2
"""Seconds that a gateway has at most, once it listens."""

EDIT_EVERY = 0.03
ANSWERS_WITHIN = 0.1
"""Seconds in which the receiver answers, so that there always is something on its way."""

LISTS_WITHIN = 0.3
"""And in which the provider lists."""


class Verdict(NamedTuple):
    """What came of it. `inexplicable` are repetitions of what no gateway held when it was killed."""

    kills: int
    during_sync: int
    during_delivery: int
    edits: int
    changes: int
    delivered: int
    differences: Differences
    duplicates: int
    held: int
    inexplicable: int
    altered: int
    seconds: float

    @property
    def lost(self) -> int:
        return self.differences.lost


class Mortal:
    """A gateway that is killed, the office whose calendars it reads, and the receiver that it tells."""

    def __init__(self, gateway: GatewayProcess, database_url: str, office: Office, receiver: Receiver) -> None:
        self.gateway = gateway
        self.office = office
        self.receiver = receiver
        self._url = database_url
        self._kills = 0
        self._during: Counter[str] = Counter()
        self._allowed: Counter[Arrival] = Counter()
        self._held = 0

    async def kill(self) -> None:
        """`kill -9`, a look at what it held, and a new life."""
        await self.gateway.kill()
        # What it had sent is read, and a database that heard its last word has acted on it.
        await self.receiver.until_quiet(0.1)
        found = await held(self._url, self.receiver)
        self._kills += 1
        self._during["sync"] += found.syncs > 0
        self._during["delivery"] += found.deliveries > 0
        self._held += found.sent.total()
        self._allowed += found.sent
        await let_leases_run_out(self._url)
        await self.gateway.start()

    def judge(self, differences: Differences, seconds: float) -> Verdict:
        changes = self.receiver.told("event.")
        return Verdict(
            kills=self._kills,
            during_sync=self._during["sync"],
            during_delivery=self._during["delivery"],
            edits=self.office.edits,
            changes=max((change["seq"] for change in changes), default=0),
            delivered=len(changes),
            differences=differences,
            duplicates=self.receiver.repeated.total(),
            held=self._held,
            inexplicable=(self.receiver.repeated - self._allowed).total(),
            altered=len(self.receiver.altered),
            seconds=seconds,
        )


def client(gateway: GatewayProcess) -> httpx.AsyncClient:
    """Of a gateway's API."""
    headers = {"authorization": f"Bearer {gateway.key}"}
    return httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=30)


async def connect(http: httpx.AsyncClient, office: Office, hook: str) -> dict[str, str]:
    """Connect an office's calendars with an endpoint for all that happens on them; ids by account, once all are active."""
    answer = await http.post("/webhooks/endpoints", json={"url": hook, "event_types": ["event.*", "calendar.*"]})
    assert answer.status_code == 201, answer.text
    ids = {}
    for email in office.emails:
        answer = await http.post("/calendars", json=office.credentials(email))
        assert answer.status_code == 201, answer.text
        ids[email] = answer.json()["id"]
    await until_watched(http, list(ids.values()))
    return ids


async def until_watched(http: httpx.AsyncClient, ids: Sequence[str], seconds: float = 30) -> None:
    """Wait until calendars are active and the provider has agreed to tell of their changes."""
    async with asyncio.timeout(seconds):
        for calendar_id in ids:
            while True:
                shown = (await http.get(f"/calendars/{calendar_id}/sync")).json()
                if shown["status"] == "active" and shown["push"]["enabled"]:
                    break
                await asyncio.sleep(0.05)


async def kill_again_and_again(
    mortal: Mortal, hook: str, kills: int, random: Random, patience: float = 30.0
) -> Verdict:
    """Connect the office, kill the gateway so often, and wait at most `patience` seconds until nothing is missing."""
    began = monotonic()
    office, receiver = mortal.office, mortal.receiver
    async with client(mortal.gateway) as http:
        ids = await connect(http, office, hook)
    receiver.pause = ANSWERS_WITHIN
    office.world.add_fault("latency", endpoint="events.list", seconds=LISTS_WITHIN)
    work = asyncio.create_task(office.work(EDIT_EVERY))
    try:
        for _ in range(kills):
            await asyncio.sleep(random.random() * LONGEST_LIFE)
            await mortal.kill()
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    async with client(mortal.gateway) as http:
        found = await until_equal(office, http, ids, receiver, patience)
    await receiver.until_quiet(0.3)
    return mortal.judge(found, monotonic() - began)
