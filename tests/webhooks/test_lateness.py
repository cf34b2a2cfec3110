"""What is late is what waits for us: not what waits for its own order, its own rate, or a receiver that fails."""

from datetime import timedelta
from uuid import uuid4

import pytest
from webhook_receivers import answers

from webhooks import endpoints, lateness

pytestmark = pytest.mark.anyio


async def oldest(bench, **later):
    async with bench.store.read() as conn:
        return await lateness.oldest_due(conn, bench.clock() + timedelta(**later))


async def due(bench, **later):
    async with bench.store.read() as conn:
        return await lateness.count_due(conn, bench.clock() + timedelta(**later))


async def settled(bench):
    await bench.until(lambda: bench.rows("deliveries"), lambda rows: all(row.lease is None for row in rows))


async def test_oldest_due_looks_past_endpoints_that_fail(bench):
    bad = await bench.receiver(answers(500))
    await bench.endpoint(bad.url)
    deliverer = bench.deliverer()
    start = bench.clock()
    assert await oldest(bench) is None
    await bench.put(bench.notice())
    assert await oldest(bench, seconds=-1) is None
    assert await oldest(bench, hours=1) == start
    await deliverer.claim_due()
    await bench.attempts(1)
    assert await oldest(bench, hours=1) is None


def refusing(calendar):
    async def behave(request, writer):
        await answers(500 if str(calendar).encode() in request.body else 200)(request, writer)

    return behave


@pytest.mark.parametrize("crowd", [512, 2], ids=["few", "a crowd"])
async def test_what_waits_behind_its_own_order_is_not_late(bench, monkeypatch, crowd):
    monkeypatch.setattr(lateness, "CROWD", crowd)
    refused, welcome = uuid4(), uuid4()
    receiver = await bench.receiver(refusing(refused))
    await bench.endpoint(receiver.url, ordering="fifo")
    deliverer = bench.deliverer()
    start = bench.clock()
    await bench.put(*[bench.notice("a.b", {"calendar": str(refused)}, calendar_id=refused) for _ in range(4)])
    assert await oldest(bench, minutes=1) == start
    await deliverer.claim_due()
    await settled(bench)
    await bench.put(bench.notice("a.b", calendar_id=welcome))
    await deliverer.claim_due()
    await settled(bench)
    assert [row.first_failure_at for row in await bench.rows("endpoints")] == [None]
    assert await oldest(bench, seconds=4) is None
    assert (await due(bench, seconds=4), await due(bench, hours=1)) == (0, 1)
    first = (await bench.rows("deliveries"))[0]
    assert await oldest(bench, hours=1) == first.next_at, "the first of them is late"
    receiver.behaviour = answers()
    bench.clock.advance(hours=1)
    await deliverer.claim_due()
    await settled(bench)
    assert await oldest(bench, hours=1) == bench.clock(), "the next one waits for us since its turn came"


async def test_what_is_freed_from_its_order_is_due_from_then_on(bench):
    endpoint, _ = await bench.endpoint("https://order.example", ordering="fifo")
    calendar = uuid4()
    await bench.put(*[bench.notice("a.b", calendar_id=calendar) for _ in range(3)])
    freed = bench.clock.advance(hours=1)
    async with bench.store.write() as conn:
        await endpoints.free_from_order(conn, endpoint.id, now=freed)
    assert await oldest(bench, hours=1) == freed
    assert await due(bench) == 3


@pytest.mark.parametrize("crowd", [512, 2], ids=["few", "a crowd"])
async def test_what_waits_for_its_own_rate_is_not_late(bench, monkeypatch, crowd):
    monkeypatch.setattr(lateness, "CROWD", crowd)
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url, rate_limit=1)
    start = bench.clock()
    await bench.put(*[bench.notice() for _ in range(5)])
    assert await oldest(bench, hours=1) == start, "nobody sends anything"
    bench.clock.advance(minutes=10)
    deliverer = bench.deliverer()
    await deliverer.claim_due()
    await settled(bench)
    assert await oldest(bench, hours=1) >= bench.clock(), "it has been sent to at its pace until now"
    assert await due(bench, hours=1) == 0


async def test_a_receiver_that_takes_its_time_is_behind_and_not_stalled(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    start = bench.clock()
    await bench.put(*[bench.notice() for _ in range(3)])
    bench.clock.advance(minutes=10)
    deliverer = bench.deliverer(endpoint_concurrency=1)
    await deliverer.claim_due()
    await settled(bench)
    assert "pending" in await bench.states()
    assert await oldest(bench) == start
    async with bench.store.read() as conn:
        assert await lateness.stalled_since(conn, bench.clock()) >= bench.clock()


async def test_a_crowd_that_waits_for_its_own_hides_nobody_who_waits_for_us(bench, monkeypatch):
    monkeypatch.setattr(lateness, "CROWD", 4)
    receiver = await bench.receiver(answers(500))
    await bench.endpoint(receiver.url, event_types=["a.*"])
    await bench.put(*[bench.notice("a.b") for _ in range(12)])
    deliverer = bench.deliverer(endpoint_concurrency=1)
    await deliverer.claim_due()
    await bench.attempts(1)
    await settled(bench)
    bench.clock.advance(minutes=1)
    await bench.endpoint("https://plain.example", event_types=["b.*"])
    await bench.endpoint("https://order.example", event_types=["c.*"], ordering="fifo")
    late = bench.clock()
    await bench.put(*[bench.notice("c.d", calendar_id=uuid4()) for _ in range(6)])
    assert await oldest(bench, minutes=1) == late
    assert await due(bench, minutes=1) == 6
    bench.clock.advance(minutes=-2)
    await bench.put(bench.notice("b.c"))
    assert await oldest(bench, minutes=5) == late - timedelta(minutes=2)
