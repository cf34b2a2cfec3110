"""What became of an event, and how it was: its history with each action, and the event as of a moment."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from flows.stage import Stage

from service.store import changes
from simulator.google.changes import replace_body
from simulator.google.world import World

pytestmark = pytest.mark.anyio
ADA, GRACE = "ada@example.com", "grace@example.com"
ZOOM, OTHER = "https://zoom.us/j/12345678901", "https://zoom.us/j/10987654321"
TICK = timedelta(microseconds=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def calendar(call: httpx.AsyncClient, credentials: dict[str, Any]) -> str:
    answer = await call.post("/calendars", json=credentials)
    calendar_id: str = answer.json()["id"]
    return calendar_id


async def event_id(call: httpx.AsyncClient) -> str:
    (event,) = (await call.get("/events")).json()["data"]
    found: str = event["id"]
    return found


async def as_of(call: httpx.AsyncClient, event: str, at: datetime) -> httpx.Response:
    return await call.get(f"/events/{event}", params={"as_of": at.isoformat()})


def restore(world: World, event: str) -> None:
    calendar = world.calendars[ADA]
    record = calendar.records[event]
    replace_body(world, calendar, record, {**record.body, "status": "confirmed"})


def give_link(world: World, event: str, link: str | None) -> None:
    entry = {"entryPointType": "video", "uri": link}
    solution = {"key": {"type": "addOn"}, "name": "Zoom Meeting"}
    data = {"entryPoints": [entry], "conferenceSolution": solution, "conferenceId": "1"} if link else None
    world.edit_event(ADA, event, {"conferenceData": data})


def answer(world: World, event: str, response: str) -> None:
    world.respond(ADA, event, ADA, response)


def put_on_a_day(world: World, event: str) -> None:
    day = {"start": {"date": "2026-03-03", "dateTime": None}, "end": {"date": "2026-03-04", "dateTime": None}}
    world.edit_event(ADA, event, day)


def put_at_a_time(world: World, event: str) -> None:
    start, end = ({"date": None, "dateTime": f"2026-03-03T1{hour}:00:00Z"} for hour in (0, 1))
    world.edit_event(ADA, event, {"start": start, "end": end})


def move_and_relink(world: World, event: str) -> None:
    world.move_event(ADA, event, by_minutes=30)
    give_link(world, event, OTHER)


def end_later(world: World, event: str) -> None:
    world.edit_event(ADA, event, {"end": {"dateTime": "2026-03-03T11:30:00Z"}})


STORY: list[tuple[Callable[[World, str], object], str, str, set[str]]] = [
    (lambda world, event: world.move_event(ADA, event, by_minutes=15), "updated", "move", {"starts_at", "ends_at"}),
    (lambda world, event: world.move_event(ADA, event, by_minutes=-45), "updated", "move", {"starts_at", "ends_at"}),
    (lambda world, event: give_link(world, event, OTHER), "updated", "relink", {"meeting"}),
    (lambda world, event: give_link(world, event, None), "updated", "cancel", {"meeting"}),
    (lambda world, event: give_link(world, event, ZOOM), "updated", "schedule", {"meeting"}),
    (lambda world, event: world.edit_event(ADA, event, {"summary": "B"}), "updated", "none", {"title"}),
    (lambda world, event: answer(world, event, "declined"), "updated", "cancel", {"response_status", "attendees"}),
    (lambda world, event: answer(world, event, "accepted"), "updated", "schedule", {"response_status", "attendees"}),
    (lambda world, event: answer(world, event, "tentative"), "updated", "none", {"response_status", "attendees"}),
    (lambda world, event: world.respond(ADA, event, GRACE, "declined"), "updated", "none", {"attendees"}),
    (put_on_a_day, "updated", "move", {"starts_at", "ends_at", "is_all_day", "start_date", "end_date"}),
    (put_at_a_time, "updated", "move", {"starts_at", "ends_at", "is_all_day", "start_date", "end_date"}),
    (end_later, "updated", "move", {"ends_at"}),
    (move_and_relink, "updated", "move", {"starts_at", "ends_at", "meeting"}),
    (lambda world, event: world.cancel_event(ADA, event), "cancelled", "cancel", {"status"}),
    (restore, "updated", "schedule", {"status"}),
]


async def test_every_change_is_told_with_its_action_and_every_version_can_be_had(
    call: httpx.AsyncClient, stage: Stage, calendar: str
) -> None:
    made = stage.world.add_meeting(ADA, "A", in_minutes=120, zoom=ZOOM, attendees=[GRACE])["id"]
    await stage.sync()
    event = await event_id(call)
    versions = [(stage.clock(), (await call.get(f"/events/{event}")).json())]
    for step, *_ in STORY:
        stage.clock.advance(seconds=60)
        step(stage.world, made)
        await stage.sync_again(UUID(calendar))
        versions.append((stage.clock(), (await call.get(f"/events/{event}")).json()))

    history = (await call.get(f"/events/{event}/history")).json()["data"]
    assert [(change["kind"], change["action"], set(change["fields"])) for change in reversed(history)] == [
        ("created", "schedule", set()),
        *((kind, action, fields) for _, kind, action, fields in STORY),
    ]
    assert [change["event"] for change in reversed(history)] == [version for _, version in versions]
    assert [change["cause"] for change in history] == ["poll"] * len(STORY) + ["initial"]
    log = (await call.get("/changes?limit=250")).json()["data"]
    assert log == list(reversed(history))

    for number, (at, version) in enumerate(versions, 1):
        assert version["version"] == number
        assert (await as_of(call, event, at)).json() == version, "at the very moment"
        assert (await as_of(call, event, at + timedelta(seconds=59))).json() == version, "and until the next"
        before = await as_of(call, event, at - TICK)
        assert before.json() == versions[number - 2][1] if number > 1 else before.status_code == 404


async def test_the_past_in_pages(call: httpx.AsyncClient, stage: Stage, calendar: str) -> None:
    made = stage.world.add_meeting(ADA, "0")["id"]
    await stage.sync()
    for title in "1234":
        stage.world.edit_event(ADA, made, {"summary": title})
        await stage.sync_again(UUID(calendar))
    path = f"/events/{await event_id(call)}/history"

    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    for length in (2, 2, 1):
        page = (await call.get(path, params=query)).json()
        assert len(page["data"]) == length
        seen += [change["event"]["title"] for change in page["data"]]
        query["cursor"] = page["next_cursor"]
        stage.world.edit_event(ADA, made, {"summary": f"after {length}"})
        await stage.sync_again(UUID(calendar))
    assert query["cursor"] is None
    assert seen == ["4", "3", "2", "1", "0"], "what came meanwhile is on no later page"

    for wrong in ({"cursor": "x"}, {"limit": 0}, {"limit": 251}):
        assert (await call.get(path, params=wrong)).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "yesterday",
        "2026-03-02",
        "2026-03-02T09:00:00",
        "2026-02-30T09:00:00Z",
        "1772442000",
        "0001-01-01T00:00:00Z",
    ],
)
async def test_a_moment_that_is_none(call: httpx.AsyncClient, stage: Stage, calendar: str, wrong: str) -> None:
    stage.world.add_meeting(ADA, "A")
    await stage.sync()

    refused = await call.get(f"/events/{await event_id(call)}", params={"as_of": wrong})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "as_of")


async def test_the_future_is_what_is_known(call: httpx.AsyncClient, stage: Stage, calendar: str) -> None:
    stage.world.add_meeting(ADA, "A")
    await stage.sync()
    event = await event_id(call)

    later = await as_of(call, event, stage.clock() + timedelta(days=400))

    assert (later.status_code, later.json()) == (200, (await call.get(f"/events/{event}")).json())
    refused = await call.get(f"/events/{event}", params={"as_of": stage.clock().isoformat(), "include": "raw"})
    assert refused.status_code == 422


async def test_what_is_no_longer_kept_is_not_made_up(call: httpx.AsyncClient, stage: Stage, calendar: str) -> None:
    made = stage.world.add_meeting(ADA, "first")["id"]
    await stage.sync()
    event, first = await event_id(call), stage.clock()
    for title in ("second", "third"):
        stage.clock.advance(minutes=10)
        stage.world.edit_event(ADA, made, {"summary": title})
        await stage.sync_again(UUID(calendar))
    second, third = first + timedelta(minutes=10), first + timedelta(minutes=20)
    await purge(stage, second)

    gone = await as_of(call, event, first)
    assert (gone.status_code, gone.json()["code"]) == (410, "past_retention")
    assert (await as_of(call, event, second - TICK)).status_code == 410
    assert (await as_of(call, event, first - TICK)).status_code == 404, "it was not known then, kept or not"
    assert [(await as_of(call, event, at)).json()["title"] for at in (second, third)] == ["second", "third"]
    history = (await call.get(f"/events/{event}/history")).json()["data"]
    assert [change["event"]["title"] for change in history] == ["third", "second"]

    await purge(stage, third + TICK)

    assert (await as_of(call, event, second)).status_code == 410
    assert (await as_of(call, event, third - TICK)).status_code == 410
    assert (await as_of(call, event, third)).json()["title"] == "third", "it is so since then"
    assert (await call.get(f"/events/{event}/history")).json() == {"data": [], "next_cursor": None}


async def purge(stage: Stage, older_than: datetime) -> None:
    async with stage.gateway.database.write() as conn:
        await changes.purge(conn, older_than, 1000)


async def test_the_log_outlives_the_calendar(
    call: httpx.AsyncClient, stranger: httpx.AsyncClient, stage: Stage, calendar: str
) -> None:
    stage.world.add_meeting(ADA, "A")
    await stage.sync()
    event, at = await event_id(call), stage.clock()
    history = (await call.get(f"/events/{event}/history")).json()
    for path in (f"/events/{event}", f"/events/{event}/history"):
        assert (await stranger.get(path)).status_code == 404
    assert (await as_of(stranger, event, at)).status_code == 404

    assert (await call.delete(f"/calendars/{calendar}")).status_code == 204

    assert (await call.get(f"/events/{event}/history")).json() == history
    assert (await call.get(f"/events/{event}")).status_code == 404
    assert (await as_of(call, event, at)).status_code == 404
    assert (await stranger.get(f"/events/{event}/history")).status_code == 404
    await purge(stage, at + TICK)
    assert (await call.get(f"/events/{event}/history")).status_code == 404
