"""Events written over the API while the provider loses answers and the gateway is killed: how many are there, and how often.

The real process writes to a simulated provider, of whose answers to writes a third is an error or never comes; every so often
the gateway is ended by `kill -9` and started again. Each client repeats its request, with its Idempotency-Key, until it has
its 201.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final, NamedTuple

import databases
import httpx
import journeys  # noqa: F401  (before what it leads to)
import measure
from gateway_process import GatewayProcess
from measure import Options, Row

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.server import serve

WRITES: Final = 1000
AT_ONCE: Final = 16
KILL_EVERY: Final = 250
"""After so many events the gateway is killed."""

FAULT: Final = 0.1
"""Of all writes so many are refused, so many carried out and answered with an error, so many carried out and not answered."""

EMAIL: Final = "ada@example.com"


class Side(NamedTuple):
    """A provider: what serves it, what connects to it, and the titles that it has."""

    world: World | MicrosoftWorld
    credentials: dict[str, Any]
    titles: Callable[[], list[str]]


def google() -> Side:
    world = World(seed=4)
    given = world.connect(EMAIL)
    credentials = {"provider": "google", **{name: value for name, value in given.items() if name != "email"}}
    return Side(world, credentials, lambda: [row["summary"] for row in world.read_truth(EMAIL)])


def microsoft() -> Side:
    world = MicrosoftWorld(seed=4)
    given = world.connect(EMAIL)
    names = ("client_id", "client_secret", "refresh_token", "tenant_id")
    credentials = {"provider": "microsoft", **{name: given[name] for name in names if name in given}}
    return Side(world, credentials, lambda: [row["subject"] for row in world.read_truth(EMAIL)])


class Writers:
    """Clients that write so many events, each until it is told that it is there."""

    def __init__(self, gateway: GatewayProcess, calendar_id: str, count: int) -> None:
        self._gateway, self._calendar_id, self._count = gateway, calendar_id, count
        self._next = 0
        self.done = 0
        self.repeats = 0
        self._start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    async def work(self) -> None:
        """One client: the next event, until there is none left."""
        headers = {"authorization": f"Bearer {self._gateway.key}"}
        async with httpx.AsyncClient(base_url=self._gateway.url, headers=headers, timeout=40) as http:
            while self._next < self._count:
                number, self._next = self._next, self._next + 1
                await self._write(http, number)
                self.done += 1

    async def _write(self, http: httpx.AsyncClient, number: int) -> None:
        begins = self._start + timedelta(minutes=number * 4 % (28 * 24 * 60))
        wish = {
            "title": f"event {number}",
            "starts_at": begins.isoformat(),
            "ends_at": (begins + timedelta(minutes=30)).isoformat(),
        }
        while True:
            try:
                answer = await http.post(
                    f"/calendars/{self._calendar_id}/events", json=wish, headers={"idempotency-key": f"write-{number}"}
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == 201:
                return
            assert answer is None or answer.status_code in {409, 429, 503}, answer.text
            self.repeats += 1
            await asyncio.sleep(0.2)


async def kill_meanwhile(gateway: GatewayProcess, writers: Writers) -> int:
    """Kill the gateway whenever so many events more are there; how often. Until cancelled, or until they all are."""
    kills = 0
    while True:
        await asyncio.sleep(0.05)
        if writers.done >= (kills + 1) * KILL_EVERY:
            await gateway.kill()
            await gateway.start()
            kills += 1


async def measure_side(kind: databases.Server, name: str, side: Side, count: int) -> AsyncIterator[Row]:
    with TemporaryDirectory(prefix="calgate-writes-") as folder:
        async with databases.fresh(kind) as url, serve(side.world) as base:
            urls = {"MICROSOFT_GRAPH_URL": f"{base}/v1.0", "MICROSOFT_LOGIN_URL": base, "POLL_SECONDS": "2"}
            gateway = GatewayProcess.beside(base, Path(folder), url, SECRET_KEYS=generate_key(), **urls)
            try:
                await gateway.start()
                calendar_id = await connected(gateway, side)
                side.world.fail_writes(before=FAULT, after=FAULT, silent=FAULT)
                writers, began = Writers(gateway, calendar_id, count), monotonic()
                killer = asyncio.create_task(kill_meanwhile(gateway, writers))
                await asyncio.gather(*(writers.work() for _ in range(AT_ONCE)))
                seconds = monotonic() - began
                killer.cancel()
                side.world.clear_faults()
                await asyncio.sleep(5)
                foreign = await told_by_others(gateway)
            finally:
                await gateway.kill()
    found = Counter(side.titles())
    lost = count - sum(f"event {number}" in found for number in range(count))
    twice = sum(found.values()) - len(found)
    for what, value in (
        ("events lost", lost),
        ("events there twice", twice),
        ("writes that came back as news", foreign),
    ):
        yield Row(kind.name, f"{name}: {what}", f"{value} of {count}", "", value, 0, at_most=True)
    text = f"{writers.repeats} in {seconds:.0f} s, {gateway.starts - 1} kills"
    yield Row(kind.name, f"{name}: requests that clients repeated", text, "")


async def connected(gateway: GatewayProcess, side: Side) -> str:
    """Connect the calendar and wait until it was read."""
    async with httpx.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}) as http:
        answer = await http.post("/calendars", json=side.credentials)
        assert answer.status_code == 201, answer.text
        calendar_id: str = answer.json()["id"]
        async with asyncio.timeout(30):
            while True:
                if (await http.get(f"/calendars/{calendar_id}")).json()["status"] == "active":
                    break
                await asyncio.sleep(0.1)
    return calendar_id


async def told_by_others(gateway: GatewayProcess) -> int:
    """How many changes of the log are not said to be ours."""
    foreign: int = 0
    after = 0
    async with httpx.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}) as http:
        while True:
            page = (await http.get("/changes", params={"after": after, "limit": 250})).json()
            foreign += len([change for change in page["data"] if change["cause"] != "write"])
            if not page["data"]:
                return foreign
            after = page["data"][-1]["seq"]


async def main(given: Options) -> AsyncIterator[Row]:
    for database in given.databases:
        async with databases.server(database) as kind:
            for name in given.providers:
                side = google() if name == "google" else microsoft()
                async for row in measure_side(kind, name, side, given.count):
                    yield row


if __name__ == "__main__":
    measure.run(main, __doc__, providers=("google", "microsoft"), count=measure.Count("writes", WRITES, quick=100))
