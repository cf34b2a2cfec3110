"""The local desk: secrets that change under load, tests from afar, backfills that news overtakes, order that holds."""

import asyncio
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_receivers import answers, hangs

from webhooks import endpoints, health, tables
from webhooks.desk import Selection, TooMany, Unavailable, UnknownObject, WrongState
from webhooks.endpoints import EndpointDraft
from webhooks.health import Count
from webhooks.local_desk import LocalDesk

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)
BACKFILL = int(os.environ.get("BACKFILL", "3000"))


def desk_of(bench, deliverer=None, **fields):
    return LocalDesk(bench.store, bench.cipher, deliverer, **fields)


async def rotated(bench, desk, endpoint, *, grace=DAY, rotation_id=None):
    return await desk.rotate(
        bench.project_id, endpoint.id, grace=grace, rotation_id=rotation_id or uuid4(), now=bench.clock()
    )


async def settled(bench):
    await bench.until(lambda: bench.rows("deliveries"), lambda rows: all(row.state == "delivered" for row in rows))


def verifies(request, secret):
    try:
        request.verify(secret)
    except WebhookVerificationError:
        return False
    return True


async def test_under_load_whoever_rotates_loses_no_signature(bench):
    """The old secret verifies all of it for a day; the new one all that is sent from its answer on."""
    receiver = await bench.receiver()
    endpoint, first = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer(endpoint_concurrency=2, tick=0.05)
    running = asyncio.create_task(deliverer.run())
    desk = desk_of(bench, deliverer)
    stop = asyncio.Event()

    async def load():
        published = 0
        while not stop.is_set():
            if published - len(receiver.requests) < 60:
                await bench.publish(deliverer, 20)
                published += 20
            await asyncio.sleep(0.005)

    loading = asyncio.create_task(load())
    secrets, marks = [first], []
    for _ in range(4):
        await receiver.until(len(receiver.requests) + 30)
        secrets.append(await rotated(bench, desk, endpoint))
        marks.append(len(receiver.requests) + receiver.in_flight + 2)  # what is on the wire was signed before
    await receiver.until(len(receiver.requests) + 30)
    stop.set()
    await loading
    await settled(bench)
    await deliverer.drain(1)
    await running
    assert all(verifies(request, first) for request in receiver.requests)
    for secret, mark in zip(secrets[1:], marks, strict=True):
        late = receiver.requests[mark:]
        assert late
        assert [n for n, request in enumerate(late) if not verifies(request, secret)] == []


async def test_what_waits_goes_to_the_new_address_with_the_new_secret_alone(bench):
    old, new = await bench.receiver(hangs), await bench.receiver()
    endpoint, _ = await bench.endpoint(old.url)
    deliverer = bench.deliverer(endpoint_concurrency=1, tick=0.05)
    running = asyncio.create_task(deliverer.run())
    desk = desk_of(bench, deliverer)
    await bench.publish(deliverer, 6)
    await old.until(1)
    secret = await rotated(bench, desk, endpoint, grace=timedelta())
    await desk.change(bench.project_id, endpoint.id, {"url": new.url}, version=None, now=bench.clock())
    await old.until(1)
    old_behaviour, old.behaviour = old.behaviour, answers()
    await deliverer.drain(0)
    await running
    survivor = bench.deliverer(tick=0.05)
    bench.clock.advance(seconds=31)
    running = asyncio.create_task(survivor.run())
    requests = await new.until(6)
    assert len(old.requests) == 1
    assert old_behaviour is hangs
    for request in requests:
        assert verifies(request, secret)
        assert len(request.headers["webhook-signature"].split()) == 1
    await survivor.drain(1)
    await running


