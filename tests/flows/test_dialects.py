"""Calendar webhooks in the words of Meeting BaaS, out of the same transactions as our own, on both databases."""

from typing import Any
from uuid import UUID

import pytest
from flows.bot_stage import ADA, BotStage
from flows.stage import Stage
from meeting_baas_wire import read
from sqlalchemy import select

from service.core.meeting_baas.notices import V1, V2
from service.core.meeting_baas.series import series_uuid
from webhooks import endpoints, tables
from webhooks.message import STANDARD

pytestmark = pytest.mark.anyio


class Listening:
    """Endpoints of all formats; `news` is what was put into the outbox since it was last asked."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seen = 0

    async def subscribe(self, name: str, types: list[str] | None = None) -> None:
        draft = endpoints.EndpointDraft(url="https://r.example.com/", format=name, event_types=types)
        async with self.stage.gateway.database.write() as conn:
            await endpoints.create(conn, self.stage.gateway.cipher, self.stage.project, draft, now=self.stage.clock())

    async def news(self) -> list[tuple[str, str, Any]]:
        """The format of the endpoint, the name in the body, and the data, checked against the published shape."""
        query = (
            select(tables.endpoints.c.format, tables.messages.c.type, tables.messages.c.body)
            .join(tables.deliveries, tables.deliveries.c.message_id == tables.messages.c.id)
            .join(tables.endpoints, tables.endpoints.c.id == tables.deliveries.c.endpoint_id)
            .order_by(tables.deliveries.c.id)
        )
        async with self.stage.gateway.database.read() as conn:
            rows = (await conn.execute(query)).all()
        fresh, self.seen = rows[self.seen :], len(rows)
        told = []
        for row in fresh:
            if row.format == STANDARD:
                told.append((row.format, row.type, None))
            else:
                name, data = read(row.body)
                assert name == row.type
                told.append((row.format, name.removeprefix("calendar."), data))
        return told

    async def names(self, name: str = V2) -> list[str]:
        return [kind for each, kind, _ in await self.news() if each == name]


@pytest.fixture
async def listening(stage: Stage) -> Listening:
    listening = Listening(stage)
    for name in (STANDARD, V1, V2):
        await listening.subscribe(name)
    return listening


async def connected(stage: Stage, **event: Any) -> tuple[UUID, str]:
    stage.world.connect(ADA)
    row = stage.world.add_meeting(ADA, "Review", in_minutes=60, **event)
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    return calendar_id, row["id"]


async def test_a_first_sync_is_one_webhook_in_every_dialect(listening: Listening) -> None:
    stage = listening.stage
    stage.world.connect(ADA)
    stage.world.add_meeting(ADA, "Daily", in_minutes=60, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    calendar_id, _ = await connected(stage)
    news = await listening.news()
    assert sorted((name, kind) for name, kind, _ in news if name != STANDARD) == sorted(
        [(V2, "connection_created"), (V1, "sync_events"), (V2, "events_synced"), (V2, "connection_updated")]
    )
    by_kind = {kind: data for name, kind, data in news if name != STANDARD}
    events = await stage.events(calendar_id)
    assert set(by_kind["sync_events"].affected_event_uuids) == {event.id for event in events}
    shapes = sorted((each.event_type, len(each.instances)) for each in by_kind["events_synced"].events)
    assert shapes == [("one_off", 1), ("recurring", 3)]
    single = next(event for event in events if event.series_id is None)
    assert series_uuid(calendar_id, None, single.id) in {each.series_id for each in by_kind["events_synced"].events}
    assert (by_kind["connection_created"].account_email, by_kind["connection_created"].status) == (ADA, "active")


async def test_later_changes_are_told_each_by_its_name(listening: Listening) -> None:
    stage = listening.stage
    calendar_id, row_id = await connected(stage)
    await listening.news()
    stage.world.move_event(ADA, row_id, by_minutes=30)
    stage.world.add_meeting(ADA, "New", in_minutes=90)
    await stage.sync_again(calendar_id)
    news = await listening.news()
    assert sorted(kind for name, kind, _ in news if name == V2) == ["event_created", "event_updated"]
    assert [kind for name, kind, _ in news if name == V1] == ["sync_events"]
    moved = next(data for _, kind, data in news if kind == "event_updated")
    (event,) = [event for event in await stage.events(calendar_id) if event.title == "Review"]
    assert moved.affected_instances[0].start == event.starts_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    stage.world.cancel_event(ADA, row_id)
    await stage.sync_again(calendar_id)
    assert await listening.names() == ["event_cancelled"]
    await stage.resync(calendar_id, full=True)
    await stage.sync()
    assert await listening.names() == [], "events_synced is sent once"


async def test_to_decline_is_to_cancel_there(listening: Listening) -> None:
    calendar_id, row_id = await connected(listening.stage, attendees=["grace@example.com"])
    await listening.news()
    listening.stage.world.edit_event(ADA, row_id, {"attendees": [{"email": ADA, "responseStatus": "declined"}]})
    await listening.stage.sync_again(calendar_id)
    assert await listening.names() == ["event_cancelled"]


async def test_a_revoked_grant_and_a_deletion_are_told(listening: Listening) -> None:
    stage = listening.stage
    calendar_id, _ = await connected(stage)
    await listening.news()
    stage.world.revoke_consent(ADA)
    await stage.sync_again(calendar_id)
    stage.clock.advance(seconds=90)
    await stage.sync()
    told = [(kind, data) for name, kind, data in await listening.news() if name == V2]
    assert [kind for kind, _ in told] == ["connection_updated", "connection_error"] * 2
    assert [data.status for kind, data in told if kind == "connection_updated"] == ["error", "revoked"]
    await stage.remove(calendar_id)
    assert await listening.names() == ["connection_deleted"]


async def test_planned_bots_are_told_with_their_events(listening: Listening) -> None:
    stage = listening.stage
    stage.world.connect(ADA)
    row = stage.world.add_meeting(ADA, "Daily", in_minutes=60, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    calendar_id, row_id = await connected(stage)
    bots = BotStage(stage)
    daily = next(event for event in await stage.events(calendar_id) if event.title == "Daily")
    await bots.plan_series(str(daily.series_id))
    await listening.news()
    stage.world.edit_event(ADA, row["id"], {"summary": "Daily, renamed"})
    stage.world.edit_event(ADA, row_id, {"summary": "Review, renamed"})
    await stage.sync_again(calendar_id)
    told = {data.event_type: data for _, kind, data in await listening.news() if kind == "event_updated"}
    assert told["recurring"].series_bot_scheduled
    assert all(instance.bot_scheduled for instance in told["recurring"].affected_instances)
    assert not told["one_off"].series_bot_scheduled
    await bots.aclose()


async def test_an_endpoint_gets_the_types_that_it_names(stage: Stage) -> None:
    listening = Listening(stage)
    await listening.subscribe(V2, ["calendar.event_*"])
    calendar_id, row_id = await connected(stage)
    assert await listening.names() == []
    stage.world.move_event(ADA, row_id, by_minutes=30)
    await stage.sync_again(calendar_id)
    assert await listening.names() == ["event_updated"]
