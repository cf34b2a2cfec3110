"""A claim of webhooks beside 1,000 and 100,000 of one project that are due, and the claim that another project's one is in.

The crowd is spread over twenty endpoints with room for sixteen each; then there is no room for any of it; then it is of one
calendar whose order is to be kept, so that only the first of it may go. There is no floor here: each figure is compared
with itself beside fewer, in the same run.
"""

import statistics
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import databases
import measure
from measure import Row
from sqlalchemy import insert, text
from uuid_utils.compat import uuid7

from service.store.database import Database
from service.store.projects import create_project
from webhooks.message import Lease, Rank
from webhooks.tables import deliveries, endpoints, messages
from webhooks.turns import Turns, claim

PLACES: Final = 128
CLAIMS: Final = 20
ENDPOINTS: Final = 20
FEW, MANY = 1_000, 100_000
PIECE: Final = 5_000
NOBODY: Final[Mapping[UUID, int]] = {}


class Room(NamedTuple):
    """A process with sixteen places for each endpoint, but for some."""

    full: Collection[UUID] = ()

    def loads(self, _rank: int) -> Mapping[UUID, int]:
        return NOBODY

    def room(self, endpoint_id: UUID, _rank: int) -> int:
        return 0 if endpoint_id in self.full else 16


class Crowd:
    """A project's endpoints with very many deliveries that are due, and the claims of a process that gives none back."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now, self.turns = database, now, Turns()

    async def subscribe(self, count: int) -> tuple[UUID, list[UUID]]:
        """A project of its own, and so many endpoints of it."""
        made = [uuid7() for _ in range(count)]
        async with self.database.write() as conn:
            project = await create_project(conn, f"project {uuid4()}", self.now)
            like = {
                "project_id": project,
                "url": "https://example.org",
                "ordering": "best_effort",
                "format": "standard",
            }
            like |= {"state": "enabled", "secret": b"", "version": 1, "failed_messages": 0}
            like |= {"created_at": self.now, "updated_at": self.now}
            await conn.execute(insert(endpoints), [like | {"id": endpoint} for endpoint in made])
        return project, made

    async def add(self, project: UUID, to: list[UUID], count: int, key: UUID | None = None) -> None:
        """So many deliveries, in turn to these endpoints, all due for an hour."""
        since = self.now - timedelta(hours=1)
        like = {"project_id": project, "type": "event.updated", "body": b"{}", "at": since, "created_at": since}
        due = {
            "project_id": project,
            "state": "pending",
            "attempts": 0,
            "schedule_start": 0,
            "next_at": since,
            "rank": 0,
        }
        names = [uuid7() for _ in range(max(1, count // len(to)))]
        rows = [
            due | {"id": uuid7(), "message_id": name, "endpoint_id": each, "fifo_key": key}
            for name in names
            for each in to
        ]
        for start in range(0, len(rows), PIECE):
            async with self.database.write() as conn:
                if own := [like | {"id": name} for name in names[start : start + PIECE]]:
                    await conn.execute(insert(messages), own)
                await conn.execute(insert(deliveries), rows[start : start + PIECE])
        async with self.database.write() as conn:
            await conn.execute(text("ANALYZE webhook_deliveries"))

    async def claim(self, room: Room) -> tuple[float, list[UUID]]:
        """Milliseconds, and whose deliveries were claimed."""
        began, lease = perf_counter(), Lease(uuid4(), self.now + timedelta(hours=1))
        async with self.database.write() as conn:
            found = await claim(
                conn, lease, now=self.now, limits={Rank.NEWS: PLACES}, room=room, held=(), turns=self.turns
            )
        return (perf_counter() - began) * 1000, [each.target.project_id for each in found.dispatches]

    async def median(self, room: Room) -> float:
        return statistics.median([(await self.claim(room))[0] for _ in range(CLAIMS)])


async def measure_crowd(name: str, database: Database, many: int, *, kind: str) -> AsyncIterator[Row]:
    crowd = Crowd(database, datetime.now(UTC))
    key = uuid4() if kind == "in order" else None
    mine, to = await crowd.subscribe(1 if key else ENDPOINTS)
    room = Room(to if kind == "without room" else ())
    await crowd.add(mine, to, FEW, key)
    few = await crowd.median(room)
    await crowd.add(mine, to, many, key)
    large = await crowd.median(room)
    what = f"{kind}: a claim, ms, {many:,} : {FEW:,} due"
    yield Row(name, what, f"{large:.2f}", f"{few:.2f}", large / few, 2, at_most=True)
    other, theirs = await crowd.subscribe(1)
    await crowd.add(other, theirs, 1)
    turn = 1
    while other not in (await crowd.claim(room))[1]:
        turn += 1
    yield Row(name, f"{kind}: the claim that another project's one is in", str(turn), "", turn, 1, at_most=True)


async def main(given: measure.Options) -> AsyncIterator[Row]:
    many = 10_000 if given.quick else MANY
    for name in given.databases:
        async with databases.server(name) as server:
            for kind in ("spread", "without room", "in order"):
                async with databases.fresh(server) as url, Database.connect(url) as database:
                    async for row in measure_crowd(name, database, many, kind=kind):
                        yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