async def test_another_process_learns_of_a_change_by_looking(bench):
    old, new = await bench.receiver(hangs), await bench.receiver()
    endpoint, _ = await bench.endpoint(old.url)
    deliverer = bench.deliverer(endpoint_concurrency=1)
    await bench.publish(deliverer, 4)
    await old.until(1)
    told = []
    elsewhere = desk_of(bench, announce=lambda _conn, topic: told.append(topic))
    await elsewhere.change(bench.project_id, endpoint.id, {"url": new.url}, version=None, now=bench.clock())
    assert "endpoints" in told
    await deliverer.refresh()
    await bench.until(lambda: bench.rows("deliveries"), lambda rows: sum(row.lease is None for row in rows) == 3)


async def test_the_same_rotation_again_gets_the_same_secret(bench):
    endpoint, first = await bench.endpoint("https://a.example/")
    desk, wish = desk_of(bench), uuid4()
    secret = await rotated(bench, desk, endpoint, rotation_id=wish)
    assert secret != first
    assert await rotated(bench, desk, endpoint, rotation_id=wish) == secret
    assert await desk.reveal(bench.project_id, endpoint.id) == secret
    assert await rotated(bench, desk, endpoint) != secret


async def test_an_old_secret_ends_when_its_grace_does(bench):
    receiver = await bench.receiver()
    endpoint, first = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    desk = desk_of(bench, deliverer)
    second = await rotated(bench, desk, endpoint, grace=timedelta(seconds=60))
    await bench.publish(deliverer)
    await receiver.until(1)
    bench.clock.advance(seconds=61)
    await bench.publish(deliverer)
    before, after = await receiver.until(2)
    signatures = [request.headers["webhook-signature"].split() for request in (before, after)]
    assert [len(each) for each in signatures] == [2, 1]
    stamp = bench.clock()
    assert signatures[1][0] == Webhook(second).sign(after.headers["webhook-id"], stamp, after.body.decode())
    assert verifies(before, first)


async def test_a_test_is_made_by_whoever_sends(bench):
    receiver = await bench.receiver(answers(503, b"later"))
    endpoint, _ = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    desk = desk_of(bench, announce=lambda _conn, _topic: None)
    asking = asyncio.create_task(desk.test(bench.project_id, endpoint.id, now=bench.clock()))
    await bench.until(bench.states, lambda states: states == ["pending"])
    assert await deliverer.claim_due() == 1
    attempt = await asking
    assert (attempt.status, attempt.answer, attempt.next_attempt_at) == (503, "later", None)
    bench.clock.advance(days=1)
    assert await deliverer.claim_due() == 0
    assert await bench.states() == ["failed"]


async def test_a_test_that_nobody_sends_says_so(bench):
    endpoint, _ = await bench.endpoint("https://a.example/")
    with pytest.raises(Unavailable):
        await desk_of(bench, patience=0.05).test(bench.project_id, endpoint.id, now=bench.clock())


async def test_a_stranger_reaches_nothing(bench):
    endpoint, _ = await bench.endpoint("https://a.example/")
    [dispatch] = await bench.put(bench.notice(), lease=bench.deliverer().lease())
    desk, stranger, now = desk_of(bench), uuid4(), bench.clock()
    span = {"since": now, "until": None, "event_types": None, "now": now}
    refused = [
        desk.get(stranger, endpoint.id, now=now),
        desk.change(stranger, endpoint.id, {}, version=None, now=now),
        desk.delete(stranger, endpoint.id, version=None, now=now),
        desk.reveal(stranger, endpoint.id),
        desk.rotate(stranger, endpoint.id, grace=DAY, rotation_id=uuid4(), now=now),
        desk.test(stranger, endpoint.id, now=now),
        desk.recover(stranger, endpoint.id, **span),
        desk.message(stranger, dispatch.message_id),
        desk.attempts(stranger, dispatch.message_id),
        desk.resend(stranger, dispatch.message_id, endpoint_id=None, now=now),
        desk.resend(bench.project_id, dispatch.message_id, endpoint_id=uuid4(), now=now),
    ]
    for wish in refused:
        with pytest.raises(UnknownObject):
            await wish
    assert await desk.messages(stranger, Selection()) == []
    assert await desk.page(stranger, after=None, limit=9, now=now) == []


