"""What one receiver that never answers costs 99 that do: their p99 without it, with it, and without it again.

Ten projects with ten endpoints each, 30 messages a second, so 300 deliveries; in the middle run one of the hundred takes
every request and answers none, so that each ends at the deadline of 15 s. Delays are from before the transaction that
writes a message to its arrival at a good endpoint. Without it twice: the two tell how far equal runs are apart.
"""

import asyncio
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final
from uuid import UUID

import databases
import gateway as stage
import measure
from measure import Options, Row
from provider import Provider, provider

from service.flows.gateway import Gateway
from service.store.projects import create_project
from webhooks import outbox
from webhooks.delivery import Deliverer
from webhooks.message import Notice

PROJECTS: Final = 10
ENDPOINTS: Final = 10
RATE: Final = 30
SECONDS: Final = 25.0
WARM: Final = 1.0
SPREAD: Final = 1.25


async def populate(gateway: Gateway, server: Provider, *, is_one_hanging: bool) -> list[UUID]:
    projects = []
    for number in range(PROJECTS):
        async with gateway.database.write() as conn:
            projects.append(await create_project(conn, f"project {number}", stage.utc_now()))
        for place in range(ENDPOINTS):
            hangs = is_one_hanging and number == place == 0
            await stage.subscribe(gateway, projects[-1], server.hang_url if hangs else server.hook_url, "*")
    return projects


async def announce(gateway: Gateway, deliverer: Deliverer, projects: Sequence[UUID], seconds: float) -> None:
    """A message every 33 ms, of one project after the other."""
    began = monotonic()
    for number in range(int(seconds * RATE)):
        if (pause := began + number / RATE - monotonic()) > 0:
            await asyncio.sleep(pause)
        data = {"sent": monotonic(), "text": "x" * 1500}
        notice = Notice(projects[number % PROJECTS], "benchmark.neighbour", data, stage.utc_now())
        async with gateway.database.write() as conn:
            dispatches = await outbox.put(conn, [notice], now=stage.utc_now(), lease=deliverer.lease())
        deliverer.submit(dispatches)


async def tick(deliverer: Deliverer) -> None:
    """As the process does: a look each second at what is due, retries among it."""
    while True:
        deliverer.wake()
        await asyncio.sleep(1)


async def run(kind: databases.Server, server: Provider, seconds: float, *, is_one_hanging: bool) -> list[float]:
    """The delays of all good endpoints, in seconds."""
    async with databases.fresh(kind) as url, stage.open_gateway(url, server.api_url, deliver=True) as gateway:
        deliverer = gateway.deliverer
        assert deliverer is not None
        projects = await populate(gateway, server, is_one_hanging=is_one_hanging)
        running = [asyncio.create_task(each) for each in (deliverer.run(), tick(deliverer))]
        await announce(gateway, deliverer, projects, WARM)
        await asyncio.sleep(0.5)
        server.tell()
        await announce(gateway, deliverer, projects, seconds)
        await asyncio.sleep(1)
        told = server.tell()
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    messages = int(seconds * RATE)
    missing = messages // PROJECTS if is_one_hanging else 0
    assert len(told.delays) == messages * ENDPOINTS - missing, f"{len(told.delays)} came"
    assert bool(told.hung) == is_one_hanging or seconds < 15
    return told.delays


def p99(delays: Sequence[float]) -> float:
    """In milliseconds."""
    return statistics.quantiles(delays, n=100, method="inclusive")[98] * 1000


async def main(given: Options) -> AsyncIterator[Row]:
    seconds = 4.0 if given.quick else SECONDS
    with provider() as server:
        for name in given.databases:
            async with databases.server(name) as kind:
                found = [await run(kind, server, seconds, is_one_hanging=hangs) for hangs in (False, True, False)]
                before, beside, after = (p99(each) for each in found)
                worst = max(before, after)
                yield Row(name, "good endpoints without a hanging one, p99, ms", f"{before:.1f} and {after:.1f}", "")
                yield Row(name, "two equal runs are apart", f"{worst / min(before, after) - 1:.0%}", "")
                yield Row(
                    name,
                    "good endpoints beside a hanging one, p99, ms",
                    f"{beside:.1f}",
                    f"{worst:.1f}",
                    beside / worst,
                    SPREAD,
                    at_most=True,
                )


if __name__ == "__main__":
    measure.run(main, __doc__)
