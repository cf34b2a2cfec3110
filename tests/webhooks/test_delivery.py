"""Delivery from the outbox to real receivers on loopback."""

import asyncio
import itertools
from datetime import timedelta

import pytest
import svix.webhooks
from sqlalchemy import update
from webhook_receivers import answers, hangs

from webhooks import endpoints, tables
from webhooks.message import Lease, Outcome
from webhooks.settlement import Result

pytestmark = pytest.mark.anyio


async def test_a_message_goes_out_at_once_signed_and_as_stored(bench):
    receiver = await bench.receiver()
    _, secret = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    [dispatch] = await bench.publish(deliverer)
    [request] = await receiver.until(1)
    await bench.attempts(1)
    [message] = await bench.rows("messages")
    assert request.method == "POST"
    assert request.body == message.body == dispatch.body
    assert request.headers["webhook-id"] == str(message.id)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "calgate/1.2.3"
    assert request.headers["accept-encoding"] == "identity"
    svix.webhooks.Webhook(secret).verify(request.body, request.headers)
    assert request.verify(secret) == {
        "type": "calendar.active",
        "timestamp": bench.clock().isoformat().replace("+00:00", "Z"),
        "data": {"n": 0},
    }
    assert await bench.states() == ["delivered"]
    assert bench.observed == ["delivered"]


async def test_an_attempt_is_written_down(bench):
    receiver = await bench.receiver(answers(500, b"no \0 way \xff"))
    await bench.endpoint(receiver.url)
    await bench.publish(bench.deliverer())
    [attempt] = await bench.attempts(1)
    [delivery] = await bench.rows("deliveries")
    assert (attempt.number, attempt.status, attempt.error_kind, attempt.delivery_id) == (1, 500, "status", delivery.id)
    assert attempt.answer == "no \N{REPLACEMENT CHARACTER} way \N{REPLACEMENT CHARACTER}"
    assert attempt.at == bench.clock()
    assert attempt.duration_ms >= 0
    assert attempt.next_attempt_at == delivery.next_at
    assert timedelta(seconds=5) <= delivery.next_at - bench.clock() <= timedelta(seconds=6)
    assert (delivery.state, delivery.lease, delivery.attempts) == ("pending", None, 1)


async def test_500_for_an_hour_then_well_again(bench):
    receiver = await bench.receiver(answers(500))
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    start = bench.clock()
    await bench.publish(deliverer)
    await bench.attempts(1)
    while bench.clock() - start < timedelta(hours=1):
        bench.clock.advance(seconds=30)
        if await deliverer.claim_due():
            await bench.attempts(len(receiver.requests))
            await settled(bench)
    assert len(receiver.requests) == 4  # 0 s, 5 s, 5 min, 30 min
    receiver.behaviour = answers(200)
    bench.clock.advance(hours=2)
    await deliverer.claim_due()
    attempts = await bench.attempts(5)
    assert await bench.states() == ["delivered"]
    assert len(set(receiver.ids())) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert [attempt.number for attempt in attempts] == [1, 2, 3, 4, 5]
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert stamps == sorted(set(stamps))
    pauses = [after.at - before.at for before, after in itertools.pairwise(attempts)]
    for pause, promised in zip(pauses, (5, 300, 1800, 7200), strict=True):
        assert pause >= timedelta(seconds=promised)


async def crash(deliverer):
    """What SIGKILL leaves after the answers came: nothing goes on, nothing is written."""
    while deliverer._slots:
        await asyncio.wait(deliverer._slots)
    deliverer._journal._writer.cancel()
    await asyncio.wait({deliverer._journal._writer})
    deliverer._journal._entries.clear()
    deliverer._closing = True


async def settled(bench):
    """Wait until nothing is leased any more."""
    await bench.until(lambda: bench.rows("deliveries"), lambda rows: all(row.lease is None for row in rows))


async def test_after_ten_attempts_it_has_failed(bench):
    receiver = await bench.receiver(answers(500))
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    await bench.publish(deliverer)
    for number in range(1, 11):
        await bench.attempts(number)
        await settled(bench)
        bench.clock.advance(hours=25)
        await deliverer.claim_due()
    assert await bench.states() == ["failed"]
    assert len(receiver.requests) == 10
    assert (await bench.rows("attempts"))[-1].next_attempt_at is None