async def test_a_project_has_so_many_endpoints_and_no_more(bench, monkeypatch):
    monkeypatch.setattr("webhooks.local_desk.MOST_ENDPOINTS", 2)
    desk, draft, last = desk_of(bench), EndpointDraft(url="https://a.example/"), uuid4()
    for endpoint_id in (uuid4(), last):
        await desk.create(bench.project_id, draft, endpoint_id=endpoint_id, now=bench.clock())
    with pytest.raises(TooMany):
        await desk.create(bench.project_id, draft, endpoint_id=uuid4(), now=bench.clock())
    again, secret = await desk.create(bench.project_id, draft, endpoint_id=last, now=bench.clock())
    assert (again.id, secret) == (last, await desk.reveal(bench.project_id, last))


async def test_those_who_make_endpoints_at_once_make_no_more_than_there_may_be(bench, monkeypatch):
    monkeypatch.setattr("webhooks.local_desk.MOST_ENDPOINTS", 2)
    desk, draft = desk_of(bench), EndpointDraft(url="https://a.example/")
    wishes = [desk.create(bench.project_id, draft, endpoint_id=uuid4(), now=bench.clock()) for _ in range(8)]
    made = await asyncio.gather(*wishes, return_exceptions=True)
    assert sum(isinstance(each, TooMany) for each in made) == 6
    assert len(await bench.rows("endpoints")) == 2


async def test_news_overtakes_a_backfill_of_thousands(bench):
    receiver, neighbour = await bench.receiver(), await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url)
    other_project = uuid4()
    await bench.endpoint(neighbour.url, project_id=other_project)
    await bench.put(*[bench.notice() for _ in range(BACKFILL)])
    async with bench.store.write() as conn:
        await conn.execute(update(tables.deliveries).values(state="failed", attempts=10))
    bench.clock.advance(seconds=1)
    deliverer = bench.deliverer(tick=0.05)
    desk = desk_of(bench, deliverer)
    running = asyncio.create_task(deliverer.run())
    span = {"since": bench.clock() - DAY, "until": None, "event_types": None, "now": bench.clock()}
    assert await desk.recover(bench.project_id, endpoint.id, **span) == BACKFILL
    await receiver.until(50)
    # Born leased, and found by a claim: to the same endpoint, and to another.
    bench.clock.advance(seconds=1)
    before = {row.id for row in await bench.rows("messages")}
    sent = len(receiver.requests)
    await bench.publish(deliverer, 5)
    await bench.put(*[bench.notice() for _ in range(5)])
    wanted = {str(row.id) for row in await bench.rows("messages") if row.id not in before}
    await bench.put(*[bench.notice(project_id=other_project) for _ in range(5)])
    deliverer.wake()
    await neighbour.until(5)
    await bench.until(_ids_of(receiver), lambda ids: wanted <= set(ids))
    place = max(receiver.ids().index(message_id) for message_id in wanted)
    assert place - sent < BACKFILL // 6
    assert len(receiver.requests) < BACKFILL * 2 // 3
    await receiver.until(BACKFILL + 10, seconds=300)
    await settled(bench)
    assert len(receiver.requests) == len(set(receiver.ids())) == BACKFILL + 10
    await deliverer.drain(1)
    await running


def _ids_of(receiver):
    async def read():
        return receiver.ids()

    return read


async def test_one_that_hangs_delays_none_of_ninety_nine(bench):
    """Over real sockets: the 99 have all of theirs before the first of its attempts has come to an end."""
    project = uuid4()
    good = [await bench.receiver() for _ in range(99)]
    for receiver in good:
        await bench.endpoint(receiver.url, project_id=project)
    deliverer = bench.deliverer(deadline=60, lease=120)
    hanging = await bench.receiver(hangs)
    await bench.endpoint(hanging.url)
    await bench.publish(deliverer, 200)
    await hanging.until(8)
    await bench.publish(deliverer, 3, project_id=project)
    for receiver in good:
        await receiver.until(3)
    assert (hanging.most_in_flight, len(hanging.requests)) == (8, 8)


