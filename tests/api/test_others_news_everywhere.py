"""What others make of an event before we write upon it is told once, whichever kind of calendar it is in."""

from typing import Any

import httpx
import pytest
from api.desk import Desk
from api.sites import EVENT, MARY, Site
from flows.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture
def stage(site: Site) -> Stage:
    return site.stage


@pytest.fixture
async def calendar(call: httpx.AsyncClient, site: Site) -> str:
    answer = await call.post("/calendars", json=site.account())
    assert answer.status_code == 201, answer.text
    await site.stage.sync()
    await site.stage.subscribe("event.*")
    return answer.json()["id"]


async def write(call: httpx.AsyncClient, calendar: str, **more: Any) -> dict[str, Any]:
    answer = await call.post(f"/calendars/{calendar}/events", json={**EVENT, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def heard(call: httpx.AsyncClient, stage: Stage) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """After two more syncs: what was sent of events, and what the log says of changes: kind, cause and fields."""
    for _ in range(2):
        stage.clock.advance(600)
        await stage.sync()
    rows = (await call.get("/changes")).json()["data"]
    sent = sorted(kind for kind, _ in await stage.messages() if kind.startswith("event."))
    return sent, [(row["kind"], row["cause"], sorted(row["fields"])) for row in rows if row["kind"] != "created"]


async def test_a_change_upon_theirs(call: httpx.AsyncClient, site: Site, calendar: str):
    event = await write(call, calendar)
    site.rename(event["provider_event_id"], "Theirs")
    site.decline(event["provider_event_id"], MARY)
    answer = await call.patch(f"/events/{event['id']}", json={"location": "Room 5"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["title"], answer.json()["location"]) == ("Theirs", "Room 5")
    sent, changes = await heard(call, site.stage)
    assert sent == ["event.declined", "event.updated"]
    assert changes == [("updated", "poll", ["attendees", "title"]), ("updated", "write", ["location"])]


async def test_a_change_of_a_series_upon_theirs(call: httpx.AsyncClient, site: Site, calendar: str):
    event = await write(call, calendar, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    site.rename(event["series_id"], "Theirs")
    answer = await call.patch(f"/events/{event['id']}?series=true", json={"location": "Room 5"})
    assert answer.status_code == 200, answer.text
    sent, changes = await heard(call, site.stage)
    assert sent == ["event.updated"] * 2
    assert changes == [("updated", "poll", ["title"])] * 2 + [("updated", "write", ["location"])] * 2


async def test_a_removal_upon_theirs(call: httpx.AsyncClient, site: Site, calendar: str):
    event = await write(call, calendar)
    site.decline(event["provider_event_id"], MARY)
    assert (await call.delete(f"/events/{event['id']}")).status_code == 204
    assert site.ids() == []
    sent, changes = await heard(call, site.stage)
    assert sent == ["event.declined", "event.updated"]
    assert [each[:2] for each in changes] == [("updated", "poll"), ("cancelled", "write")]


async def test_a_change_of_what_has_become_a_series_there(call: httpx.AsyncClient, site: Site, calendar: str):
    event = await write(call, calendar)
    site.repeat(event["provider_event_id"])
    await call.patch(f"/events/{event['id']}", json={"location": "Room 5"})
    sent, _ = await heard(call, site.stage)
    assert sent == ["event.cancelled", *["event.created"] * 3]


async def test_who_is_invited_and_how_the_time_is_shown_is_set_right_once(
    call: httpx.AsyncClient, site: Site, calendar: str
):
    desk = Desk(call, site, calendar)
    await desk.set(sync_direction="outbound")
    event = await write(call, calendar)
    site.spoil(event["provider_event_id"], "evil@example.com")
    await desk.settle()
    found = (await call.get(f"/events/{event['id']}")).json()
    guests = [each["email"] for each in found["attendees"] if not each["organizer"]]
    assert (guests, found["is_busy"], found["visibility"]) == ([MARY], True, "default")
    expected = [("created", "write"), ("updated", "poll"), ("updated", "write")]
    assert await desk.changes() == expected
    # An answer, and nothing that a server writes in its own way, is anybody's wish.
    site.decline(event["provider_event_id"], MARY)
    await desk.settle()
    assert await desk.changes() == [*expected, ("updated", "poll")]
