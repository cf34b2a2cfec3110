"""Endpoints that are changed while messages wait for them: what waits goes by the change, or not at all."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import update
from webhook_receivers import answers, hangs

from webhooks import tables
from webhooks.local_desk import LocalDesk

pytestmark = pytest.mark.anyio
X, Y = uuid4(), uuid4()


async def changed(bench, endpoint, deliverer=None, **fields):
    desk = LocalDesk(bench.store, bench.cipher, deliverer)
    return await desk.change(bench.project_id, endpoint.id, fields, version=None, now=bench.clock())


async def by_type(bench):
    """The states of deliveries by the type of their message, as `type of which calendar`."""
    told = {row.id: (row.type, row.calendar_id) for row in await bench.rows("messages")}
    names = {X: "of X", Y: "of Y", None: "of none"}
    rows = [(*told[row.message_id], row.state) for row in await bench.rows("deliveries")]
    return {f"{kind} {names[calendar]}": state for kind, calendar, state in rows}


async def test_a_queue_in_order_is_let_go_when_order_is_wanted_no_more(bench):
    receiver = await bench.receiver(answers(500))
    endpoint, _ = await bench.endpoint(receiver.url, ordering="fifo")
    deliverer = bench.deliverer(tick=60)
    running = asyncio.create_task(deliverer.run())
    await bench.publish(deliverer, 4, calendar_id=X)
    await bench.attempts(1)
    receiver.behaviour = answers(200)
    await changed(bench, endpoint, deliverer, ordering="best_effort")
    await bench.until(bench.states, lambda states: sorted(states) == ["delivered"] * 3 + ["pending"])
    assert {row.fifo_key for row in await bench.rows("deliveries")} == {None}
    await deliverer.drain(1)
    await running


async def test_what_was_parked_in_order_comes_without_it(bench):
    endpoint, _ = await bench.endpoint("https://a.example", ordering="fifo")
    await bench.put(bench.notice(calendar_id=X), bench.notice(calendar_id=X))
    await changed(bench, endpoint, state="disabled")
    await changed(bench, endpoint, ordering="best_effort")
    assert {(row.state, row.fifo_key) for row in await bench.rows("deliveries")} == {("pending", None)}


async def test_what_waits_when_order_is_asked_for_keeps_none(bench):
    endpoint, _ = await bench.endpoint("https://a.example")
    await bench.put(bench.notice(calendar_id=X))
    await changed(bench, endpoint, ordering="fifo")
    await bench.put(bench.notice(calendar_id=X))
    assert [row.fifo_key for row in await bench.rows("deliveries")] == [None, X]


async def test_what_is_resent_goes_past_the_order_and_the_order_stays(bench):
    receiver = await bench.receiver(answers(500))
    await bench.endpoint(receiver.url, ordering="fifo")
    desk, deliverer = LocalDesk(bench.store, bench.cipher, None), bench.deliverer()
    await bench.publish(deliverer, 3, calendar_id=X)
    first, second, last = [row.id for row in await bench.rows("messages")]
    await deliverer.claim_due()
    await bench.attempts(1)
    for message_id in (first, last):
        await desk.resend(bench.project_id, message_id, endpoint_id=None, now=bench.clock())
    assert [row.fifo_key for row in await bench.rows("deliveries")] == [X, X, None]
    await deliverer.claim_due()
    await bench.attempts(3)
    assert sorted(receiver.ids()) == sorted(map(str, (first, first, last)))
    receiver.behaviour = answers(200)
    for _ in range(2):
        bench.clock.advance(seconds=6)
        await deliverer.claim_due()
        await bench.until(bench.states, lambda states: "delivered" in states)
    await bench.until(lambda: _claimed(bench, deliverer), lambda states: set(states) == {"delivered"})
    arrived = receiver.ids()[3:]
    assert arrived.index(str(first)) < arrived.index(str(second))


async def _claimed(bench, deliverer):
    await deliverer.claim_due()
    return await bench.states()


NEWS = [("calendar.active", X), ("calendar.active", Y), ("event.created", X), ("calendar.error", Y), ("a.b", None)]


@pytest.mark.parametrize("waits", ["pending", "parked"])
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        pytest.param(
            {"event_types": ["calendar.*"], "calendar_ids": [Y]},
            {"calendar.active of Y", "calendar.error of Y"},
            id="types and calendars",
        ),
        pytest.param(
            {"event_types": ["calendar.active"]}, {"calendar.active of X", "calendar.active of Y"}, id="types"
        ),
        pytest.param(
            {"calendar_ids": [X]}, {"calendar.active of X", "event.created of X", "a.b of none"}, id="calendars"
        ),
        pytest.param(
            {"event_types": None},
            {"calendar.active of X", "calendar.active of Y", "calendar.error of Y", "a.b of none"},
            id="the default",
        ),
        pytest.param({"rate_limit": 5}, None, id="another field"),
    ],
)
async def test_what_narrower_filters_do_not_cover_is_cancelled(bench, fields, kept, waits):
    endpoint, _ = await bench.endpoint("https://a.example", event_types=["*"])
    await bench.put(*[bench.notice(kind, calendar_id=calendar) for kind, calendar in NEWS])
    if waits == "parked":
        await changed(bench, endpoint, state="disabled")
    await changed(bench, endpoint, state="disabled" if waits == "parked" else "enabled", **fields)
    found = await by_type(bench)
    assert len(found) == len(NEWS)
    assert {name for name, state in found.items() if state == waits} == (set(found) if kept is None else kept)
    assert set(found.values()) <= {waits, "cancelled"}


async def test_a_message_about_several_calendars_stays_for_any_of_them(bench):
    endpoint, _ = await bench.endpoint("https://a.example", calendar_ids=[X, Y])
    await bench.put(bench.notice("meeting.starting", calendar_id=X, also=(Y,)), bench.notice(calendar_id=X))
    await changed(bench, endpoint, calendar_ids=[Y])
    assert await by_type(bench) == {"meeting.starting of X": "pending", "calendar.active of X": "cancelled"}


async def test_what_is_in_hand_when_filters_narrow_does_not_go_to_the_new_address(bench):
    old, new = await bench.receiver(hangs), await bench.receiver()
    endpoint, _ = await bench.endpoint(old.url, event_types=["event.*", "calendar.*"])
    deliverer, survivor = bench.deliverer(endpoint_concurrency=1), bench.deliverer()
    await bench.publish(deliverer, 4, type="event.created", calendar_id=X)
    await old.until(1)
    await changed(bench, endpoint, deliverer, event_types=["calendar.*"], url=new.url)
    await deliverer.drain(0)
    bench.clock.advance(seconds=31)
    assert await survivor.claim_due() == 0
    assert await bench.states() == ["cancelled"] * 4
    assert new.requests == []


async def test_what_somebody_asks_for_by_hand_is_sent_whatever_the_filters_say(bench):
    receiver = await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url, event_types=["event.*"])
    await bench.put(bench.notice("event.created"))
    async with bench.store.write() as conn:
        await conn.execute(update(tables.deliveries).values(state="failed", attempts=10))
    await changed(bench, endpoint, event_types=["calendar.*"])
    deliverer = bench.deliverer()
    desk = LocalDesk(bench.store, bench.cipher, deliverer)
    [message] = await bench.rows("messages")
    await desk.resend(bench.project_id, message.id, endpoint_id=None, now=bench.clock())
    await deliverer.claim_due()
    await bench.until(bench.states, lambda states: states == ["delivered"])
    assert (await desk.test(bench.project_id, endpoint.id, now=bench.clock())).status == 200


async def test_a_test_that_waits_for_a_worker_outlives_a_change_of_filters(bench):
    receiver = await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url)
    asking = asyncio.create_task(
        LocalDesk(bench.store, bench.cipher, None).test(bench.project_id, endpoint.id, now=bench.clock())
    )
    await bench.until(bench.states, lambda states: states == ["pending"])
    await changed(bench, endpoint, event_types=["event.*"])
    await bench.deliverer().claim_due()
    assert (await asking).status == 200