async def test_health_counts_by_the_hour_for_a_day(bench):
    endpoint, _ = await bench.endpoint("https://a.example/")
    start = bench.clock().replace(minute=30)

    async def count(hours, *counts):
        async with bench.store.write() as conn:
            for one in counts:
                await health.count(conn, {endpoint.id: one}, now=start + timedelta(hours=hours))

    async def rate(hours):
        async with bench.store.read() as conn:
            found = await health.rates(conn, [endpoint.id], now=start + timedelta(hours=hours))
        return found[endpoint.id]

    await count(0, Count(3, 1, start), Count(1, 0, start))
    await count(5, Count(0, 5))
    assert (await rate(5)).success_rate == pytest.approx(0.4)
    await count(24, Count(1, 1))
    assert (await rate(24)).success_rate == pytest.approx(1 / 7, abs=1e-4)
    assert (await rate(60)).success_rate is None
    assert (await rate(60)).last_success_at == start


async def test_five_hundred_successes_are_one_row_of_health(bench):
    receiver = await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    await bench.publish(deliverer, 500)
    await settled(bench)
    await deliverer.drain(2)
    [row] = await bench.rows_of(tables.hours)
    assert (row.endpoint_id, row.delivered, row.failed) == (endpoint.id, 500, 0)


@pytest.mark.parametrize("middle", ["rotate", "disable", "retry", "delete"])
async def test_order_holds_whatever_happens_in_the_middle(bench, middle):
    calendars = [uuid4(), uuid4()]
    receiver = await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url, ordering="fifo")
    deliverer = bench.deliverer(tick=0.02)
    desk = desk_of(bench, deliverer)
    running = asyncio.create_task(deliverer.run())
    for n in range(40):
        await bench.publish(deliverer, 1, calendar_id=calendars[n % 2])
        if n != 20:
            continue
        await receiver.until(12)
        if middle == "rotate":
            await rotated(bench, desk, endpoint)
        elif middle == "retry":
            receiver.behaviour = answers(500)
            await receiver.until(len(receiver.requests) + 1)
        elif middle == "delete":
            await desk.delete(bench.project_id, endpoint.id, version=None, now=bench.clock())
        else:
            await desk.change(bench.project_id, endpoint.id, {"state": "disabled"}, version=None, now=bench.clock())
            await bench.until(bench.states, lambda states: "pending" not in states)
            await desk.change(bench.project_id, endpoint.id, {}, version=None, now=bench.clock())
    if middle == "retry":
        await bench.attempts(1)
        receiver.behaviour = answers(200)
        bench.clock.advance(seconds=10)
        deliverer.wake()
    await bench.until(bench.states, lambda states: set(states) <= {"delivered", "cancelled"})
    assert ("cancelled" in await bench.states()) is (middle == "delete")
    await deliverer.drain(1)
    await running
    calendar_of = {str(row.id): row.calendar_id for row in await bench.rows("messages")}
    for calendar in calendars:
        arrived = [message for message in receiver.ids() if calendar_of[message] == calendar]
        assert list(dict.fromkeys(arrived)) == sorted(set(arrived))
        assert arrived or middle == "delete"


async def test_a_change_is_refused_to_nobody_and_enables(bench):
    endpoint, _ = await bench.endpoint("https://a.example/")
    desk = desk_of(bench)
    async with bench.store.write() as conn:
        await endpoints.disable(conn, bench.project_id, endpoint.id, reason="gone", now=bench.clock())
    span = {"since": bench.clock(), "until": None, "event_types": None, "now": bench.clock()}
    with pytest.raises(WrongState):
        await desk.recover(bench.project_id, endpoint.id, **span)
    with pytest.raises(WrongState):
        await desk.test(bench.project_id, endpoint.id, now=bench.clock())
    changed = await desk.change(bench.project_id, endpoint.id, {}, version=2, now=bench.clock())
    assert (changed.state, changed.version) == ("enabled", 3)
