"""When somebody is free, over the API: from the store, from the provider, and never by guessing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

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
    return calendar_id


def at(stage: Stage, hours: float) -> str:
    moment: datetime = stage.clock() + timedelta(hours=hours)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def ask(call: httpx.AsyncClient, stage: Stage, start: float, end: float, **more: str) -> dict[str, Any]:
    answer = await call.get("/availability", params={"from": at(stage, start), "until": at(stage, end), **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def spans(stage: Stage, stretches: list[dict[str, str]]) -> list[tuple[float, float]]:
    now = stage.clock()
    hour = timedelta(hours=1)
    return [
        (
            (datetime.fromisoformat(each["starts_at"]) - now) / hour,
            (datetime.fromisoformat(each["ends_at"]) - now) / hour,
        )
        for each in stretches
    ]


async def test_busy_and_free_out_of_the_store(call: httpx.AsyncClient, stage: Stage, world: World, calendar: str):
    world.add_meeting(ADA, "One", in_minutes=120, minutes=60)
    world.add_meeting(ADA, "Two", in_minutes=150, minutes=60)
    world.add_meeting(ADA, "Transparent", in_minutes=300, minutes=60, transparency="transparent")
    await stage.sync()
    calls = len(world.read_calls())
    found = await ask(call, stage, 1, 8)
    assert spans(stage, found["busy"]) == [(2, 3.5)]
    assert spans(stage, found["free"]) == [(1, 2), (3.5, 8)]
    assert found["unknown"] == []
    assert {each["calendar_id"] for each in found["busy"]} == {calendar}
    assert len(world.read_calls()) == calls
    found = await ask(call, stage, 1, 8, buffer="30m", duration="2h")
    assert spans(stage, found["free"]) == [(4, 8)]


async def test_a_declined_event_takes_no_time_and_a_whole_day_does(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    world.add_meeting(ADA, "No", in_minutes=120, attendees=["guest@example.com"])
    (row,) = world.read_truth(ADA)
    world.respond(ADA, row["id"], ADA, "declined")
    world.add_event(ADA, {"summary": "Fair", "start": {"date": "2026-03-04"}, "end": {"date": "2026-03-05"}})
    await stage.sync()
    assert (await ask(call, stage, 0, 12))["busy"] == []
    day = (await call.get("/availability", params={"date": "2026-03-04"})).json()
    assert day["free"] == []
    assert len(day["busy"]) == 1


async def test_beyond_what_is_kept_in_step_the_provider_is_asked(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    await stage.sync()
    world.add_meeting(ADA, "Far", in_minutes=60 * 24 * 60, minutes=60)
    found = await ask(call, stage, 24 * 60 - 1, 24 * 60 + 3)
    assert spans(stage, found["busy"]) == [(24 * 60, 24 * 60 + 1)]
    assert found["unknown"] == []


async def test_a_wider_horizon_counts_once_it_was_read(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    """Not from the moment it is wished for: the store knows nothing of the days between."""
    await stage.sync()
    world.add_meeting(ADA, "Far", in_minutes=60 * 24 * 60, minutes=60)
    assert (await call.patch(f"/calendars/{calendar}", json={"horizon_days": 90})).status_code == 200
    found = await ask(call, stage, 24 * 60 - 1, 24 * 60 + 3)
    assert spans(stage, found["busy"]) == [(24 * 60, 24 * 60 + 1)]
    (connection,) = (await call.get("/connections")).json()["data"]
    await call.patch(f"/connections/{connection['id']}", json={"validate_availability": True})
    wish = {"title": "Over it", "starts_at": at(stage, 24 * 60), "ends_at": at(stage, 24 * 60 + 1)}
    refused = await call.post(f"/calendars/{calendar}/events", json=wish)
    assert refused.status_code == 409, refused.text
    await stage.sync()
    calls = len(world.read_calls())
    found = await ask(call, stage, 24 * 60 - 1, 24 * 60 + 3)
    assert spans(stage, found["busy"]) == [(24 * 60, 24 * 60 + 1)]
    assert len(world.read_calls()) == calls


async def test_without_a_cursor_the_provider_is_asked(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    await stage.sync()
    world.add_meeting(ADA, "New", in_minutes=120, minutes=60)
    assert (await call.post(f"/calendars/{calendar}/resync", json={"full": True})).status_code == 202
    assert spans(stage, (await ask(call, stage, 1, 8))["busy"]) == [(2, 3)]


async def test_a_connection_whose_grant_is_gone_is_unknown(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    await stage.sync()
    (connection,) = (await call.get("/connections")).json()["data"]
    world.revoke_consent(ADA)
    told = await call.post(f"/connections/{connection['id']}/refresh")
    assert told.json()["status"] == "token_expired"
    found = await ask(call, stage, 1, 8)
    assert (found["unknown"], found["free"]) == ([calendar], [])
    conflicts = await call.get("/conflicts", params={"from": at(stage, 0), "until": at(stage, 24)})
    assert conflicts.json()["unknown"] == [calendar]


async def test_what_cannot_be_read_is_unknown_and_nothing_is_free(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    world.revoke_consent(ADA)
    stage.clock.advance(7200)
    stage.gateway.tokens.forget((await stage.calendar(UUID(calendar))).connection_id)
    found = await ask(call, stage, 1, 8)
    assert found["unknown"] == [calendar]
    assert found["free"] == []


async def test_events_that_overlap(call: httpx.AsyncClient, stage: Stage, world: World, calendar: str):
    world.add_meeting(ADA, "One", in_minutes=120, minutes=60)
    world.add_meeting(ADA, "Two", in_minutes=150, minutes=60)
    world.add_meeting(ADA, "Three", in_minutes=300, minutes=60)
    await stage.sync()
    found = (await call.get("/conflicts", params={"from": at(stage, 0), "until": at(stage, 24)})).json()
    (pair,) = found["data"]
    assert (pair["first"]["title"], pair["second"]["title"]) == ("One", "Two")
    assert spans(stage, [pair]) == [(2.5, 3)]
    assert pair["first"]["calendar_id"] == calendar
    assert (found["truncated"], found["unknown"]) == (False, [])


async def test_whose_time_it_is(call: httpx.AsyncClient, stranger: httpx.AsyncClient, stage: Stage, calendar: str):
    await stage.sync()
    (connection,) = (await call.get("/connections")).json()["data"]
    assert (await ask(call, stage, 1, 2, calendar_ids=calendar))["unknown"] == []
    assert (await ask(call, stage, 1, 2, connection_ids=connection["id"]))["unknown"] == []
    assert (await ask(call, stage, 1, 2, user_id="nobody"))["busy"] == []
    params = {"from": at(stage, 1), "until": at(stage, 2)}
    foreign = await stranger.get("/availability", params={**params, "calendar_ids": calendar})
    assert foreign.status_code == 404
    foreign = await stranger.get("/conflicts", params={**params, "connection_ids": connection["id"]})
    assert foreign.status_code == 404


@pytest.mark.parametrize(
    ("params", "field"),
    [
        pytest.param({"from": "2026-03-02T09:00:00Z"}, "until", id="one-end"),
        pytest.param({"from": "2026-03-02T09:00:00Z", "until": "2026-03-02T08:00:00Z"}, "until", id="backwards"),
        pytest.param({"from": "2026-03-02T09:00:00Z", "until": "2027-03-02T08:00:00Z"}, "until", id="a-year"),
        pytest.param({"date": "tomorrow"}, "date", id="no-date"),
        pytest.param({"date": "0001-01-01"}, "date", id="long-ago"),
        pytest.param({"time_zone": "Mars/Olympus"}, "time_zone", id="no-zone"),
        pytest.param({"calendar_ids": "1,2"}, "calendar_ids", id="no-ids"),
        pytest.param({"working_hours": "always"}, "working_hours", id="no-hours"),
        pytest.param({"duration": "soon"}, "duration", id="no-length"),
        pytest.param({"buffer": "-5m"}, "buffer", id="no-buffer"),
    ],
)
async def test_a_question_that_makes_no_sense(call: httpx.AsyncClient, params: dict[str, str], field: str):
    answer = await call.get("/availability", params=params)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]
