"""The outbox: what is put there, for whom, and that it lives and dies with the caller's transaction."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import event

from webhooks import message, outbox
from webhooks.message import Lease, Notice, Target
from webhooks.outbox import Subscriber, fan_out, wants

CALENDAR, OTHER, PROJECT = uuid4(), uuid4(), uuid4()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def notice(kind="calendar.active", calendar_id=None, **fields):
    return Notice(project_id=PROJECT, type=kind, data={}, at=NOW, calendar_id=calendar_id, **fields)


def subscriber(event_types=None, calendar_ids=None, form="standard", project_id=PROJECT, fifo=False):
    target = Target(uuid4(), project_id, 1, "https://example.org", None, b"")
    return Subscriber(target, event_types, calendar_ids, fifo, form)


@pytest.mark.parametrize(
    ("one", "news", "expected"),
    [
        pytest.param(subscriber(), notice(), True, id="all-types-by-default"),
        pytest.param(subscriber(), notice("event.created"), False, id="but-not-the-event-family"),
        pytest.param(subscriber(["event.created"]), notice("event.created"), True, id="named-exactly"),
        pytest.param(subscriber(["event.created"]), notice("event.updated"), False, id="another-type"),
        pytest.param(subscriber(["event.*"]), notice("event.updated"), True, id="family"),
        pytest.param(subscriber(["event.*"]), notice("eventful.x"), False, id="family-ends-at-the-dot"),
        pytest.param(subscriber(["*"]), notice("event.updated"), True, id="everything"),
        pytest.param(subscriber([]), notice(), False, id="nothing"),
        pytest.param(subscriber(None, [str(CALENDAR)]), notice(calendar_id=CALENDAR), True, id="its-calendar"),
        pytest.param(subscriber(None, [str(CALENDAR)]), notice(calendar_id=OTHER), False, id="another-calendar"),
        pytest.param(
            subscriber(None, [str(CALENDAR)]), notice(calendar_id=OTHER, also=(CALENDAR,)), True, id="also-its"
        ),
        pytest.param(subscriber(None, []), notice(calendar_id=OTHER, also=(CALENDAR,)), False, id="also-not-its"),
        pytest.param(subscriber(None, [str(CALENDAR)]), notice(), True, id="of-no-calendar"),
        pytest.param(subscriber(None, []), notice(calendar_id=CALENDAR), False, id="no-calendar-at-all"),
        pytest.param(subscriber(form="v1"), notice(), False, id="another-format"),
        pytest.param(subscriber(form="v1"), notice(format="v1"), True, id="its-format"),
    ],
)
def test_who_wants_what(one, news, expected):
    assert wants(one, news) is expected


def test_fan_out_keeps_projects_apart_and_skips_what_nobody_wants():
    mine, theirs = subscriber(), subscriber(project_id=uuid4())
    placed = fan_out([notice(), notice("event.created")], [mine, theirs], now=NOW, lease=Lease(uuid4(), NOW))
    assert [row["type"] for row in placed.messages] == ["calendar.active"]
    assert [row["endpoint_id"] for row in placed.deliveries] == [mine.target.endpoint_id]
    assert [dispatch.body for dispatch in placed.dispatches] == [placed.messages[0]["body"]]


def test_an_ordered_delivery_waits_for_a_claim():
    lease = Lease(uuid4(), NOW + timedelta(seconds=30))
    placed = fan_out([notice(calendar_id=CALENDAR)], [subscriber(fifo=True)], now=NOW, lease=lease)
    [row], [dispatch] = placed.deliveries, placed.dispatches
    assert (row["lease"], row["next_at"], row["fifo_key"]) == (None, NOW, CALENDAR)
    assert (dispatch.lease, dispatch.ordered) == (None, True)


def test_the_body_is_the_envelope_in_utc():
    at = datetime(2026, 3, 1, 14, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))
    news = Notice(project_id=PROJECT, type="a.b", data=msgspec.Raw(b'{"x": [1,2]}'), at=at)
    assert message.body(news) == b'{"type":"a.b","timestamp":"2026-03-01T12:00:00.005000Z","data":{"x": [1,2]}}'


def test_another_format_is_a_body_of_its_own():
    assert message.body(notice(format="v1")) == b"{}"


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        message.body(Notice(project_id=PROJECT, type="a", data={}, at=datetime(2026, 3, 1)))  # noqa: DTZ001


def test_a_target_hides_its_secret():
    assert "hidden" not in repr(Target(uuid4(), PROJECT, 1, "https://example.org/?token=hidden", None, b"hidden"))


@pytest.mark.anyio
async def test_what_is_put_is_stored_leased_and_answered(bench):
    first, _ = await bench.endpoint("https://a.example")
    second, _ = await bench.endpoint("https://b.example")
    lease = Lease(uuid4(), bench.clock() + timedelta(seconds=30))
    dispatches = await bench.put(bench.notice(calendar_id=CALENDAR), lease=lease)
    [stored] = await bench.rows("messages")
    rows = await bench.rows("deliveries")
    assert stored.calendar_id == CALENDAR
    assert UUID(str(stored.id)).version == 7
    assert {row.endpoint_id for row in rows} == {first.id, second.id}
    assert {(row.state, row.lease, row.next_at, row.attempts) for row in rows} == {
        ("pending", lease.owner, lease.until, 0)
    }
    assert [(d.delivery_id, d.message_id, d.body, d.attempt) for d in dispatches] == [
        (row.id, stored.id, stored.body, 1) for row in rows
    ]


@pytest.mark.anyio
async def test_without_a_lease_deliveries_are_due_at_once(bench):
    await bench.endpoint("https://a.example")
    assert await bench.put(bench.notice()) == []
    [row] = await bench.rows("deliveries")
    assert (row.state, row.lease, row.next_at) == ("pending", None, bench.clock())


@pytest.mark.anyio
async def test_a_rollback_leaves_nothing(bench):
    await bench.endpoint("https://a.example")
    bench.store.is_lost = True
    with pytest.raises(ConnectionResetError):
        await bench.put(bench.notice(), lease=Lease(uuid4(), bench.clock()))
    bench.store.is_lost = False
    assert await bench.rows("messages") == []
    assert await bench.rows("deliveries") == []


@pytest.mark.anyio
async def test_what_nobody_subscribes_to_is_not_stored(bench):
    await bench.endpoint("https://a.example", event_types=["calendar.deleted"])
    assert await bench.put(bench.notice()) == []
    assert await bench.rows("messages") == []


@pytest.mark.anyio
async def test_a_put_is_three_statements_however_large_and_none_when_empty(bench):
    for _ in range(3):
        await bench.endpoint("https://a.example")
    statements = []
    event.listen(bench.store.engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    async with bench.store.write() as conn:
        await outbox.put(conn, [], now=bench.clock())
        statements.clear()
        await outbox.put(conn, [], now=bench.clock())
        assert statements == []
        await outbox.put(conn, [bench.notice() for _ in range(50)], now=bench.clock())
        assert len(statements) == 3
    assert len(await bench.rows("deliveries")) == 150


@pytest.mark.anyio
async def test_only_addresses_one_endpoint_whatever_it_subscribes_to(bench):
    chosen, _ = await bench.endpoint("https://a.example", event_types=["event.*"], calendar_ids=[CALENDAR])
    await bench.endpoint("https://b.example")
    async with bench.store.write() as conn:
        await outbox.put(conn, [bench.notice("webhook.test")], now=bench.clock(), only=chosen.id)
    assert [row.endpoint_id for row in await bench.rows("deliveries")] == [chosen.id]
