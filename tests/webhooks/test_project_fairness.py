"""Deliveries of many projects: whatever one of them has due, or hangs at, is not in the way of another's news."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update
from webhook_receivers import hangs

from webhooks.message import Rank
from webhooks.tables import deliveries, messages
from webhooks.turns import Turns, claim

pytestmark = pytest.mark.anyio
ENDPOINTS, EACH = 20, 20
CROWD = 3000


class Room:
    """A process that has this in memory, and room for so many of each endpoint."""

    def __init__(self, each=16, held=(), full=()):
        self.each, self.held, self.full = each, dict(held), full

    def loads(self, _rank):
        return self.held

    def room(self, endpoint_id, _rank):
        return 0 if endpoint_id in self.full else self.each


class Claims:
    """Claims of one process, one after the other, which are never given back."""

    def __init__(self, bench, limit=20, turns=None):
        self.bench, self.limit, self.turns = bench, limit, turns or Turns()

    async def one(self, room=None, rank=Rank.NEWS):
        lease = self.bench.deliverer().lease()
        async with self.bench.store.write() as conn:
            return await claim(
                conn,
                lease,
                now=self.bench.clock(),
                limits={rank: self.limit},
                room=room or Room(),
                held=(),
                turns=self.turns,
            )

    async def projects(self, room=None, rank=Rank.NEWS):
        return Counter(each.target.project_id for each in (await self.one(room, rank)).dispatches)


async def add_crowd(bench, endpoint_id, count, **values):
    """So many copies of the one delivery to an endpoint."""
    async with bench.store.write() as conn:
        row = (await conn.execute(select(deliveries).where(deliveries.c.endpoint_id == endpoint_id))).mappings().first()
        like = (await conn.execute(select(messages).where(messages.c.id == row["message_id"]))).mappings().one()
        copies = [uuid4() for _ in range(count)]
        await conn.execute(insert(messages), [dict(like) | {"id": copy} for copy in copies])
        rows = [dict(row) | {"id": uuid4(), "message_id": copy, "merge_key": None} | values for copy in copies]
        await conn.execute(insert(deliveries), rows)


async def due_of(bench, count, *, each=1, project_id=None, **fields):
    """Deliveries that are due to each of so many endpoints of a project, whose id and those of the endpoints it answers."""
    project_id = project_id or uuid4()
    made = [(await bench.endpoint("https://example.org", project_id=project_id, **fields))[0].id for _ in range(count)]
    await bench.put(*[bench.notice(project_id=project_id, calendar_id=uuid4()) for _ in range(each)])
    bench.clock.advance(seconds=1)
    return project_id, made


async def test_a_project_with_many_endpoints_delays_no_other(bench):
    receiver, other = await bench.receiver(), await bench.receiver()
    for _ in range(ENDPOINTS):
        await bench.endpoint(receiver.url)
    await bench.put(*[bench.notice() for _ in range(EACH)])
    bench.clock.advance(seconds=1)
    theirs = uuid4()
    await bench.endpoint(other.url, project_id=theirs)
    await bench.put(bench.notice(project_id=theirs))
    deliverer = bench.deliverer(concurrency=8)
    for _ in range(2):
        await deliverer.claim_due()
    await receiver.until(8)
    assert other.requests, "in the first or second claim"


@pytest.mark.parametrize("born_leased", [True, False], ids=["from memory", "by a claim"])
async def test_hanging_endpoints_of_one_project_leave_slots_for_another(bench, born_leased):
    hanging, healthy = await bench.receiver(hangs), await bench.receiver()
    for _ in range(ENDPOINTS):
        await bench.endpoint(hanging.url)
    theirs = uuid4()
    await bench.endpoint(healthy.url, project_id=theirs)
    deliverer = bench.deliverer(concurrency=16)
    if born_leased:
        await bench.publish(deliverer, EACH)
    else:
        await bench.put(*[bench.notice() for _ in range(EACH)])
    bench.clock.advance(seconds=1)
    await deliverer.claim_due()
    await hanging.until(16)  # alone, it may use them all
    await bench.put(bench.notice(project_id=theirs))
    await deliverer.claim_due()
    await healthy.until(1)
    await bench.publish(deliverer, 30, project_id=theirs)
    await healthy.until(31)
    assert hanging.in_flight == 16


async def test_projects_that_all_hang_share_the_slots(bench):
    deliverer = bench.deliverer(concurrency=12, endpoint_concurrency=12)
    receivers = []
    for _ in range(4):
        receivers.append(await bench.receiver(hangs))
        project_id = uuid4()
        await bench.endpoint(receivers[-1].url, project_id=project_id)
        await bench.publish(deliverer, 20, project_id=project_id)
    await receivers[-1].until(1)
    await asyncio.sleep(0.05)
    taken = [receiver.in_flight for receiver in receivers]
    assert taken[0] == 12
    assert all(taken)
    assert sum(taken) <= 18


async def test_a_crowd_is_not_in_the_way_of_one(bench):
    _, [endpoint] = await due_of(bench, 1)
    await add_crowd(bench, endpoint, CROWD)
    other, _ = await due_of(bench, 1)
    assert (await Claims(bench).projects())[other] == 1


async def test_a_crowd_that_there_is_no_room_for_is_not_in_the_way_of_its_own_project(bench):
    _, [full, free] = await due_of(bench, 2)
    await add_crowd(bench, full, CROWD)
    claimed = await Claims(bench).one(Room(full={full}))
    assert [each.target.endpoint_id for each in claimed.dispatches] == [free]
    assert set(claimed.crowded) == {full}
    again = await Claims(bench).one(Room(full={full}))
    assert (again.dispatches, set(again.crowded), again.cut_short) == ([], {full}, False)


async def test_a_crowd_in_order_is_not_in_the_way_of_anybody(bench):
    mine, [endpoint] = await due_of(bench, 1, each=2, ordering="fifo")
    [first, _] = sorted(await bench.rows("deliveries"), key=lambda row: row.id)
    await add_crowd(bench, endpoint, CROWD)
    other, _ = await due_of(bench, 1)
    claimed = (await Claims(bench).one()).dispatches
    assert Counter(each.target.project_id for each in claimed) == {mine: 2, other: 1}  # the first of each calendar
    stored = {row.id: row for row in await bench.rows("deliveries")}
    keys = [stored[each.delivery_id].fifo_key for each in claimed if each.target.project_id == mine]
    assert len(set(keys)) == 2
    assert first.fifo_key in keys


async def test_places_are_shared_out_between_projects_and_between_their_endpoints(bench):
    projects = {}
    for endpoints, each in ((2, 20), (4, 20), (2, 1)):
        project_id, made = await due_of(bench, endpoints, each=each)
        projects[project_id] = made
    two, four, few = projects
    claims = Claims(bench, limit=17)
    claimed = (await claims.one(Room(each=100))).dispatches
    assert Counter(each.target.project_id for each in claimed) == {two: 6, four: 6, few: 2}
    of_four = Counter(each.target.endpoint_id for each in claimed if each.target.project_id == four)
    assert sorted(of_four.values()) == [1, 1, 2, 2]
    assert (await claims.projects(Room(each=100, held={two: 30})))[two] == 0


async def test_projects_take_turns_where_there_is_not_room_for_one_of_each(bench):
    projects = {(await due_of(bench, 1, each=4))[0] for _ in range(7)}
    claims = Claims(bench, limit=4)
    served = [set(await claims.projects(Room(each=1))) for _ in range(4)]
    assert all(len(each) == 4 for each in served)
    assert served[0] | served[1] == projects


async def test_every_endpoint_of_very_many_has_its_turn(bench, monkeypatch):
    monkeypatch.setattr("webhooks.walks.STEPS", 12)
    monkeypatch.setattr("webhooks.walks.FEWEST", 2)
    monkeypatch.setattr("webhooks.walks.AT_FIRST", 4)
    crowds = [await due_of(bench, 15, each=3) for _ in range(3)]
    _, [*dead, healthy] = crowds[0]
    async with bench.store.write() as conn:  # retried later: pending, and not due
        later = bench.clock.now.replace(year=bench.clock.now.year + 1)
        await conn.execute(update(deliveries).where(deliveries.c.endpoint_id.in_(dead)).values(next_at=later))
    claims, full = Claims(bench, limit=4), {endpoint for _, made in crowds[1:] for endpoint in made}
    for _ in range(40):
        claimed = (await claims.one(Room(full=full))).dispatches
        if claimed:
            break
    assert {each.target.endpoint_id for each in claimed} == {healthy}


async def test_what_is_made_up_for_is_shared_out_in_the_same_way(bench):
    crowd, [endpoint] = await due_of(bench, 1)
    await add_crowd(bench, endpoint, CROWD, rank=Rank.BACKFILL.value)
    other, [theirs] = await due_of(bench, 1)
    async with bench.store.write() as conn:
        await conn.execute(
            update(deliveries).where(deliveries.c.endpoint_id == theirs).values(rank=Rank.BACKFILL.value)
        )
    claims = Claims(bench)
    assert (await claims.projects(rank=Rank.BACKFILL))[other] == 1
    assert await claims.projects() == {crowd: 1}


async def test_several_processes_claim_from_a_crowd_at_once(bench):
    _, [endpoint] = await due_of(bench, 1)
    await add_crowd(bench, endpoint, 300)
    other, _ = await due_of(bench, 1)
    rivals = [Claims(bench) for _ in range(3)]
    claimed = await asyncio.gather(*(rival.one() for _ in range(4) for rival in rivals))
    taken = [each.delivery_id for one in claimed for each in one.dispatches]
    assert len(taken) == len(set(taken))
    assert sum(each.target.project_id == other for one in claimed for each in one.dispatches) == 1