async def test_nothing_is_sent_before_submit_and_a_lost_submit_is_recovered(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    crashed, survivor = bench.deliverer(), bench.deliverer()
    [dispatch] = await bench.put(bench.notice(), lease=crashed.lease())
    assert await survivor.claim_due() == 0
    bench.clock.advance(seconds=29)
    assert await survivor.claim_due() == 0
    bench.clock.advance(seconds=1)
    assert await survivor.claim_due() == 1
    [request] = await receiver.until(1)
    assert (request.headers["webhook-id"], request.body) == (str(dispatch.message_id), dispatch.body)
    await bench.attempts(1)
    assert await bench.states() == ["delivered"]


async def test_a_crash_between_send_and_settle_repeats_the_same_id_and_bytes(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    crashed, survivor = bench.deliverer(), bench.deliverer()
    dispatches = await bench.put(bench.notice(), lease=crashed.lease())
    bench.store.is_lost = True
    crashed.submit(dispatches)
    await receiver.until(1)
    await crash(crashed)
    bench.store.is_lost = False
    assert await bench.rows("attempts") == []
    bench.clock.advance(seconds=31)
    assert await survivor.claim_due() == 1
    first, second = await receiver.until(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    await bench.attempts(1)
    assert await bench.states() == ["delivered"]


async def test_a_result_whose_lease_was_lost_is_dropped(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    slow, other = bench.deliverer(), bench.deliverer()
    dispatches = await bench.put(bench.notice(), lease=slow.lease())
    bench.clock.advance(seconds=31)
    assert await other.claim_due() == 1
    await bench.attempts(1)
    bench.clock.advance(seconds=-31)
    slow.submit(dispatches)
    await receiver.until(2)
    await slow.drain(1.0)
    assert len(await bench.rows("attempts")) == 1
    assert await bench.states() == ["delivered"]


async def test_a_dispatch_that_waited_too_long_goes_back_unsent(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    dispatches = await bench.put(bench.notice(), lease=Lease(deliverer.owner, bench.clock() + timedelta(seconds=14)))
    deliverer.submit(dispatches)
    await settled(bench)
    [row] = await bench.rows("deliveries")
    assert (row.state, row.attempts, row.next_at) == ("pending", 0, bench.clock())
    assert receiver.requests == []
    assert await deliverer.claim_due() == 1
    await receiver.until(1)


async def test_a_lost_database_loses_nothing_and_fills_no_log(bench, caplog):
    caplog.set_level("INFO", "webhooks")
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(tick=0.01)
    dispatches = await bench.put(*[bench.notice() for _ in range(20)], lease=deliverer.lease())
    running = asyncio.create_task(deliverer.run())
    bench.store.is_lost = True
    deliverer.submit(dispatches)
    await receiver.until(20)
    await asyncio.sleep(0.1)
    assert bench.observed == ["delivered"] * 20
    assert {row.lease for row in await bench.rows("deliveries")} == {deliverer.owner}
    bench.store.is_lost = False
    await bench.attempts(20)
    assert set(await bench.states()) == {"delivered"}
    assert len(receiver.requests) == 20
    await deliverer.drain(1.0)
    await running
    assert sorted(record.getMessage() for record in caplog.records) == [
        "claiming due webhooks goes on",
        "claiming due webhooks has to wait for the database",
        "recording webhook attempts goes on",
        "recording webhook attempts has to wait for the database",
    ]


async def test_what_waits_in_memory_is_not_claimed_again_while_the_database_is_away(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    dispatches = await bench.put(bench.notice(), lease=deliverer.lease())
    bench.store.is_lost = True
    deliverer.submit(dispatches)
    await receiver.until(1)
    bench.clock.advance(seconds=60)
    bench.store.is_lost = False
    await deliverer.claim_due()
    await bench.attempts(1)
    assert len(receiver.requests) == 1


async def test_drain_gives_back_what_was_not_begun_and_ends_what_was(bench):
    receiver = await bench.receiver(hangs)
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    await bench.publish(deliverer, 20)
    await receiver.until(8)
    await deliverer.drain(0.05)
    rows = await bench.rows("deliveries")
    assert {(row.state, row.lease, row.attempts) for row in rows} == {("pending", None, 0)}
    assert len(receiver.requests) == 8
    await bench.publish(deliverer)
    await settled(bench)
    assert await deliverer.claim_due() == 0


async def test_a_test_message_answers_with_its_outcome(bench):
    receiver = await bench.receiver(answers(418, b"teapot"))
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    [dispatch] = await bench.put(bench.notice("webhook.test"), lease=deliverer.lease())
    outcome = await deliverer.deliver(dispatch)
    assert (outcome.status, outcome.error_kind, outcome.answer) == (418, "status", "teapot")
    assert len(await bench.rows("attempts")) == 1


async def test_secrets_are_opened_once_per_version(bench):
    receiver = await bench.receiver()
    endpoint, old = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    await bench.publish(deliverer, 10)
    await receiver.until(10)
    assert bench.cipher.opened == 1
    async with bench.store.write() as conn:
        new = await endpoints.rotate_secret(conn, bench.cipher, bench.project_id, endpoint.id, now=bench.clock())
    await bench.publish(deliverer, 10)
    requests = await receiver.until(20)
    for secret in (old, new):
        requests[-1].verify(secret)
    assert bench.cipher.opened == 3  # once more for the rotation itself


async def test_an_endpoint_that_cannot_be_opened_fails_its_own_attempts_only(bench):
    good, bad = await bench.receiver(), await bench.receiver()
    await bench.endpoint(good.url)
    broken, _ = await bench.endpoint(bad.url)
    sealed = bench.cipher.seal(b"[]", "another place")
    async with bench.store.write() as conn:
        await conn.execute(update(tables.endpoints).where(tables.endpoints.c.id == broken.id).values(secret=sealed))
    deliverer = bench.deliverer()
    await bench.publish(deliverer)
    await bench.attempts(2)
    assert sorted(await bench.states()) == ["delivered", "pending"]
    assert sorted(bench.observed) == ["delivered", "internal"]
    assert bad.requests == []


async def test_many_messages_share_few_transactions(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(linger=0.2)
    dispatches = await bench.put(*[bench.notice() for _ in range(100)], lease=deliverer.lease())
    writes = bench.store.writes
    deliverer.submit(dispatches)
    await bench.attempts(100)
    assert bench.store.writes - writes <= 3
    assert set(await bench.states()) == {"delivered"}


async def test_a_result_that_cannot_be_written_keeps_no_other_from_it(bench):
    await bench.endpoint("https://a.example/")
    deliverer = bench.deliverer()
    dispatches = await bench.put(*[bench.notice() for _ in range(5)], lease=deliverer.lease())
    for number, dispatch in enumerate(dispatches):
        answer = None if number == 2 else "ok"
        deliverer._journal.add(Result(dispatch, Outcome(bench.clock(), 0.1, status=200, answer=answer)))
    await bench.attempts(4)
    await deliverer.drain(1)
    assert await bench.states() == ["delivered", "delivered", "pending", "delivered", "delivered"]
