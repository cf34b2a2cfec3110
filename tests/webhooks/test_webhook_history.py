"""What was sent can be listed, looked into, sent again and forgotten."""

from datetime import timedelta
from uuid import uuid4

import pytest
from webhook_receivers import answers

from webhooks import endpoints, history, redelivery

pytestmark = pytest.mark.anyio
STRANGER = uuid4()


async def settled(bench):
    await bench.until(lambda: bench.rows("deliveries"), lambda rows: all(row.lease is None for row in rows))


async def test_messages_are_listed_newest_first_with_filters(bench):
    await bench.endpoint("https://a.example", event_types=["*"])
    calendar = uuid4()
    await bench.put(
        bench.notice("a.one"), bench.notice("a.two", calendar_id=calendar), bench.notice("a.one", calendar_id=calendar)
    )
    await bench.put(bench.notice("a.one"))
    ids = [row.id for row in await bench.rows("messages")]
    async with bench.store.read() as conn:

        async def listed(**filters):
            return [message.id for message in await history.page(conn, bench.project_id, **filters)]

        assert await listed() == ids[::-1]
        assert await listed(limit=2) == ids[:1:-1]
        assert await listed(before=ids[2], limit=2) == ids[1::-1]
        assert await listed(type="a.one") == [ids[3], ids[2], ids[0]]
        assert await listed(calendar_id=calendar) == [ids[2], ids[1]]
        assert await listed(calendar_id=calendar, type="a.two") == [ids[1]]
        assert await history.page(conn, STRANGER) == []


async def test_one_message_with_its_deliveries_and_attempts(bench):
    good, bad = await bench.receiver(), await bench.receiver(answers(500, b"x" * 5000))
    await bench.endpoint(good.url)
    failing, _ = await bench.endpoint(bad.url)
    deliverer = bench.deliverer()
    dispatches = await bench.publish(deliverer)
    message_id = dispatches[0].message_id
    await bench.attempts(2)
    async with bench.store.read() as conn:
        message, deliveries = await history.message(conn, bench.project_id, message_id)
        attempts = await history.message_attempts(conn, bench.project_id, message_id)
        assert await history.message(conn, STRANGER, message_id) is None
        assert await history.message(conn, bench.project_id, STRANGER) is None
        assert await history.message_attempts(conn, STRANGER, message_id) == []
    assert (message.type, bytes(message.body)) == ("calendar.active", dispatches[0].body)
    by_state = {delivery.state: delivery for delivery in deliveries}
    assert by_state["delivered"].next_attempt_at is None
    assert by_state["pending"].endpoint_id == failing.id
    assert by_state["pending"].next_attempt_at - bench.clock() >= timedelta(seconds=5)
    assert {delivery.attempts for delivery in deliveries} == {1}
    [failed] = [attempt for attempt in attempts if attempt.error_kind]
    assert (failed.status, failed.number, failed.endpoint_id, len(failed.answer)) == (500, 1, failing.id, 4096)
    assert failed.next_attempt_at == by_state["pending"].next_attempt_at


async def test_what_waits_behind_another_in_order_has_no_next_attempt_yet(bench):
    await bench.endpoint("https://a.example", ordering="fifo")
    calendar = uuid4()
    await bench.put(*[bench.notice("a.b", calendar_id=calendar) for _ in range(2)], bench.notice("a.b"))
    ids = [row.id for row in await bench.rows("messages")]
    async with bench.store.read() as conn:
        found = await history.message_deliveries(conn, bench.project_id, ids)
    assert [each.next_attempt_at for each in found] == [bench.clock(), None, bench.clock()]


async def test_a_resend_is_the_same_message_with_a_new_round_of_retries(bench):
    receiver = await bench.receiver()
    await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    [dispatch] = await bench.publish(deliverer)
    await bench.attempts(1)
    receiver.behaviour = answers(500)
    async with bench.store.write() as conn:
        assert await redelivery.resend(conn, STRANGER, dispatch.message_id, now=bench.clock()) == 0
        assert await redelivery.resend(conn, bench.project_id, dispatch.message_id, now=bench.clock()) == 1
    await deliverer.claim_due()
    attempts = await bench.attempts(2)
    assert receiver.ids() == [str(dispatch.message_id)] * 2
    assert receiver.requests[0].body == receiver.requests[1].body
    assert [attempt.number for attempt in attempts] == [1, 2]
    [row] = await bench.rows("deliveries")
    assert (
        timedelta(seconds=5) <= row.next_at - bench.clock() <= timedelta(seconds=6)
    )  # the first pause, not the second


async def test_recover_resends_what_failed_in_a_span(bench):
    receiver = await bench.receiver(answers(500, webhook_delivery="abort-message"))
    endpoint, _ = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    start = bench.clock()
    for kind in ("a.early", "a.wanted", "b.other"):
        await bench.publish(deliverer, type=kind)
        await settled(bench)
        bench.clock.advance(hours=1)
    assert set(await bench.states()) == {"failed"}
    receiver.behaviour = answers(200)
    async with bench.store.write() as conn:

        async def recovered(project_id, **span):
            return len(await redelivery.recover(conn, project_id, endpoint.id, now=bench.clock(), **span))

        assert await recovered(STRANGER, since=start) == 0
        assert await recovered(bench.project_id, since=bench.clock()) == 0
        since = start + timedelta(minutes=30)
        assert await recovered(bench.project_id, since=since, until=since) == 0
        assert await recovered(bench.project_id, since=since, event_types=["a.*"]) == 1
        assert await recovered(bench.project_id, since=start, event_types=["b.other"]) == 1
        assert await recovered(bench.project_id, since=start) == 1
    assert await deliverer.claim_due() == 3
    await bench.until(bench.states, lambda states: set(states) == {"delivered"})


async def test_purge_forgets_the_settled_in_chunks_and_keeps_the_rest(bench):
    receiver = await bench.receiver()
    gone, _ = await bench.endpoint(receiver.url)
    waiting, _ = await bench.endpoint("https://unreachable.example", event_types=["b.waits"])
    deliverer = bench.deliverer()
    await bench.publish(deliverer, 5)
    await bench.attempts(5)
    await bench.put(bench.notice("b.waits"))
    async with bench.store.write() as conn:
        await endpoints.delete(conn, bench.project_id, gone.id, now=bench.clock())
        assert await history.purge(conn, bench.clock() - timedelta(days=1)) == 0
    cutoff = bench.clock.advance(days=1)
    counts = []
    for _ in range(4):
        async with bench.store.write() as conn:
            counts.append(await history.purge(conn, cutoff, limit=2))
    assert counts == [2, 2, 1, 0]
    assert await bench.rows("attempts") == []
    assert [row.type for row in await bench.rows("messages")] == ["b.waits"]
    assert waiting.id in {row.id for row in await bench.rows("endpoints")}


async def test_purge_takes_deleted_endpoints_that_nothing_speaks_of(bench):
    endpoint, _ = await bench.endpoint("https://a.example")
    async with bench.store.write() as conn:
        await endpoints.delete(conn, bench.project_id, endpoint.id, now=bench.clock())
        assert await history.purge(conn, bench.clock() + timedelta(days=1)) == 0
    assert await bench.rows("endpoints") == []
