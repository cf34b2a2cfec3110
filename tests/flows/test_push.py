"""Notifications and channels: none is lost, none is believed that is forged, and ten thousand are two reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flows.stage import Stage
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.channels import _channels, _pushes

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


async def watched(stage: Stage) -> UUID:
    """A synced calendar with an open channel, whose first notification has been taken."""
    calendar_id = await stage.connect()
    await stage.sync()
    assert await stage.renew_channels() == 1
    assert await stage.carry_pushes() == [True]
    await stage.sync()
    return calendar_id


async def channels_of(stage: Stage) -> list[Any]:
    async with stage.gateway.database.read() as conn:
        return list((await conn.execute(select(_channels).order_by(_channels.c.opened_at))).all())


async def wish_of(stage: Stage, calendar_id: UUID) -> Any:
    async with stage.gateway.database.read() as conn:
        return (await conn.execute(select(_pushes).where(_pushes.c.calendar_id == calendar_id))).one()


def edit(stage: Stage, title: str = "new") -> None:
    stage.world.add_meeting(ADA, title, in_minutes=60)


async def test_a_notification_makes_its_calendar_due_and_the_change_says_so(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)

    assert await stage.carry_pushes() == [True]

    row = await stage.calendar(calendar_id)
    assert (row.due_at, row.due_cause, row.push_received_at) == (stage.clock(), "push", stage.clock())
    await stage.sync()
    assert [change.cause for change in await stage.changes()] == ["push"]
    assert (await stage.calendar(calendar_id)).due_at - stage.clock() >= timedelta(minutes=54), "the hourly safety poll"


async def test_opening_a_channel_reads_what_was_changed_before_it(stage: Stage) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    edit(stage)
    await stage.renew_channels()

    await stage.sync()

    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_the_first_notice_may_come_before_the_answer_to_the_watch_is_stored(stage: Stage) -> None:
    await stage.connect()
    await stage.sync()
    taken: list[bool] = []
    opened = stage.gateway.providers["google"].open_channel

    async def slow(*args: Any, **more: Any) -> Any:
        channel = await opened(*args, **more)
        # Google does not wait for us to write down what it has answered.
        taken.extend(await stage.carry_pushes())
        return channel

    stage.gateway.providers["google"].open_channel = slow  # type: ignore[method-assign]
    await stage.renew_channels()

    assert taken == [True]
    assert [row.state for row in await channels_of(stage)] == ["open"]


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param({"X-Goog-Channel-Token": "guessed"}, id="token"),
        pytest.param({"X-Goog-Channel-Token": ""}, id="empty token"),
        pytest.param({"X-Goog-Channel-Token": "\u00fc\ufffd"}, id="token of strange letters"),
        pytest.param({"X-Goog-Channel-Token": None}, id="no token"),
        pytest.param({"X-Goog-Resource-ID": "another"}, id="resource"),
        pytest.param({"X-Goog-Resource-State": None}, id="no state"),
        pytest.param({"X-Goog-Channel-ID": str(uuid4())}, id="unknown channel"),
    ],
)
async def test_a_forged_notification_does_nothing(stage: Stage, forge: dict[str, str | None]) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (owed,) = stage.world.take_pushes()
    before = await stage.calendar(calendar_id)
    headers = {name: value for name, value in {**owed.headers, **forge}.items() if value is not None}

    assert await stage.receive(headers) is False

    assert await stage.calendar(calendar_id) == before
    assert await stage.receive(owed.headers) is True


@pytest.mark.parametrize(
    ("late", "believed"),
    [pytest.param(4, True, id="a clock that is late"), pytest.param(6, False, id="kept and sent again")],
)
async def test_a_channel_that_has_ended_is_not_believed_any_more(stage: Stage, late: int, believed: bool) -> None:
    await watched(stage)
    edit(stage)
    (owed,) = stage.world.take_pushes()
    (channel,) = await channels_of(stage)
    stage.clock.advance(minutes=(channel.expires_at - stage.clock()) / timedelta(minutes=1) + late)

    assert await stage.receive(owed.headers) is believed


async def test_a_notification_on_the_path_of_another_channel_is_forged(stage: Stage) -> None:
    await watched(stage)
    edit(stage)
    (owed,) = stage.world.take_pushes()

    assert await stage.receive(owed.headers, channel=uuid4()) is False


async def test_a_notification_during_a_read_is_not_lost(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage, "first")
    await stage.carry_pushes()
    pages = stage.gateway.providers["google"].pages

    async def late(*args: Any, **more: Any) -> Any:
        found = [page async for page in pages(*args, **more)]
        # The listing is read; now somebody changes something, and Google says so.
        edit(stage, "second")
        assert await stage.carry_pushes() == [True]
        for page in found:
            yield page

    stage.gateway.providers["google"].pages = late  # type: ignore[method-assign]
    await stage.sync()
    stage.gateway.providers["google"].pages = pages  # type: ignore[method-assign]
    row = await stage.calendar(calendar_id)
    assert row.lease is None
    assert row.due_at <= stage.clock() + timedelta(seconds=1)
    assert row.due_cause == "push"
    stage.clock.advance(1)
    await stage.sync()

    assert await stage.stored(calendar_id) == stage.truth(ADA)


class Writes:
    """Counts the statements that change calendars."""

    def __init__(self, stage: Stage) -> None:
        self.count = 0
        event.listen(stage.gateway.database._writer.sync_engine, "before_cursor_execute", self._counted)

    def _counted(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.count += statement.startswith("UPDATE calendars")


async def test_ten_thousand_notifications_are_two_reads_and_few_writes(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (owed,) = stage.world.take_pushes()
    stage.world.reset_counters()
    writes, reads = Writes(stage), 0
    for number in range(10_000):
        assert await stage.receive(owed.headers)
        if number % 1000 == 0:
            reads += await stage.sync()
            stage.clock.advance(0.2)
    edit(stage, "the last one")
    await stage.carry_pushes()
    for _ in range(10):
        stage.clock.advance(1)
        reads += await stage.sync()

    assert reads <= 2
    assert stage.world.read_counters()["events.list"] <= 2
    assert writes.count < 60
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_notifications_that_are_taken_at_once_start_one_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (owed,) = stage.world.take_pushes()
    database, reads = stage.gateway.database, 0
    write = database.write

    @asynccontextmanager
    async def overtaken() -> AsyncIterator[AsyncConnection]:
        """Between what a notification has read and what it writes, another is taken, and its read begins."""
        nonlocal reads
        monkeypatch.setattr(database, "write", write)
        assert await stage.receive(owed.headers)
        reads += await stage.sync()
        edit(stage, "meanwhile")
        async with write() as conn:
            yield conn

    monkeypatch.setattr(database, "write", overtaken)
    assert await stage.receive(owed.headers)
    stage.clock.advance(0.1)
    reads += await stage.sync()
    assert reads == 1
    stage.clock.advance(0.9)
    assert await stage.sync() == 1
    assert await stage.stored(calendar_id) == stage.truth(ADA)


@pytest.mark.parametrize("seconds", [31, 32.5, 45, 61])
async def test_the_last_notification_of_a_long_storm_is_read(stage: Stage, seconds: float) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (owed,) = stage.world.take_pushes()
    passed = 0.0
    while passed < seconds:
        await stage.receive(owed.headers)
        await stage.sync()
        stage.clock.advance(0.25)
        passed += 0.25
    edit(stage, "the last one")
    await stage.carry_pushes()
    for _ in range(10):
        await stage.sync()
        stage.clock.advance(1)

    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_notification_right_after_a_read_that_somebody_asked_for_is_read(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.clock.advance(60)
    edit(stage)
    (owed,) = stage.world.take_pushes()
    for _ in range(8):
        await stage.receive(owed.headers)
    stage.clock.advance(0.1)
    await stage.resync(calendar_id)
    await stage.sync()
    stage.clock.advance(0.1)
    edit(stage, "the last one")
    await stage.carry_pushes()
    for _ in range(10):
        await stage.sync()
        stage.clock.advance(1)

    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_notification_does_not_end_a_pause_that_google_asked_for(stage: Stage) -> None:
    calendar_id = await watched(stage)
    stage.world.add_fault("429_retry_after", endpoint="events.list", seconds=600)
    await stage.sync_again(calendar_id)
    until = (await stage.calendar(calendar_id)).retry_at
    edit(stage)

    assert await stage.carry_pushes() == [True]

    assert (await stage.calendar(calendar_id)).due_at == until
    stage.clock.now = until
    await stage.sync()
    assert await stage.stored(calendar_id) == stage.truth(ADA)


async def test_a_disconnected_calendar_is_not_woken(stage: Stage) -> None:
    calendar_id = await watched(stage)
    edit(stage)
    pushes = stage.world.take_pushes()
    stage.world.revoke_consent(ADA)
    for _ in range(2):
        await stage.sync_again(calendar_id)
        stage.clock.advance(70)
    for push in pushes:
        await stage.receive(push.headers)

    assert (await stage.calendar(calendar_id)).due_at is None


async def test_a_channel_is_followed_by_the_next_while_it_still_delivers(stage: Stage) -> None:
    calendar_id = await watched(stage)
    (first,) = await channels_of(stage)
    stage.clock.advance(days=7 * 0.74)
    assert await stage.renew_channels() == 0
    stage.clock.advance(days=7 * 0.12)

    assert await stage.renew_channels() == 1
    old, new = await channels_of(stage)
    assert (old.id, old.state, new.state) == (first.id, "closing", "open")
    assert new.expires_at == stage.clock() + timedelta(days=7)
    edit(stage)
    assert await stage.carry_pushes() == [True] * 3, "the first of the new one, and the change by both"
    stage.clock.advance(1)
    await stage.renew_channels()
    assert [row.id for row in await channels_of(stage)] == [new.id]
    assert stage.world.read_calls("channels.stop")[-1]["status"] == 204
    edit(stage, "later")
    assert await stage.carry_pushes() == [True]
    assert (await stage.calendar(calendar_id)).push_until == new.expires_at


async def test_a_calendar_that_cannot_be_watched_is_polled(stage: Stage) -> None:
    holidays = stage.world.connect(ADA) and stage.world.add_calendar(ADA, "Holidays", kind="holiday")
    calendar_id, _ = await stage.post(stage.world.connect(ADA), raw_calendar_id=holidays)
    await stage.sync()
    await stage.renew_channels()

    wish, row = await wish_of(stage, calendar_id), await stage.calendar(calendar_id)
    assert wish.unsupported_reason == "pushNotSupportedForRequestedResource"
    assert wish.due_at == stage.clock() + timedelta(days=7)
    assert (row.push_until, row.status) == (None, "active")
    assert row.due_at <= stage.clock() + timedelta(minutes=5)
    assert await channels_of(stage) == []


@pytest.mark.parametrize(
    ("preset", "most_minutes"),
    [("backend_503", 1), ("rate_limit_429", 1), ("channel_id_400", 1), ("lost_answer", 1), ("hang", 1)],
)
async def test_a_watch_that_fails_is_tried_again_and_meanwhile_there_are_polls(
    stage: Stage, preset: str, most_minutes: int
) -> None:
    calendar_id = await stage.connect()
    await stage.sync()
    stage.world.add_fault(preset, endpoint="events.watch")
    await stage.renew_channels()
    assert (await stage.calendar(calendar_id)).status == "active"
    wish = await wish_of(stage, calendar_id)
    assert stage.clock() < wish.due_at <= stage.clock() + timedelta(minutes=most_minutes)
    assert wish.failures == 1

    stage.clock.now = wish.due_at
    await stage.renew_channels()

    assert [row.state for row in await channels_of(stage)] == ["open"]


async def test_a_watch_with_an_access_token_that_died_is_tried_again_with_a_new_one(stage: Stage) -> None:
    await stage.connect()
    await stage.sync()
    stage.world.expire_access_tokens()

    await stage.renew_channels()

    assert [row.state for row in await channels_of(stage)] == ["open"]


async def test_an_opening_that_was_never_answered_is_forgotten(stage: Stage) -> None:
    await stage.connect()
    await stage.sync()
    opened = stage.gateway.providers["google"].open_channel

    async def die(*args: Any, **more: Any) -> Any:
        await opened(*args, **more)
        raise RuntimeError("the process dies here")

    stage.gateway.providers["google"].open_channel = die  # type: ignore[method-assign]
    await stage.renew_channels()
    stage.gateway.providers["google"].open_channel = opened  # type: ignore[method-assign]
    assert [row.state for row in await channels_of(stage)] == ["opening"]
    stage.clock.advance(minutes=6)
    await stage.renew_channels()

    assert [row.state for row in await channels_of(stage)] == ["open"]


async def test_a_deleted_calendar_stops_its_push(stage: Stage) -> None:
    calendar_id = await watched(stage)
    await stage.remove(calendar_id)

    assert stage.world.read_calls("channels.stop")[-1]["status"] == 204
    assert await channels_of(stage) == []
    edit(stage)
    assert stage.world.take_pushes() == []
