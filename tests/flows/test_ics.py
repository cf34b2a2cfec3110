"""ICS feeds through the flows: connected, kept in step, doubted, refused, and given another address."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from feed_server import PATH, SECRET, event, feed
from flows.feed_stage import FeedStage, set_feed_stage
from providers.loopback import response
from sqlalchemy import select

from service.core.credentials import IcsCredentials
from service.errors import GatewayError
from service.flows import connect
from service.store.cipher import Cipher
from service.store.database import Database
from service.store.tables import Table

pytestmark = pytest.mark.anyio

LINK = "https://meet.google.com/abc-defg-hij"
PAGE = b"<!DOCTYPE html>\n<html><body>Back soon</body></html>"


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID) -> AsyncIterator[FeedStage]:
    async with set_feed_stage(database, cipher, clock, project, size=1) as stage:
        yield stage


def meetings(stage: FeedStage, *titles: str) -> list[str]:
    start = stage.clock() + timedelta(hours=2)
    return [event(title.lower(), title, start, f"LOCATION:{LINK}") for title in titles]


async def test_from_an_address_to_meetings_and_webhooks(stage: FeedStage):
    stage.server.text = feed(*meetings(stage, "Planning"))
    await stage.subscribe("calendar.*", "event.*")
    calendar_id = await stage.add()
    row = await stage.calendar(calendar_id)
    assert (row.status, row.calendar_name, row.time_zone, row.email) == ("syncing", "Team", "Europe/Paris", None)
    assert await stage.sync() == 1
    assert await stage.status(calendar_id) == ("active", None)
    (found,) = await stage.meetings()
    assert (found.title, found.meeting_url) == ("Planning", LINK)

    start = stage.clock() + timedelta(hours=3)
    stage.server.text = feed(
        event("planning", "Planning, later", start, f"LOCATION:{LINK}"), *meetings(stage, "Review")
    )
    await stage.pass_time(calendar_id)
    assert sorted(await stage.told()) == [("event.created", "Review"), ("event.updated", "Planning, later")]
    assert sorted(each.title or "" for each in await stage.meetings()) == ["Planning, later", "Review"]

    stage.server.text = feed(*meetings(stage, "Review"))
    await stage.pass_time(calendar_id)
    assert ("event.cancelled", "Planning, later") in await stage.told()
    kinds = [kind for kind, _ in await stage.messages() if kind.startswith("calendar.")]
    assert kinds[:2] == ["calendar.created", "calendar.active"]
    assert kinds.count("calendar.sync_events") == 3


async def test_a_web_page_for_an_hour_deletes_nothing_and_heals(stage: FeedStage):
    stage.server.text = good = feed(*meetings(stage, "Planning", "Review"))
    calendar_id = await stage.add()
    await stage.sync()
    await stage.subscribe("calendar.*", "event.*")
    stage.server.text = PAGE
    seen, end = [], stage.clock() + timedelta(hours=1)
    while stage.clock() < end:
        await stage.pass_time(calendar_id)
        seen.append((await stage.status(calendar_id))[0])
    assert seen[:3] == ["active", "active", "error"]
    assert set(seen[2:]) == {"error"}
    assert "web page" in (await stage.calendar(calendar_id)).error_message
    assert await stage.titles(calendar_id) == ["Planning", "Review"]
    stage.server.text = good
    await stage.pass_time(calendar_id)
    assert await stage.status(calendar_id) == ("active", None)
    assert await stage.titles(calendar_id) == ["Planning", "Review"]
    assert [kind for kind, _ in await stage.messages()] == ["calendar.error", "calendar.active"]


async def test_an_empty_feed_is_believed_when_it_comes_twice(stage: FeedStage):
    stage.server.text = feed(*meetings(stage, "Planning", "Review"))
    calendar_id = await stage.add()
    await stage.sync()
    stage.server.text = feed()
    # Long enough for the window to have rolled, too.
    stage.clock.advance(hours=3)
    await stage.sync()
    assert await stage.status(calendar_id) == ("active", None)
    assert await stage.titles(calendar_id) == ["Planning", "Review"]
    row = await stage.calendar(calendar_id)
    assert timedelta(minutes=4) < row.due_at - stage.clock() < timedelta(minutes=6)
    await stage.pass_time(calendar_id)
    assert await stage.titles(calendar_id) == []


async def test_a_feed_that_was_empty_for_a_moment_has_lost_nothing(stage: FeedStage):
    far = event("far", "Far", stage.clock() + timedelta(days=30, hours=1, minutes=30))
    near = event("near", "Near", stage.clock() + timedelta(days=30, minutes=-30))
    await stage.subscribe("event.*")
    stage.server.text = good = feed(near, far)
    calendar_id = await stage.add()
    await stage.sync()
    assert await stage.titles(calendar_id) == ["Near"]
    stage.server.text = feed()
    stage.clock.advance(hours=3)
    await stage.sync()
    stage.server.text = good
    await stage.pass_time(calendar_id)
    assert await stage.titles(calendar_id) == ["Far", "Near"]
    assert [kind for kind, _ in await stage.told()] == ["event.created"]


async def test_what_comes_into_the_window_is_listed_though_the_feed_is_as_it_was(stage: FeedStage):
    stage.server.validator = '"one"'
    series = event("daily", "Daily", stage.clock() + timedelta(hours=1), "RRULE:FREQ=DAILY")
    stage.server.text = feed(series)
    calendar_id = await stage.add()
    await stage.sync()
    before = len(await stage.events(calendar_id))
    stage.clock.advance(days=2)
    stage.server.asked.clear()
    await stage.sync()
    assert len(await stage.events(calendar_id)) == before + 2
    assert len(stage.server.asked) == 2


async def test_a_feed_is_asked_no_sooner_than_its_publisher_says(stage: FeedStage):
    stage.server.text = feed(*meetings(stage, "Planning"), lines=("X-PUBLISHED-TTL:PT3H",))
    calendar_id = await stage.add()
    await stage.sync()
    stage.clock.advance(hours=2)
    assert await stage.sync() == 0
    await stage.pass_time(calendar_id)
    await stage.resync(calendar_id)
    assert await stage.sync() == 1


async def test_a_refused_address_is_given_up_after_a_day_and_may_be_replaced(stage: FeedStage):
    stage.server.text = feed(*meetings(stage, "Planning"))
    calendar_id = await stage.add()
    await stage.sync()
    stage.server.status = 404
    await stage.pass_time(calendar_id)
    assert await stage.status(calendar_id) == ("error", "feed_refused")
    end = stage.clock() + timedelta(hours=26)
    while stage.clock() < end and (await stage.status(calendar_id))[0] == "error":
        await stage.pass_time(calendar_id)
    assert await stage.status(calendar_id) == ("disconnected", "feed_refused")
    assert await stage.titles(calendar_id) == ["Planning"]
    stage.server.routes["/new.ics"] = lambda _: response(stage.server.text)
    url = f"{stage.server.loopback.url}/new.ics"
    await connect.change(
        stage.gateway, stage.project, calendar_id, connect.CalendarPatch(credentials=IcsCredentials(url=url))
    )
    await stage.sync()
    assert await stage.status(calendar_id) == ("active", None)
    assert await stage.titles(calendar_id) == ["Planning"]


async def test_an_hour_of_404_is_nothing(stage: FeedStage):
    stage.server.text = feed(*meetings(stage, "Planning"))
    calendar_id = await stage.add()
    await stage.sync()
    stage.server.status = 404
    for _ in range(2):
        await stage.pass_time(calendar_id)
    stage.server.status = 200
    await stage.pass_time(calendar_id)
    assert await stage.status(calendar_id) == ("active", None)


async def test_one_series_that_cannot_be_read_any_more_keeps_its_meetings(stage: FeedStage):
    start = stage.clock() + timedelta(hours=1)
    daily = event("daily", "Daily", start, "RRULE:FREQ=DAILY;COUNT=3")
    stage.server.text = feed(daily, *meetings(stage, "Planning"))
    calendar_id = await stage.add()
    await stage.sync()
    stage.server.text = feed(daily.replace("COUNT=3", "COUNT=3;INTERVAL=0"), *meetings(stage, "Review"))
    await stage.pass_time(calendar_id)
    assert await stage.titles(calendar_id) == ["Daily", "Daily", "Daily", "Review"]
    assert await stage.quarantined(calendar_id) == 1
    stage.server.text = feed(daily.replace("COUNT=3", "COUNT=2"), *meetings(stage, "Review"))
    await stage.pass_time(calendar_id)
    assert await stage.titles(calendar_id) == ["Daily", "Daily", "Review"]
    assert await stage.quarantined(calendar_id) == 0


async def test_a_full_resync_under_changing_uids_is_no_news(stage: FeedStage):
    def publish(generation: int) -> None:
        days = [stage.clock() + timedelta(days=day) for day in (2, 5, 9)]
        stage.server.text = feed(*(event(f"{generation}-{day:%d}", "Reserved", day) for day in days))

    publish(0)
    await stage.subscribe("event.*")
    calendar_id = await stage.add()
    publish(1)
    await stage.sync()
    for generation in range(2, 5):
        publish(generation)
        await stage.resync(calendar_id, full=generation == 3)
        await stage.sync()
    assert await stage.titles(calendar_id) == ["Reserved"] * 3
    assert await stage.told() == []


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        pytest.param(response(PAGE), 422, "validation_failed", id="a web page"),
        pytest.param(response(b"", 404), 422, "credentials_rejected", id="404"),
        pytest.param(response(b"", 302, location="http://10.0.0.1/x.ics"), 422, "blocked_url", id="a redirect inside"),
        pytest.param(response(b"", 503), 503, "provider_unavailable", id="503"),
        pytest.param(response(b"", 429), 503, "provider_throttled", id="429"),
        pytest.param(response(feed()[:-20]), 503, "provider_unavailable", id="truncated"),
    ],
)
async def test_what_cannot_be_connected(stage: FeedStage, answer: bytes, status: int, code: str):
    stage.server.routes[PATH] = lambda _: answer
    with pytest.raises(GatewayError) as refused:
        await stage.add()
    assert (refused.value.status, refused.value.code) == (status, code)
    told = f"{refused.value} {refused.value.detail} {refused.value.errors}"
    assert SECRET not in told
    assert await stage.count("calendars") == 0


async def test_the_address_is_sealed_in_the_database(stage: FeedStage, database: Database):
    stage.server.validator = '"one"'
    stage.server.text = feed(*meetings(stage, "Planning"))
    await stage.add()
    await stage.sync()
    async with database.read() as conn:
        for table in Table.metadata.tables.values():
            rows = (await conn.execute(select(table))).all()
            assert SECRET not in repr(rows)
            assert SECRET.encode() not in b"".join(each for row in rows for each in row if isinstance(each, bytes))
