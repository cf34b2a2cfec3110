"""Handing over to Svix: each message accepted once and none lost, whatever the server and the process do."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fake_svix import DAY, TOKEN, FakeSvix, listening
from sqlalchemy import select
from webhook_receivers import answers, floods, hangs, talks_nonsense

from service.providers.guarded_http import Slots
from webhooks import endpoints, lateness, tables
from webhooks.delivery import Deliverer
from webhooks.desk import Unavailable
from webhooks.relay import rows
from webhooks.relay.desk import SvixDesk
from webhooks.relay.remote import Remote
from webhooks.relay.rows import relay_id
from webhooks.relay.sender import RelaySender, born
from webhooks.settings import DeliverySettings

pytestmark = pytest.mark.anyio

MANY = 500


@pytest.fixture
async def svix(bench, anyio_backend):
    async with listening(FakeSvix(clock=bench.clock)) as fake:
        yield fake
        assert fake.misuse == []


@pytest.fixture
async def relay(bench, svix):
    """Deliverers that hand over to the fake; they end with the test."""
    slots, made = Slots(64), []

    def deliverer(*, deadline=2.0, token=TOKEN):
        remote = Remote(slots, token, svix.url, [], deadline=deadline)
        each = Deliverer(
            bench.store,
            slots,
            bench.cipher,
            bench.clock,
            DeliverySettings(tick=0.02),
            observe=lambda kind, _seconds: bench.observed.append(kind),
            jitter=lambda: 0.0,
            relay=RelaySender(remote, bench.clock),
        )
        made.append((each, asyncio.create_task(each.run())))
        return each

    async with bench.store.write() as conn:
        await rows.turn_on(conn, now=bench.clock())
    yield deliverer
    bench.store.is_lost = False
    for each, running in made:
        await each.drain(0.05)
        await asyncio.wait({running})
    await slots.aclose()


async def settled(bench):
    """Until nothing is on its way: delivered, given up, or waiting for its time."""

    def rests(row):
        return row.lease is None and (row.state != "pending" or row.next_at > bench.clock())

    await bench.until(lambda: bench.rows("deliveries"), lambda found: all(map(rests, found)), 30)


async def all_delivered(bench, *, step=timedelta(hours=25)):
    """Let time pass until everything is accepted."""
    for _ in range(60):
        await settled(bench)
        if set(await bench.states()) <= {"delivered"}:
            return
        bench.clock.advance(seconds=step.total_seconds())
    raise AssertionError(await bench.states())


def kill(deliverer):
    """As if its process had died: what it has in flight and in memory is gone, and nothing is given back."""
    deliverer._closing = True
    deliverer._journal.add = lambda _entry: None
    for slot in list(deliverer._slots):
        slot.cancel()


@pytest.mark.parametrize(
    ("webhooks_url", "step"),
    [
        pytest.param("sqlite", timedelta(hours=1), id="sqlite-within-a-day"),
        pytest.param("postgresql", timedelta(hours=25), id="postgresql-days-later"),
    ],
    indirect=["webhooks_url"],
)
async def test_of_a_server_that_fails_a_third_of_all_calls_every_message_is_accepted_once(bench, svix, relay, step):
    """Late answers, lost answers, resets and refusals, a server that forgets eventIds after a day, processes that die."""
    svix.fault_rate, svix.keeps_replies = 0.3, step > DAY
    deliverer = relay(deadline=0.15)
    sent = []
    for _ in range(5):
        sent += await bench.publish(deliverer, MANY // 5)
        await asyncio.sleep(0.1)
        kill(deliverer)
        deliverer = relay(deadline=0.15)
        bench.clock.advance(seconds=31)
    await all_delivered(bench, step=step)
    expected = {(str(bench.project_id), str(dispatch.message_id)): 1 for dispatch in sent}
    assert len(expected) == MANY
    assert svix.accepted == expected
    assert svix.faults.keys() >= {"500", "503", "429", "reset", "late", "lost", "cut"}
    assert sum(svix.faults.values()) > 100


async def test_what_went_over_says_the_same(bench, svix, relay):
    first, second = uuid4(), uuid4()
    deliverer = relay()
    notice = bench.notice("meeting.starting", {"title": "Ünïcode ✓", "n": 1.5}, calendar_id=first, also=(second,))
    [dispatch] = await bench.put(notice, lease=deliverer.lease())
    deliverer.submit([dispatch])
    await settled(bench)
    message = svix.message(svix.app(str(bench.project_id)), str(dispatch.message_id))
    assert message.event_type == "meeting.starting"
    assert message.payload["data"] == {"title": "Ünïcode ✓", "n": 1.5}
    assert message.payload["type"] == "meeting.starting"
    assert message.channels == [str(first), str(second)]
    [call] = [call for call in svix.calls if call.path.endswith("/msg")]
    assert call.headers["idempotency-key"].startswith(str(dispatch.message_id))
    [attempt] = await bench.attempts(1)
    assert (attempt.status, attempt.error_kind) == (202, None)
    assert bench.observed == ["delivered"]


@pytest.mark.parametrize(
    ("also", "channels"),
    [
        pytest.param(None, ["any-calendar"], id="of-no-calendar"),
        pytest.param(0, None, id="of-one"),
        pytest.param(4, None, id="of-five"),
        pytest.param(5, ["any-calendar"], id="of-more-than-a-message-may-name"),
    ],
)
async def test_channels_also_after_the_process_died(bench, svix, relay, also, channels):
    named = [] if also is None else [uuid4() for _ in range(also + 1)]
    notice = bench.notice(calendar_id=named[0] if named else None, also=tuple(named[1:]))
    await bench.put(notice)  # no lease: it is claimed out of the database
    relay()
    await settled(bench)
    [message] = svix.app(str(bench.project_id)).messages.values()
    assert message.channels == (channels or [str(each) for each in named])


async def test_the_outbox_addresses_the_relay_and_nobody_else(bench, svix, relay):
    """All of it, never merged, also what only those get who name it; what the relay is stays hidden."""
    receiver = await bench.receiver()
    endpoint, _ = await bench.endpoint(receiver.url, event_types=["*"])
    calendar = uuid4()
    relay()
    kinds = ["calendar.sync_events", "calendar.sync_events", "event.updated", "webhook.endpoint_disabled"]
    await bench.put(*[bench.notice(kind, calendar_id=calendar) for kind in kinds])
    await bench.put(bench.notice("calendar.deleted", format="meeting_baas_v1"))
    await bench.put(bench.notice(project_id=uuid4()))
    deliveries = await bench.rows("deliveries")
    assert [row.endpoint_id for row in deliveries[:4]] == [relay_id(bench.project_id)] * 4
    assert len(deliveries) == 5
    assert all(row.merge_key is None and row.fifo_key is None for row in deliveries)
    await settled(bench)
    assert [message.event_type for message in svix.app(str(bench.project_id)).messages.values()] == kinds
    assert len(svix.applications) == 2
    assert receiver.requests == []
    async with bench.store.write() as conn:
        shown = await endpoints.page(conn, bench.project_id)
        assert [each.id for each in shown] == [endpoint.id]
        assert await endpoints.get(conn, bench.project_id, relay_id(bench.project_id)) is None
        assert await endpoints.hold(conn, bench.project_id, relay_id(bench.project_id)) is None
        assert await endpoints.reseal(conn, bench.cipher) == endpoint.id


async def test_a_relay_that_two_transactions_make_is_one(bench, relay):
    await asyncio.gather(*(bench.put(bench.notice()) for _ in range(8)))
    found = await bench.rows("endpoints")
    assert sorted(row.project_id.int for row in found) == [0, bench.project_id.int]
    assert len(await bench.states()) == 8


async def test_on_and_off(bench, svix, relay):
    """What was on its way to whom stays so; what the relay had not handed over waits until it is on again."""
    receiver = await bench.receiver()
    async with bench.store.write() as conn:
        await rows.turn_off(conn, now=bench.clock())
        assert not await rows.turn_off(conn, now=bench.clock())
    await bench.endpoint(receiver.url)
    await bench.put(bench.notice(data={"n": 1}))
    async with bench.store.write() as conn:
        assert await rows.turn_on(conn, now=bench.clock())
        assert not await rows.turn_on(conn, now=bench.clock())
        assert await rows.resting(conn) == 1
    await bench.put(bench.notice(data={"n": 2}))
    async with bench.store.write() as conn:
        assert await rows.turn_off(conn, now=bench.clock())
    await bench.put(bench.notice(data={"n": 3}))
    relay()
    await receiver.until(2)
    await settled(bench)
    assert [request.body.count(b'"n":2') for request in receiver.requests] == [0, 0]
    assert sorted(await bench.states()) == ["delivered", "delivered", "parked"]
    bench.clock.advance(days=3)
    async with bench.store.write() as conn:
        await rows.turn_on(conn, now=bench.clock())
    await settled(bench)
    assert set(await bench.states()) == {"delivered"}
    assert len(receiver.requests) == 2
    assert [message.payload["data"] for message in svix.app(str(bench.project_id)).messages.values()] == [{"n": 2}]


@pytest.mark.parametrize(
    ("after", "keeps_replies", "status"),
    [
        pytest.param(timedelta(hours=11), True, 202, id="within-half-a-day"),
        pytest.param(timedelta(hours=11), False, 409, id="of-a-server-that-keeps-no-replies"),
        pytest.param(timedelta(hours=13), True, 409, id="within-a-day"),
        pytest.param(3 * DAY, True, 409, id="days-later"),
    ],
)
async def test_an_acceptance_that_nobody_heard_of_is_none_too_many(bench, svix, relay, after, keeps_replies, status):
    """For half a day an idempotency key is known, for a day an eventId; past that it is asked for."""
    deliverer, svix.keeps_replies = relay(deadline=0.15), keeps_replies
    svix.fault_rate, svix._random.choice = 1.0, lambda _faults: "late"
    [dispatch] = await bench.publish(deliverer)
    await settled(bench)
    svix.fault_rate = 0.0
    assert await bench.states() == ["pending"]
    bench.clock.advance(seconds=after.total_seconds())
    await settled(bench)
    assert await bench.states() == ["delivered"]
    assert list(svix.accepted.values()) == [1]
    assert (await bench.attempts(2))[1].status == status
    assert abs(bench.clock() - born(dispatch.message_id) - after) < timedelta(minutes=1)


async def test_the_relay_is_never_disabled(bench, svix, relay):
    """Six days of failures, 410 among them: what is tried out is failed, the rest goes over when Svix is back."""
    svix.behaviour = lambda writer: answers(410, b'{"code":"gone","detail":"x"}', webhook_delivery="disable")(
        None, writer
    )
    relay()
    for _ in range(7):
        await bench.put(bench.notice())
        await settled(bench)
        bench.clock.advance(days=1)
    [_, row] = await bench.rows("endpoints")
    assert (row.state, row.disabled_reason) == ("enabled", None)
    assert row.first_failure_at is not None
    svix.behaviour = None
    await all_delivered(bench)
    assert len(svix.accepted) == 7


async def test_a_message_that_svix_will_never_take_is_given_up_with_its_reason(bench, svix, relay):
    relay()
    await bench.put(bench.notice("no good type!"))
    await settled(bench)
    assert await bench.states() == ["failed"]
    [attempt] = await bench.attempts(1)
    assert attempt.status == 422
    assert "eventType" in attempt.error_detail
    svix.misuse.clear()


async def test_a_refusal_that_is_not_svixs_own_is_tried_again(bench, svix, relay):
    svix.behaviour = lambda writer: answers(413, b"<html>too large, says the proxy</html>")(None, writer)
    await bench.put(bench.notice())
    relay()
    await settled(bench)
    assert await bench.states() == ["pending"]


@pytest.mark.parametrize(
    ("behaviour", "kind", "status"),
    [
        pytest.param(answers(202, b"not json"), "protocol", None, id="no-json"),
        pytest.param(answers(202, b"[" * 100_000), "protocol", None, id="deep"),
        pytest.param(answers(202, b'{"id": 7}'), "protocol", None, id="something-else"),
        pytest.param(answers(200, b"null"), "protocol", None, id="null"),
        pytest.param(answers(302, b"", location="http://127.0.0.1:1/"), "status", 302, id="redirect"),
        pytest.param(answers(500, b"<html>"), "status", 500, id="html-500"),
        pytest.param(answers(401, b'{"code":"x","detail":"no ' + TOKEN.encode() + b'"}'), "status", 401, id="401-echo"),
        pytest.param(answers(403, b'["a"]'), "status", 403, id="403-list"),
        pytest.param(answers(422, b'{"detail":[1,{"loc":3},{"loc":["a"],"msg":{}}]}'), "status", 422, id="422-odd"),
        pytest.param(hangs, "timeout", None, id="hangs"),
        pytest.param(floods, "protocol", None, id="huge"),
        pytest.param(talks_nonsense, "protocol", None, id="nonsense"),
    ],
)
async def test_hostile_servers(bench, svix, relay, caplog, behaviour, kind, status):
    svix.behaviour = lambda writer: behaviour(None, writer)
    await bench.put(bench.notice())
    relay(deadline=0.3 if behaviour is hangs else 10)
    await settled(bench)
    [attempt] = await bench.attempts(1)
    assert (attempt.error_kind, attempt.status) == (kind, status)
    assert set(await bench.states()) <= {"pending", "failed"}
    assert TOKEN not in f"{attempt.error_detail}{attempt.answer}{caplog.text}"


async def test_a_server_that_cannot_be_reached(bench, svix, relay):
    svix.url = "http://127.0.0.1:9"
    await bench.put(bench.notice())
    relay()
    await settled(bench)
    [attempt] = await bench.attempts(1)
    assert attempt.error_kind == "connect"


async def test_a_svix_that_is_away_is_not_our_delay(bench, svix, relay):
    """Readiness goes by this."""
    await bench.put(bench.notice())
    bench.clock.advance(hours=1)
    async with bench.store.read() as conn:
        assert await lateness.oldest_due(conn, bench.clock()) is None
        assert await lateness.stalled_since(conn, bench.clock()) is None
        assert await lateness.oldest_relay(conn, bench.clock()) is not None
        assert await lateness.count_due(conn, bench.clock()) == 1


async def test_a_process_without_the_relay_leaves_it_for_later(bench, svix, relay):
    await bench.put(bench.notice())
    await bench.deliverer().claim_due()
    await settled(bench)
    [attempt] = await bench.attempts(1)
    assert attempt.error_kind == "unavailable"
    assert await bench.states() == ["pending"]


async def test_a_server_that_hangs_holds_a_user_for_the_deadline_only(bench, svix):
    svix.behaviour = lambda writer: hangs(None, writer)
    slots = Slots(1)
    desk = SvixDesk(bench.store, Remote(slots, TOKEN, svix.url, [], deadline=0.1), None)
    async with asyncio.timeout(30):
        for _ in range(2):
            with pytest.raises(Unavailable, match="did not answer within"):
                await desk.page(bench.project_id, after=None, limit=1, now=bench.clock())
    await slots.aclose()


def test_the_token_is_in_no_representation():
    remote = Remote(Slots(1), TOKEN, None, [])
    for each in (remote, RelaySender(remote, lambda: None), remote._channel, remote._svix):
        assert TOKEN not in repr(each)


WORKER = Path(__file__).parent / "relay_worker.py"


async def test_kill_9(bench, svix, webhooks_url, relay):
    """A real process, killed three times at work, and a server that fails a third of all calls; another one ends it."""
    svix.fault_rate = 0.3
    await bench.put(*[bench.notice(data={"n": n}) for n in range(200)])
    environment = {**os.environ, "PYTHONPATH": f".{os.pathsep}{WORKER.parents[1]}"}
    for _ in range(3):
        before = len(svix.calls)
        command = [sys.executable, str(WORKER), webhooks_url, svix.url, TOKEN, bench.clock().isoformat()]
        process = subprocess.Popen(command, env=environment, cwd=WORKER.parents[2])  # noqa: ASYNC220  it is not waited for
        try:
            async with asyncio.timeout(30):
                while len(svix.calls) - before < 40:
                    assert process.poll() is None
                    await asyncio.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        bench.clock.advance(seconds=60)
    assert "pending" in await bench.states()
    relay(deadline=0.15)
    await all_delivered(bench)
    async with bench.store.read() as conn:
        ids = (await conn.execute(select(tables.messages.c.id))).scalars().all()
    assert svix.accepted == {(str(bench.project_id), str(message_id)): 1 for message_id in ids}
    assert len(ids) == 200
