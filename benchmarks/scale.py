"""What a million calendars cost beside a hundred thousand: a claim of 100 due ones, CPU at the same rate of syncs, memory.

There is no floor here: each figure is compared with itself in the smaller database, in the same run and in turn.
"""

import asyncio
import gc
import random
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final
from uuid import UUID, uuid4

import databases
import gateway as stage
import measure
from measure import Row, Spent, spend
from provider import provider
from sqlalchemy import select, text

from service.flows import housekeeping
from service.flows.gateway import Gateway
from service.flows.sync_calendar import Syncer
from service.jobs import show_backlog, show_census
from service.store import leases
from service.store.cipher import generate_key
from service.store.tables import Table
from service.store.turns import Turns

LARGE, SMALL = 1_000_000, 100_000
CLAIM: Final = 100
CLAIMS: Final = 16
SYNCED: Final = 1000
FEW, MORE = 10_000, 110_000
WEIGH: Final = "--weigh"
_calendars: Final = Table.metadata.tables["calendars"]

_NUMBERS: Final = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, :count) AS n)",
}
_ID: Final = {
    "sqlite": "printf('%032x', n)",
    "postgresql": "lpad(to_hex(n), 32, '0')::uuid",
}


async def add_idle(gateway: Gateway, count: int, like: UUID) -> None:
    """Copies of a calendar, due some time in the next years, and no two at once."""
    dialect = gateway.database.dialect
    varied = {
        "id": _ID[dialect],
        "raw_calendar_id": "'calendar ' || n",
        "due_at": "strftime('%Y-%m-%d %H:%M:%f000', '2090-01-01', (n * 7919 % 31536000) || ' seconds')"
        if dialect == "sqlite"
        else "timestamptz '2090-01-01' + (n::bigint * 7919 % 31536000) * interval '1 second'",
    }
    names = [each.name for each in _calendars.columns]
    chosen = ", ".join(varied.get(name, f'calendars."{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    rows = f"{_NUMBERS[dialect]} SELECT {chosen} FROM numbers, calendars WHERE calendars.id = :model"  # noqa: S608
    one = like.hex if dialect == "sqlite" else like
    async with gateway.database.write() as conn:
        await conn.execute(text(f"INSERT INTO calendars ({listed}) {rows}"), {"count": count, "model": one})
    async with gateway.database.write() as conn:
        await conn.execute(text("ANALYZE calendars"))
    if dialect == "postgresql":
        async with gateway.database.look() as conn:
            await conn.execute(text("CHECKPOINT"))  # or the first claims pay for the loading


class Side:
    """One of the two databases: some calendars that can be synced, and many that are idle."""

    def __init__(self, gateway: Gateway, ids: Sequence[UUID], idle: int) -> None:
        self.gateway = gateway
        self.idle = idle
        self.ids = ids
        self.syncer = Syncer(gateway)

    async def make_claims(self, count: int) -> None:
        """Let calendars all over the table be due, as many as so many claims take."""
        numbers = random.Random(1).sample(range(1, self.idle + 1), count * CLAIM)
        await stage.make_due(self.gateway, [UUID(int=number) for number in numbers], stage.utc_now())

    async def claim(self) -> float:
        """Milliseconds for a claim of 100."""
        now = stage.utc_now()
        began = perf_counter()
        async with self.gateway.database.write() as conn:
            found = await leases.claim(conn, now=now, until=stage.NEVER, owner=uuid4(), most=CLAIM, turns=Turns())
        assert len(found.rows) == CLAIM
        return (perf_counter() - began) * 1000

    async def work(self) -> Spent:
        """What a minute takes: 10,000 syncs, of which a part is measured, and the ticks beside them."""
        times = 10_000 / len(self.ids)
        await stage.make_due(self.gateway, self.ids, stage.utc_now() - timedelta(seconds=1))
        syncs = await spend(partial(stage.sync_due, self.syncer))
        ticks = await spend(self._tick)
        return Spent(times * syncs.wall + ticks.wall, times * syncs.cpu + ticks.cpu)

    async def _tick(self) -> None:
        await housekeeping.tidy(self.gateway)
        await show_census(self.gateway)
        for _ in range(4):
            await show_backlog(self.gateway)


async def open_side(stack: AsyncExitStack, kind: databases.Server, api_url: str, count: int, synced: int) -> Side:
    url = await stack.enter_async_context(databases.fresh(kind))
    gateway = await stack.enter_async_context(stage.open_gateway(url, api_url))
    ids = await stage.add_calendars(gateway, synced, synced=True)
    await add_idle(gateway, count - synced, ids[0])
    return Side(gateway, ids, count - synced)


async def compare_sizes(
    kind: databases.Server, api_url: str, sizes: tuple[int, int], synced: int, rounds: int
) -> AsyncIterator[Row]:
    async with AsyncExitStack() as stack:
        small, large = [await open_side(stack, kind, api_url, count, synced) for count in sizes]
        claims: dict[Side, list[float]] = {small: [], large: []}
        turns = CLAIMS * rounds
        for side in (small, large):
            await side.work()
            await side.make_claims(turns)
        for turn in range(turns):
            for side in (small, large)[:: 1 if turn % 2 else -1]:
                claims[side].append(await side.claim())
        few, many = await measure.interleave(rounds, small.work, large.work)
        for side in (small, large):
            await side.syncer.drain(1)
    here, there = (statistics.median(claims[side]) for side in (small, large))
    most = 1.6 if kind.name == "sqlite" else 1.3
    sizes_told = f"{sizes[1]:,} : {sizes[0]:,} calendars"
    yield Row(
        kind.name, f"claim of 100, ms, {sizes_told}", f"{there:.2f}", f"{here:.2f}", there / here, most, at_most=True
    )
    yield Row(
        kind.name,
        f"CPU of a minute with 10,000 syncs, s, {sizes_told}",
        f"{many.cpu:.2f}",
        f"{few.cpu:.2f}",
        many.cpu / few.cpu,
        1.2,
        at_most=True,
    )


async def weigh(url: str, api_url: str, keys: str) -> None:
    """Print how much memory (MB) this process holds once it has worked for a while on a database that is there."""
    async with stage.open_gateway(url, api_url, keys=keys) as gateway:
        syncer = Syncer(gateway)
        async with gateway.database.read() as conn:
            mine = _calendars.c.raw_calendar_id.like("%@example.com")
            ids = list((await conn.execute(select(_calendars.c.id).where(mine))).scalars())
        for _ in range(3):
            await stage.make_due(gateway, ids, stage.utc_now() - timedelta(seconds=1))
            assert await stage.sync_due(syncer) == len(ids)
            await housekeeping.tidy(gateway)
            await show_backlog(gateway)
            await show_census(gateway)
        await syncer.drain(1)
        gc.collect()
        status = Path("/proc/self/status").read_text(encoding="utf-8")  # noqa: ASYNC240  (nothing else runs any more)
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        print(int(line.split()[1]) / 1024)


async def memory_of(kind: databases.Server, api_url: str, count: int) -> float:
    """Megabytes of a process that works for so many calendars."""
    keys = generate_key()
    async with databases.fresh(kind) as url:
        async with stage.open_gateway(url, api_url, keys=keys) as gateway:
            ids = await stage.add_calendars(gateway, SYNCED, synced=True)
            await add_idle(gateway, count - SYNCED, ids[0])
        arguments = [sys.executable, __file__, WEIGH, url, api_url, keys]
        process = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
        told, _ = await process.communicate()
        assert process.returncode == 0
        return float(told)


async def compare_memory(kind: databases.Server, api_url: str, rounds: int) -> AsyncIterator[Row]:
    few, more = [], []
    for _ in range(rounds):
        few.append(await memory_of(kind, api_url, FEW))
        more.append(await memory_of(kind, api_url, MORE))
    here, there = statistics.median(few), statistics.median(more)
    what = f"memory, MB, {MORE:,} : {FEW:,} calendars (the difference)"
    yield Row(kind.name, what, f"{there:.1f}", f"{here:.1f}", there - here, 10, at_most=True)


async def main(given: measure.Options) -> AsyncIterator[Row]:
    sizes, synced, rounds = ((2_000, 10_000), 200, 1) if given.quick else ((SMALL, LARGE), SYNCED, measure.ROUNDS)
    with provider() as server:
        for name in given.databases:
            async with databases.server(name) as kind:
                async for row in compare_sizes(kind, server.api_url, sizes, synced, rounds):
                    yield row
                if not given.quick:
                    async for row in compare_memory(kind, server.api_url, 3):
                        yield row


if __name__ == "__main__":
    if sys.argv[1:2] == [WEIGH]:
        asyncio.run(weigh(*sys.argv[2:]))
    else:
        measure.run(main, __doc__)
