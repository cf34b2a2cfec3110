"""Microsoft's notifications and subscriptions: many calendars in one request, each proved; one subscription that lives on."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flows.stage import Stage
from sqlalchemy import event, select

from service.flows import push
from service.store.channels import _channels, _pushes

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("provider", ["microsoft"])]
ADA, BOB = "ada@contoso.example", "bob@contoso.example"
LIFE = timedelta(minutes=10_070)


async def watched(stage: Stage, email: str = ADA) -> UUID:
    """A synced calendar with an open channel."""
    calendar_id = await stage.connect(email)
    await stage.sync()
    assert await stage.renew_channels() == 1
    for _ in range(2):
        await stage.sync()
        stage.clock.advance(100)
    return calendar_id


async def channels_of(stage: Stage) -> list[Any]:
    async with stage.gateway.database.read() as conn:
        return list((await conn.execute(select(_channels).order_by(_channels.c.opened_at))).all())


async def wish_of(stage: Stage, calendar_id: UUID) -> Any:
    async with stage.gateway.database.read() as conn:
        return (await conn.execute(select(_pushes).where(_pushes.c.calendar_id == calendar_id))).one()


def edit(stage: Stage, title: str = "new", email: str = ADA) -> None:
    stage.world.add_meeting(email, title, in_minutes=60)


def items_of(stage: Stage) -> list[dict[str, Any]]:
    return [item for owed in stage.world.take_pushes() for item in json.loads(owed.body)["value"]]


async def post(stage: Stage, items: Any) -> bool:
    body = items if isinstance(items, bytes) else json.dumps({"value": items}).encode()
    return await push.received(stage.gateway, stage.storms, "microsoft", {}, body)


async def test_a_notification_makes_its_calendar_due_and_is_looked_at_twice(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.world.set(lag_seconds=60)
    stage.clock.advance(minutes=10)
    edit(stage)

    assert await stage.carry_pushes() == [True]

    row = await stage.calendar(calendar_id)
    assert (row.due_at, row.due_cause) == (stage.clock(), "push")
    await stage.sync()
    assert await stage.events(calendar_id) == [], "Graph tells of a change before it shows it"
    due_at = (await stage.calendar(calendar_id)).due_at
    assert timedelta(seconds=80) < due_at - stage.clock() < timedelta(seconds=100)
    stage.clock.now = due_at
    await stage.sync()
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert (await stage.calendar(calendar_id)).due_at - stage.clock() >= timedelta(minutes=54), "and not a third time"


async def test_what_is_asked_for(stage: Stage) -> None:
    await watched(stage)
    (subscription,) = stage.world.read_subscriptions()
    (channel,) = await channels_of(stage)
    calendar = stage.world.find_calendar(ADA).id
    assert subscription["resource"] == f"me/calendars/{calendar.replace('=', '%3D')}/events"
    assert subscription["notificationUrl"] == "http://127.0.0.1:9/push/microsoft"
    assert subscription["lifecycleNotificationUrl"] == "http://127.0.0.1:9/push/microsoft/lifecycle"
    assert subscription["clientState"].startswith(f"{channel.id}:")
    assert (channel.resource_id, channel.expires_at - channel.opened_at) == (subscription["id"], LIFE)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param({"clientState": "{id}:guessed"}, id="secret"),
        pytest.param({"clientState": "{id}:"}, id="empty secret"),
        pytest.param({"clientState": "{id}"}, id="no secret"),
        pytest.param({"clientState": None}, id="no state"),
        pytest.param({"clientState": 7}, id="state of another type"),
        pytest.param({"clientState": "\u00fc:\ufffd"}, id="strange letters"),
        pytest.param({"clientState": "x" * 200}, id="too long"),
        pytest.param({"subscriptionId": "another"}, id="subscription"),
        pytest.param({"subscriptionId": None}, id="no subscription"),
        pytest.param({"clientState": f"{uuid4()}:x"}, id="unknown channel"),
    ],
)
async def test_a_forged_item_does_nothing_and_spoils_no_other(stage: Stage, forge: dict[str, Any]) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (item,) = items_of(stage)
    (channel,) = await channels_of(stage)
    before = await stage.calendar(calendar_id)
    forged = item | {
        name: value.replace("{id}", str(channel.id)) if isinstance(value, str) else value
        for name, value in forge.items()
    }

    assert await post(stage, [forged]) is False
    assert await stage.calendar(calendar_id) == before
    assert await post(stage, [forged, item, "nonsense", None]) is True
    assert (await stage.calendar(calendar_id)).due_cause == "push"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"value": null}', b'{"value": 7}', b"\xff", b"[" * 9999]
)
async def test_what_is_no_notification(stage: Stage, body: bytes) -> None:
    assert await post(stage, body) is False


async def test_items_of_several_calendars_in_one_request(stage: Stage) -> None:
    ada, bob = await watched(stage), await watched(stage, BOB)
    stage.clock.advance(60)
    edit(stage)
    edit(stage, email=BOB)
    (owed,) = stage.world.take_pushes()
    assert await stage.take(owed)
    assert await stage.sync() == 2
    for calendar_id, email in ((ada, ADA), (bob, BOB)):
        assert await stage.stored(calendar_id) == stage.truth(email)


class Statements:
    """Counts what is asked of the database."""

    def __init__(self, stage: Stage) -> None:
        self.count = 0
        database = stage.gateway.database
        engines = {each.sync_engine for each in vars(database).values() if hasattr(each, "sync_engine")}
        assert engines
        for engine in engines:
            event.listen(engine, "before_cursor_execute", self._counted)

    def _counted(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.count += not statement.startswith(("BEGIN", "PRAGMA"))


async def test_a_thousand_items_for_one_calendar_are_few_statements(stage: Stage) -> None:
    await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (item,) = items_of(stage)
    statements = Statements(stage)

    assert await post(stage, [item] * 1000)

    assert statements.count <= 3


async def test_ten_thousand_requests_are_two_reads(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (item,) = items_of(stage)
    stage.world.reset_counters()
    body = json.dumps({"value": [item] * 5}).encode()
    reads = 0
    for number in range(2_000):
        assert await post(stage, body)
        if number % 200 == 0:
            reads += await stage.sync()
            stage.clock.advance(0.2)
    edit(stage, "the last one")
    await stage.carry_pushes()
    for _ in range(10):
        stage.clock.advance(1)
        reads += await stage.sync()

    assert reads <= 2
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_flood_of_claims_is_bounded(stage: Stage) -> None:
    statements = Statements(stage)
    assert (
        await post(stage, [{"subscriptionId": "s", "clientState": f"{UUID(int=n)}:x"} for n in range(9_000)]) is False
    )
    assert statements.count <= 25


async def test_a_notification_of_a_calendar_that_is_due_anyway_is_looked_at_twice_all_the_same(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.world.set(lag_seconds=60)
    stage.clock.advance(hours=2)
    edit(stage)
    assert (await stage.calendar(calendar_id)).due_at < stage.clock()
    assert await stage.carry_pushes() == [True]
    await stage.sync()
    stage.clock.advance(100)
    await stage.sync()
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_subscription_is_prolonged_and_stays_the_same(stage: Stage) -> None:
    calendar_id = await watched(stage)
    (first,) = await channels_of(stage)
    stage.clock.advance(days=4)
    assert await stage.renew_channels() == 0
    stage.clock.advance(days=2)

    assert await stage.renew_channels() == 1

    (channel,) = await channels_of(stage)
    assert (channel.id, channel.resource_id, channel.state) == (first.id, first.resource_id, "open")
    assert channel.expires_at == stage.clock() + LIFE
    assert (await stage.calendar(calendar_id)).push_until == channel.expires_at
    assert stage.clock() < (await wish_of(stage, calendar_id)).due_at < channel.expires_at
    await stage.sync()
    stage.clock.advance(days=2)
    edit(stage)
    assert await stage.carry_pushes() == [True]


async def test_a_subscription_that_is_gone_is_made_anew_and_what_was_missed_is_read(stage: Stage) -> None:
    calendar_id = await watched(stage)
    (first,) = await channels_of(stage)
    stage.world.subscriptions.clear()
    edit(stage)
    stage.clock.advance(days=6)
    await stage.renew_channels()
    await stage.sync()
    await stage.renew_channels()

    (channel,) = await channels_of(stage)
    assert channel.id != first.id
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    edit(stage, "more")
    assert await stage.carry_pushes() == [True]


async def test_reauthorization_is_renewal_now(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.world.suspend_subscriptions()
    edit(stage)
    assert await stage.carry_pushes() == [True]
    assert (await wish_of(stage, calendar_id)).due_at == stage.clock()

    assert await stage.renew_channels() == 1
    await stage.sync()

    assert stage.world.read_calls("subscriptions.renew")[-1]["status"] == 200
    assert await stage.stored(calendar_id) == stage.truth(ADA), "what was changed meanwhile nobody has told of"
    assert len(await channels_of(stage)) == 1
    stage.clock.advance(60)
    edit(stage, "more")
    assert await stage.carry_pushes() == [True]


async def test_a_removed_subscription_is_forgotten_replaced_and_made_up_for(stage: Stage) -> None:
    calendar_id = await watched(stage)
    (first,) = await channels_of(stage)
    stage.clock.advance(60)
    stage.world.send_lifecycle("subscriptionRemoved")
    edit(stage)
    assert await stage.carry_pushes() == [True]

    row = await stage.calendar(calendar_id)
    assert (row.push_until, row.due_at, await channels_of(stage)) == (None, stage.clock(), [])
    await stage.sync()
    assert await stage.stored(calendar_id) == stage.truth(ADA)
    assert await stage.renew_channels() == 1
    (channel,) = await channels_of(stage)
    assert channel.resource_id != first.resource_id


async def test_missed_notifications_are_made_up_for(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    stage.world.set_push(lose_next=1)
    edit(stage)
    stage.world.send_lifecycle("missed")
    assert await stage.carry_pushes() == [True]
    await stage.sync()
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_forged_end_of_a_subscription_is_not_believed(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.world.send_lifecycle("subscriptionRemoved")
    (item,) = items_of(stage)
    (channel,) = await channels_of(stage)
    assert await post(stage, [item | {"clientState": f"{channel.id}:guess"}]) is False
    assert (await stage.calendar(calendar_id)).push_until is not None


@pytest.mark.parametrize(
    "preset",
    ["validation_failed_400", "validation_timeout_400", "service_503", "too_many_requests_429", "hang"],
)
async def test_a_subscription_that_fails_is_tried_again_and_meanwhile_there_are_polls(
    stage: Stage, preset: str
) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.add_fault(preset, endpoint="subscriptions.create")
    await stage.renew_channels()
    row, wish = await stage.calendar(calendar_id), await wish_of(stage, calendar_id)
    assert (row.status, row.push_until, wish.failures) == ("active", None, 1)
    assert row.due_at <= stage.clock() + timedelta(minutes=5)

    stage.clock.now = wish.due_at
    await stage.renew_channels()

    assert [channel.state for channel in await channels_of(stage)] == ["open"]


async def test_a_refused_subscription_is_polled(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.add_fault("subscription_forbidden_403", endpoint="subscriptions.create", times=None)
    await stage.renew_channels()
    wish = await wish_of(stage, calendar_id)
    assert (wish.unsupported_reason, wish.due_at) == ("ExtensionError", stage.clock() + timedelta(days=7))
    assert await channels_of(stage) == []


async def test_a_subscription_whose_answer_was_lost_is_cleared_away(stage: Stage) -> None:
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    stage.world.add_fault("lost_answer", endpoint="subscriptions.create")
    await stage.renew_channels()
    (orphan,) = stage.world.read_subscriptions()
    stage.clock.now = (await wish_of(stage, calendar_id)).due_at
    await stage.renew_channels()

    (subscription,) = stage.world.read_subscriptions()
    assert subscription["id"] != orphan["id"]
    edit(stage)
    assert await stage.carry_pushes() == [True]


async def test_a_subscription_of_somebody_elses_is_left_alone(stage: Stage) -> None:
    calendar_id = await watched(stage)
    (theirs,) = stage.world.subscriptions[ADA].values()
    theirs.notification_url = "https://other.example/push/microsoft"
    async with stage.gateway.database.write() as conn:
        await conn.execute(_channels.delete())
        await conn.execute(_pushes.update().values(due_at=stage.clock()))
    await stage.renew_channels()
    assert [each["id"] for each in stage.world.read_subscriptions()] == [theirs.id]
    assert (await wish_of(stage, calendar_id)).unsupported_reason == "subscription exists, for another address"


async def test_where_no_calendar_can_be_watched_the_mailbox_is_for_its_own_calendar(stage: Stage) -> None:
    stage.world.set(calendar_subscriptions=False)
    calendar_id = await watched(stage)
    team = stage.world.add_calendar(ADA, "Team")
    other, _ = await stage.post(stage.world.connect(ADA), raw_calendar_id=team)
    await stage.sync()
    await stage.renew_channels()
    assert [each["resource"] for each in stage.world.read_subscriptions()] == ["me/events"]
    assert (await wish_of(stage, other)).unsupported_reason
    assert (await stage.calendar(other)).push_until is None
    edit(stage)
    assert await stage.carry_pushes() == [True]
    await stage.sync()
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_deleted_calendar_stops_its_push(stage: Stage) -> None:
    calendar_id = await watched(stage)
    await stage.remove(calendar_id)
    assert stage.world.read_subscriptions() == []
    assert await channels_of(stage) == []


async def test_a_notification_may_come_before_the_answer_to_the_subscription_is_stored(stage: Stage) -> None:
    await stage.connect(ADA)
    await stage.sync()
    taken: list[bool] = []
    opened = stage.gateway.providers["microsoft"].open_channel

    async def slow(*args: Any, **more: Any) -> Any:
        channel = await opened(*args, **more)
        edit(stage)
        taken.extend(await stage.carry_pushes())
        return channel

    stage.gateway.providers["microsoft"].open_channel = slow  # type: ignore[method-assign]
    await stage.renew_channels()
    assert taken == [True]
