"""Whose calendars are claimed: a project with very many that are due delays no other."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from store.crowds import add_calendar, add_crowd
from store.effort import Effort, counted_write

from service.store import leases
from service.store.database import Database
from service.store.projects import create_project
from service.store.turns import LOOKED_AT, Turns

pytestmark = pytest.mark.anyio
ROOM = 32
LEASE = timedelta(seconds=30)


class Worker:
    """Claims as a process does, and counts what it has of each project."""

    def __init__(self, database: Database, clock) -> None:
        self.database, self.clock, self.turns = database, clock, Turns()
        self.held: Counter[UUID] = Counter()
        self.cut_short = False
        self.effort = Effort()

    async def claim(self, most: int = ROOM) -> Counter[UUID]:
        now = self.clock()
        async with counted_write(self.database, self.effort) as conn:
            claimed = await leases.claim(
                conn, now=now, until=now + LEASE, owner=uuid4(), most=most, turns=self.turns, held=self.held
            )
        self.cut_short = claimed.cut_short
        assert len({row.id for row in claimed.rows}) == len(claimed.rows) <= most
        return Counter(row.project_id for row in claimed.rows)


async def add_projects(database: Database, clock, count: int) -> list[UUID]:
    async with database.write() as conn:
        return [await create_project(conn, f"project {number}", clock()) for number in range(count)]


async def test_a_calendar_beside_twenty_thousand_that_are_due_longer_is_in_the_first_claim(
    database: Database, project: UUID, clock
):
    model = await add_calendar(database, project, clock() - timedelta(hours=2))
    await add_crowd(database, model, 20_000)
    [other] = await add_projects(database, clock, 1)
    await add_calendar(database, other, clock() - timedelta(seconds=1))
    worker = Worker(database, clock)
    assert (await worker.claim())[other] == 1
    assert worker.cut_short


async def test_projects_with_much_to_do_get_equal_parts(database: Database, clock):
    projects = await add_projects(database, clock, 4)
    for age, each in enumerate(projects):
        await add_crowd(database, await add_calendar(database, each, clock() - timedelta(hours=age)), 100)
    given = await Worker(database, clock).claim()
    assert sorted(given.values()) == [7, 7, 7, 8], "and three places are left for a fifth"


async def test_what_a_worker_holds_already_counts(database: Database, clock):
    hanging, other = await add_projects(database, clock, 2)
    await add_crowd(database, await add_calendar(database, hanging, clock() - timedelta(hours=1)), 100)
    await add_calendar(database, other, clock() + timedelta(seconds=5))
    worker = Worker(database, clock)
    worker.held = await worker.claim()
    assert worker.held == {hanging: ROOM * 3 // 4}, "the rest is for others, though nobody else wants it yet"
    assert not await worker.claim(ROOM // 4)
    assert worker.cut_short
    clock.advance(6)
    assert await worker.claim(ROOM // 4) == {other: 1}


async def test_a_project_without_others_has_every_place(database: Database, project: UUID, clock):
    await add_crowd(database, await add_calendar(database, project, clock()), 100)
    assert await Worker(database, clock).claim() == {project: ROOM}


async def test_of_a_project_the_longest_due_are_claimed(database: Database, clock):
    projects = await add_projects(database, clock, 2)
    for each in projects:
        for age in range(40):
            await add_calendar(database, each, clock() - timedelta(minutes=age))
    now = clock()
    async with database.write() as conn:
        claimed = await leases.claim(conn, now=now, until=now + LEASE, owner=uuid4(), most=10, turns=Turns())
        rest = await leases.oldest_due(conn, now)
    assert Counter(row.project_id for row in claimed.rows) == dict.fromkeys(projects, 4)
    assert rest == now - timedelta(minutes=35)


async def test_many_projects_take_turns_beside_one_with_a_crowd(database: Database, project: UUID, clock):
    await add_crowd(database, await add_calendar(database, project, clock() - timedelta(hours=2)), 500)
    few = await add_projects(database, clock, 50)
    for each in few:
        await add_calendar(database, each, clock() - timedelta(seconds=1))
    worker, seen = Worker(database, clock), Counter()
    for _ in range(3):
        seen += await worker.claim(20)
    assert set(few) <= set(seen)


async def test_idle_projects_hide_nobody(database: Database, project: UUID, clock):
    await add_crowd(database, await add_calendar(database, project, clock() - timedelta(hours=2)), 200)
    *_, last = await add_projects(database, clock, LOOKED_AT + 40)
    await add_calendar(database, last, clock() - timedelta(seconds=1))
    worker = Worker(database, clock)
    assert last in await worker.claim(10) + await worker.claim(10)


async def test_two_workers_never_claim_the_same(database: Database, database_url: str, clock):
    projects = await add_projects(database, clock, 3)
    for each in projects:
        await add_crowd(database, await add_calendar(database, each, clock()), 100)
    async with Database.connect(database_url) as second:
        workers = [Worker(database, clock), Worker(second, clock)]
        rounds = [asyncio.gather(*(worker.claim(15) for worker in workers)) for _ in range(4)]
        counts = [count for each in rounds for count in await each]
    claimed = sum(sum(count.values()) for count in counts)
    async with database.read() as conn:
        leased = (await conn.execute(text("SELECT count(*) FROM calendars WHERE lease IS NOT NULL"))).scalar()
    assert claimed == leased >= 8 * 12


async def test_a_claim_costs_the_same_beside_few_and_many_of_ones_own(database: Database, project: UUID, clock):
    """A scan of the crowd would cost twenty times as much; benchmarks/scale.py has the times."""
    worker = Worker(database, clock)

    async def least() -> int:
        found = []
        for _ in range(5):
            worker.effort.spent = 0
            assert (await worker.claim())[project] == ROOM
            found.append(worker.effort.spent)
        return min(found)

    await add_crowd(database, await add_calendar(database, project, clock() - timedelta(hours=2)), 1_000)
    few = await least()
    await add_crowd(database, await add_calendar(database, project, clock() - timedelta(hours=2)), 20_000)
    assert 0 < await least() < 3 * few


async def test_idle_projects_cost_a_step_each(database: Database, project: UUID, clock):
    """A claim took over a second where the crowd was walked through for each of them."""
    await add_crowd(database, await add_calendar(database, project, clock() - timedelta(hours=2)), 20_000)
    others = await add_projects(database, clock, 250)
    for each in others[:20]:
        await add_calendar(database, each, clock() + timedelta(hours=1))
    worker = Worker(database, clock)
    found = []
    for _ in range(3):
        worker.effort.spent = 0
        assert (await worker.claim())[project] == ROOM * 3 // 4
        found.append(worker.effort.spent)
    assert 0 < min(found) < 5_000, "250 times a crowd are millions"
