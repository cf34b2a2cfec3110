"""A claim of 32 calendars beside 1,000 and 100,000 of the same project that are due, and whose turn another project's one is.

There is no floor here: each figure is compared with itself beside fewer, in the same run.
"""

import statistics
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final
from uuid import UUID, uuid4

import databases
import measure
from measure import Row

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from store.crowds import add_calendar, add_crowd

from service.store import leases
from service.store.database import Database
from service.store.projects import create_project
from service.store.turns import Turns

ROOM: Final = 32
CLAIMS: Final = 20
FEW, MANY, IDLE = 1_000, 100_000, 1_000


class Claims:
    """Claims as a worker makes them, which are never given back."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now, self.turns = database, now, Turns()

    async def claim(self) -> tuple[float, Counter[UUID]]:
        """Milliseconds, and how many calendars of which project."""
        began, until = perf_counter(), self.now + timedelta(hours=1)
        async with self.database.write() as conn:
            found = await leases.claim(conn, now=self.now, until=until, owner=uuid4(), most=ROOM, turns=self.turns)
        return (perf_counter() - began) * 1000, Counter(row.project_id for row in found.rows)

    async def median(self) -> float:
        return statistics.median([(await self.claim())[0] for _ in range(CLAIMS)])


async def measure_database(name: str, database: Database, many: int) -> AsyncIterator[Row]:
    now = datetime.now(UTC)
    async with database.write() as conn:
        mine, other = await create_project(conn, "mine", now), await create_project(conn, "other", now)
    claims = Claims(database, now)
    await add_crowd(database, await add_calendar(database, mine, now - timedelta(hours=2)), FEW)
    few = await claims.median()
    await add_crowd(database, await add_calendar(database, mine, now - timedelta(hours=2)), many)
    large = await claims.median()
    yield Row(
        name, f"claim of 32, ms, {many:,} : {FEW:,} due", f"{large:.2f}", f"{few:.2f}", large / few, 1.6, at_most=True
    )
    await add_calendar(database, other, now - timedelta(seconds=1))
    turn = 1
    while not (await claims.claim())[1][other]:
        turn += 1
    yield Row(name, "the claim that another project's one is in", str(turn), "", turn, 2, at_most=True)
    async with database.write() as conn:
        for number in range(IDLE):
            await create_project(conn, f"idle {number}", now)
    idle = await claims.median()
    yield Row(
        name,
        f"claim of 32, ms, {IDLE:,} idle projects : none",
        f"{idle:.2f}",
        f"{large:.2f}",
        idle / large,
        2,
        at_most=True,
    )


async def main(given: measure.Options) -> AsyncIterator[Row]:
    many = 10_000 if given.quick else MANY
    for name in given.databases:
        async with databases.server(name) as kind, databases.fresh(kind) as url, Database.connect(url) as database:
            async for row in measure_database(kind.name, database, many):
                yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
