"""SIGTERM while everything is at work: how long the end takes, what it breaks off, and what it leaves behind.

People edit, calendars are read, webhooks leave, users ask for meetings, and one waits for changes in a long poll.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from time import monotonic
from typing import NamedTuple

import httpx
from gateway_process import GatewayProcess
from judgement import Differences, held, until_equal
from killing import client, connect
from office import Office
from recording_receiver import Receiver
from sqlalchemy import func, select

from service.store.database import Database
from webhooks import tables

EDIT_EVERY = 0.03
ANSWERS_WITHIN = 0.2
LISTS_WITHIN = 0.4
ASKING = 4
LIFE = 0.6, 1.6
"""Seconds at least and at most that it lives before it is asked to stop."""


class Verdict(NamedTuple):
    """What came of it. `requests` are users' by what became of them, `left` leases that nobody gave back."""

    stops: int
    codes: list[int]
    slowest: float
    requests: Counter[str]
    failed_attempts: int
    left: int
    duplicates: int
    changes: int
    differences: Differences
    seconds: float

    @property
    def broken_requests(self) -> int:
        """Answered with an error, or broken off after they had been taken."""
        return sum(count for what, count in self.requests.items() if what not in {"answered", "refused"})


async def stop_again_and_again(
    gateway: GatewayProcess,
    database_url: str,
    office: Office,
    receiver: Receiver,
    hook: str,
    stops: int,
    random: Random,
) -> Verdict:
    """Connect the office, and stop and start the gateway so often under load."""
    began = monotonic()
    async with client(gateway) as http:
        ids = await connect(http, office, hook)
    receiver.pause = ANSWERS_WITHIN
    office.world.add_fault("latency", endpoint="events.list", seconds=LISTS_WITHIN)
    requests: Counter[str] = Counter()
    codes, slowest, left = [], 0.0, 0
    async with editing(office):
        for _ in range(stops):
            async with asking(gateway, requests):
                await asyncio.sleep(LIFE[0] + random.random() * (LIFE[1] - LIFE[0]))
                code, seconds = await gateway.stop()
            codes.append(code)
            slowest = max(slowest, seconds)
            found = await held(database_url, receiver)
            left += found.syncs + found.deliveries
            await gateway.start()
    async with client(gateway) as http:
        differences = await until_equal(office, http, ids, receiver, 60)
    await receiver.until_quiet(0.5)
    return Verdict(
        stops=stops,
        codes=codes,
        slowest=slowest,
        requests=requests,
        failed_attempts=await _failed_attempts(database_url),
        left=left,
        duplicates=receiver.repeated.total(),
        changes=len(receiver.told("event.")),
        differences=differences,
        seconds=monotonic() - began,
    )


@asynccontextmanager
async def editing(office: Office) -> AsyncIterator[None]:
    """People at work meanwhile."""
    work = asyncio.create_task(office.work(EDIT_EVERY))
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


@asynccontextmanager
async def asking(gateway: GatewayProcess, requests: Counter[str]) -> AsyncIterator[None]:
    """Users who ask meanwhile, each time over a new connection, and one who waits for changes, until nobody answers."""
    paths = [("/meetings", {"limit": 20}, 0.02)] * ASKING + [("/changes", {"after": 0, "wait": 30}, 0.1)]
    tasks = [asyncio.create_task(_ask(gateway, requests, *each)) for each in paths]
    try:
        yield
    finally:
        await asyncio.gather(*tasks)


async def _ask(gateway: GatewayProcess, requests: Counter[str], path: str, asked: dict[str, int], pause: float) -> None:
    headers = {"authorization": f"Bearer {gateway.key}", "connection": "close"}
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=40, trust_env=False) as http:
        while True:
            try:
                answer = await http.get(path, params=asked)
            except httpx.ConnectError:
                requests["refused"] += 1
                return
            except AttributeError as error:
                # A connection that was closed before anything was sent over it: httpcore asks its socket for TLS, and
                # uvloop has none any more.
                if "getpeername" not in str(error):
                    raise
                requests["refused"] += 1
                return
            except httpx.TransportError as error:
                requests[f"broken off: {type(error).__name__}"] += 1
                return
            requests["answered" if answer.is_success else f"status {answer.status_code}"] += 1
            if "after" in asked:
                asked = asked | {"after": answer.json()["last_seq"]}
            await asyncio.sleep(pause)


async def _failed_attempts(database_url: str) -> int:
    query = select(func.count()).where(tables.attempts.c.error_kind.is_not(None))
    async with Database.connect(database_url) as database, database.read() as conn:
        found: int = (await conn.execute(query)).scalar_one()
    return found
