"""Events written over the API: once at the provider, told to nobody, and in the store as a sync would have put them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from flows.stage import Stage

from simulator.google.world import World

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def calendar(call: httpx.AsyncClient, credentials: dict[str, Any], stage: Stage) -> str:
    answer = await call.post("/calendars", json=credentials)
    calendar_id: str = answer.json()["id"]
    await stage.sync()
    return calendar_id


def at(stage: Stage, hours: float) -> str:
    moment: datetime = stage.clock() + timedelta(hours=hours)
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def review(stage: Stage, **more: Any) -> dict[str, Any]:
    return {"title": "Review", "starts_at": at(stage, 5), "ends_at": at(stage, 6), **more}


def at_google(world: World, title: str) -> list[dict[str, Any]]:
    rows = world.read_truth(ADA)
    return [row for row in rows if row.get("summary") == title and row["status"] != "cancelled"]


async def changes_of(call: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call.get("/changes")).json()["data"]
    return found


async def test_an_event_is_written_once_and_is_nobodys_news(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World
):
    answer = await call.post(f"/calendars/{calendar}/events", json=review(stage, conference="google_meet"))
    assert answer.status_code == 201, answer.text
    event = answer.json()
    assert event["title"] == "Review"
    assert event["meeting"]["platform"] == "google_meet"
    assert len(at_google(world, "Review")) == 1
    assert (await call.get(f"/events/{event['id']}")).json() == event
    (change,) = [each for each in await changes_of(call) if each["event_id"] == event["id"]]
    assert (change["kind"], change["cause"]) == ("created", "write")
    stage.clock.advance(600)
    await stage.sync()
    assert [each["cause"] for each in await changes_of(call) if each["event_id"] == event["id"]] == ["write"]
    assert (await call.get(f"/events/{event['id']}")).json()["version"] == 1


async def test_the_same_key_gets_the_same_event(call: httpx.AsyncClient, calendar: str, stage: Stage, world: World):
    wish = review(stage)
    first = await call.post(f"/calendars/{calendar}/events", json=wish, headers={"idempotency-key": "one"})
    again = await call.post(f"/calendars/{calendar}/events", json=wish, headers={"idempotency-key": "one"})
    assert first.json()["id"] == again.json()["id"]
    assert len(at_google(world, "Review")) == 1


async def test_an_event_is_changed_and_deleted_at_the_provider(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World
):
    event = (await call.post(f"/calendars/{calendar}/events", json=review(stage))).json()
    moved = await call.patch(f"/events/{event['id']}", json={"starts_at": at(stage, 7)}, headers={"if-match": '"1"'})
    assert moved.status_code == 200, moved.text
    assert moved.json()["starts_at"] == at(stage, 7)
    assert moved.json()["ends_at"] == at(stage, 8)
    assert moved.json()["version"] == 2
    (row,) = at_google(world, "Review")
    assert datetime.fromisoformat(row["start"]["dateTime"]) == datetime.fromisoformat(at(stage, 7))
    late = await call.patch(f"/events/{event['id']}", json={"title": "Late"}, headers={"if-match": '"1"'})
    assert late.status_code == 412
    gone = await call.delete(f"/events/{event['id']}")
    assert gone.status_code == 204
    assert at_google(world, "Review") == []
    assert (await call.get(f"/events/{event['id']}")).json()["status"] == "cancelled"
    stage.clock.advance(600)
    await stage.sync()
    assert {each["cause"] for each in await changes_of(call) if each["event_id"] == event["id"]} == {"write"}


async def test_a_series_is_written_and_one_occurrence_or_all_of_it_changed(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World
):
    wish = review(stage, recurrence=["RRULE:FREQ=DAILY;COUNT=4"], time_zone="Europe/Berlin")
    event = (await call.post(f"/calendars/{calendar}/events", json=wish)).json()
    listed = (await call.get("/events", params={"series_id": event["series_id"]})).json()["data"]
    assert len(listed) == 4
    assert listed[0]["id"] == event["id"]
    one = await call.patch(f"/events/{listed[1]['id']}", json={"title": "Only this"})
    assert one.status_code == 200, one.text
    every = await call.patch(f"/events/{event['id']}?series=true", json={"location": "Room 5"})
    assert every.status_code == 200, every.text
    listed = (await call.get("/events", params={"series_id": event["series_id"]})).json()["data"]
    assert [each["title"] for each in listed].count("Only this") == 1
    assert {each["location"] for each in listed} >= {"Room 5"}
    assert (await call.delete(f"/events/{event['id']}?series=true")).status_code == 204
    left = (await call.get("/events", params={"series_id": event["series_id"], "status": "confirmed"})).json()["data"]
    assert left == []


async def test_the_providers_copy_that_moved_on_is_not_overwritten(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World
):
    event = (await call.post(f"/calendars/{calendar}/events", json=review(stage))).json()
    world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    answer = await call.patch(f"/events/{event['id']}", json={"title": "Ours"}, headers={"if-match": '"1"'})
    assert answer.status_code == 412
    assert at_google(world, "Theirs")
    await stage.sync()
    assert (await call.get(f"/events/{event['id']}")).json()["title"] == "Theirs"
    assert (await call.patch(f"/events/{event['id']}", json={"title": "Ours"})).json()["title"] == "Ours"


@pytest.mark.parametrize("method", ["patch", "delete"])
async def test_a_version_that_a_read_replaces_meanwhile_is_not_overwritten(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World, method: str
) -> None:
    event = (await call.post(f"/calendars/{calendar}/events", json=review(stage))).json()
    await stage.sync()
    world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    world.add_fault("latency", endpoint="events.list", seconds=0.6, times=1)
    stage.clock.advance(600)
    reading = asyncio.create_task(stage.sync())
    await asyncio.sleep(0.2)
    options = {"json": {"title": "Ours"}} if method == "patch" else {}
    answer = await call.request(method, f"/events/{event['id']}", headers={"if-match": '"1"'}, **options)
    await reading
    assert answer.status_code == 412
    assert len(at_google(world, "Theirs")) == 1


async def test_a_whole_series_moves_by_as_much_as_the_occurrence_that_names_it(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World
) -> None:
    zone = "America/New_York"
    wish = review(stage, recurrence=["RRULE:FREQ=DAILY;COUNT=5"], time_zone=zone)
    wish |= {"starts_at": "2026-03-05T09:00:00", "ends_at": "2026-03-05T10:00:00"}
    event = (await call.post(f"/calendars/{calendar}/events", json=wish)).json()
    listed = (await call.get("/events", params={"series_id": event["series_id"]})).json()["data"]
    fourth = listed[3]
    assert fourth["starts_at"] == "2026-03-08T13:00:00Z"  # clocks have gone forward
    moved = await call.patch(
        f"/events/{fourth['id']}?series=true",
        json={"starts_at": "2026-03-08T11:00:00", "ends_at": "2026-03-08T11:30:00", "time_zone": zone},
    )
    assert moved.status_code == 200, moved.text
    assert (moved.json()["status"], moved.json()["starts_at"]) == ("confirmed", "2026-03-08T15:00:00Z")
    listed = (await call.get("/events", params={"series_id": event["series_id"], "status": "confirmed"})).json()["data"]
    assert [each["starts_at"] for each in listed] == [
        "2026-03-05T16:00:00Z",
        "2026-03-06T16:00:00Z",
        "2026-03-07T16:00:00Z",
        "2026-03-08T15:00:00Z",
        "2026-03-09T15:00:00Z",
    ]
    assert {each["ends_at"][14:16] for each in listed} == {"30"}


async def test_guests_can_be_sent_back_as_they_were_shown(
    call: httpx.AsyncClient, calendar: str, stage: Stage, world: World
) -> None:
    guests = [{"email": "grace@example.com", "name": "Grace"}, {"email": "alan@example.com", "optional": True}]
    event = (await call.post(f"/calendars/{calendar}/events", json=review(stage, attendees=guests))).json()
    world.respond(ADA, event["provider_event_id"], "grace@example.com", "accepted")
    stage.clock.advance(600)
    await stage.sync()
    shown = (await call.get(f"/events/{event['id']}")).json()["attendees"]
    assert {"accepted", "needsAction"} <= {each["response_status"] for each in shown}
    # Nobody answers for somebody else.
    said = [{**each, "response_status": "declined"} for each in shown]
    for sent in (shown, said):
        answer = await call.patch(f"/events/{event['id']}", json={"attendees": sent, "title": "Again"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["attendees"] == shown
    fewer = [each for each in shown if each["email"] != "alan@example.com"]
    answer = await call.patch(f"/events/{event['id']}", json={"attendees": fewer})
    assert answer.json()["attendees"] == fewer


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"starts_at": "0001-01-01T00:00:00Z", "ends_at": "0001-01-01T01:00:00Z"}, id="long-ago"),
        pytest.param({"starts_at": "9999-12-31T23:00:00Z", "ends_at": "9999-12-31T23:30:00Z"}, id="far-off"),
        pytest.param({"start_date": "0001-01-02", "end_date": "0001-01-03"}, id="days-long-ago"),
        pytest.param({"start_date": "9999-12-31"}, id="the-last-day"),
        pytest.param({"start_date": "2026-03-05", "time_zone": "localtime"}, id="whose-zone"),
        pytest.param({"start_date": "2026-03-05", "time_zone": "Factory"}, id="no-zone-yet"),
    ],
)
async def test_times_that_nobody_means_are_refused_here(
    call: httpx.AsyncClient, calendar: str, world: World, times: dict[str, str]
) -> None:
    answer = await call.post(f"/calendars/{calendar}/events", json={"title": "x", **times})
    assert answer.status_code == 422
    assert world.read_truth(ADA) == []
