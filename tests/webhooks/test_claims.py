"""Claims: each due delivery once, whoever asks; no endpoint hides another; order where it was asked for."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from webhook_receivers import answers, hangs

from webhooks import endpoints
from webhooks.claims import padded

pytestmark = pytest.mark.anyio


async def test_two_deliverers_at_once_send_each_once(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    await bench.put(*[bench.notice() for _ in range(60)])
    rivals = [bench.deliverer(endpoint_concurrency=8) for _ in range(2)]
    while "pending" in await bench.states():
        await asyncio.gather(*(rival.claim_due() for rival in rivals))
        await asyncio.sleep(0)
    assert Counter(receiver.ids()).most_common(1)[0][1] == 1
    assert len(receiver.requests) == 60
    assert len(await bench.rows("attempts")) == 60


async def test_run_works_off_a_backlog_by_itself_and_wakes(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    await bench.put(*[bench.notice() for _ in range(100)])
    deliverer = bench.deliverer(tick=60)
    running = asyncio.create_task(deliverer.run())
    await receiver.until(100)
    await bench.attempts(100)
    await bench.put(bench.notice())
    deliverer.wake()
    await receiver.until(101)
    await deliverer.drain(1)
    await running
    assert Counter(receiver.ids()).most_common(1)[0][1] == 1


async def test_an_endpoint_never_has_more_than_its_share_in_flight(bench):
    receiver = await bench.receiver(hangs)
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(endpoint_concurrency=3)
    await bench.publish(deliverer, 20)
    await bench.put(*[bench.notice() for _ in range(20)])
    await deliverer.claim_due()
    await receiver.until(3)
    await asyncio.sleep(0.05)
    assert receiver.most_in_flight == 3


async def test_a_hanging_receiver_with_a_backlog_blocks_nobody(bench):
    hanging, healthy = await bench.receiver(hangs), await bench.receiver()
    await bench.endpoint(hanging.url)
    await bench.put(*[bench.notice() for _ in range(500)])
    bench.clock.advance(seconds=1)
    other_project = uuid4()
    await bench.endpoint(healthy.url, project_id=other_project)
    await bench.put(*[bench.notice(project_id=other_project) for _ in range(30)])
    deliverer = bench.deliverer()
    running = asyncio.create_task(deliverer.run())
    await healthy.until(30)
    await bench.publish(deliverer, 5, project_id=other_project)
    await healthy.until(35)
    assert hanging.most_in_flight <= 8
    await deliverer.drain(0)
    await running


async def test_one_lease_one_claim(bench):
    receiver = await bench.receiver(hangs)
    await bench.endpoint(receiver.url)
    await bench.put(bench.notice())
    first, second = bench.deliverer(), bench.deliverer()
    assert await first.claim_due() == 1
    assert await second.claim_due() == 0
    assert await first.claim_due() == 0
    [row] = await bench.rows("deliveries")
    assert (row.lease, row.next_at) == (first.owner, first.lease().until)


async def test_an_endpoint_that_was_disabled_or_deleted_meanwhile(bench):
    receiver = await bench.receiver()
    disabled, _ = await bench.endpoint(receiver.url)
    deleted, _ = await bench.endpoint(receiver.url)
    crashed, survivor = bench.deliverer(), bench.deliverer()
    await bench.put(bench.notice(), lease=crashed.lease())
    async with bench.store.write() as conn:
        await endpoints.disable(conn, bench.project_id, disabled.id, reason="manual", now=bench.clock())
        await endpoints.delete(conn, bench.project_id, deleted.id, now=bench.clock())
    bench.clock.advance(seconds=30)
    assert await survivor.claim_due() == 0
    assert sorted(await bench.states()) == ["cancelled", "parked"]
    assert receiver.requests == []
    async with bench.store.write() as conn:
        await endpoints.enable(conn, bench.project_id, disabled.id, now=bench.clock())
    assert await survivor.claim_due() == 1
    await receiver.until(1)


@pytest.mark.parametrize("change", ["disable", "delete"])
async def test_an_endpoint_that_goes_during_an_attempt(bench, change):
    async def fails_later(request, writer):
        await gone.wait()
        await answers(500)(request, writer)

    gone = asyncio.Event()
    receiver = await bench.receiver(fails_later)
    endpoint, _ = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    await bench.publish(deliverer)
    await receiver.until(1)
    async with bench.store.write() as conn:
        if change == "disable":
            await endpoints.disable(conn, bench.project_id, endpoint.id, reason="manual", now=bench.clock())
        else:
            await endpoints.delete(conn, bench.project_id, endpoint.id, now=bench.clock())
    gone.set()
    await bench.attempts(1)
    assert await bench.states() == ["parked" if change == "disable" else "cancelled"]


async def test_in_order_the_next_waits_for_the_one_before(bench):
    calendar, other = uuid4(), uuid4()
    receiver = await bench.receiver(answers(500))
    await bench.endpoint(receiver.url, ordering="fifo")
    deliverer = bench.deliverer(tick=0.01)
    running = asyncio.create_task(deliverer.run())
    await bench.publish(deliverer, 3, calendar_id=calendar)
    await receiver.until(1)
    await bench.attempts(1)
    await bench.publish(deliverer, 1, calendar_id=other)
    await receiver.until(2)
    assert len(set(receiver.ids())) == 2  # the head of each calendar, and nothing behind it
    receiver.behaviour = answers(200)
    bench.clock.advance(seconds=6)
    deliverer.wake()
    await bench.until(bench.states, lambda states: set(states) == {"delivered"})
    stored = [str(row.id) for row in await bench.rows("messages") if row.calendar_id == calendar]
    delivered = [message_id for message_id in receiver.ids()[2:] if message_id in stored]
    assert delivered == stored
    await deliverer.drain(1)
    await running


async def test_a_rate_limit_is_kept(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url, rate_limit=20)
    deliverer = bench.deliverer()
    loop = asyncio.get_running_loop()
    start = loop.time()
    await bench.publish(deliverer, 9)
    await receiver.until(9)
    assert loop.time() - start >= 0.38


def test_lists_of_ids_come_in_few_lengths():
    ids = [uuid4() for _ in range(9)]
    assert padded([]) == []
    assert [len(padded(ids[:n])) for n in range(1, 10)] == [1, 2, 4, 4, 8, 8, 8, 8, 16]
    assert set(padded(ids)) == set(ids)
