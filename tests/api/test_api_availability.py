"""When somebody is free, over the API: from the store, from the provider, and never by guessing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from flows.stage import Stage
from sqlalchemy import update

from service.flows.writing import busy_times
from service.store.connection_tables import ConnectionRow
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
    assert await ask(call, stage, 1, 8, buffer="30", duration="120") == found
    assert spans(stage, (await ask(call, stage, 1, 8, buffer="0"))["free"]) == [(1, 2), (3.5, 8)]


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


@pytest.mark.parametrize(
    ("start", "stretch"),
    [
        pytest.param(24 * 60, (24 * 60 - 2, 24 * 60 + 3), id="far-away"),
        pytest.param(24 * 60, (24 * 60 + 1, 24 * 60 + 3), id="after-it"),
        pytest.param(5, (3, 24 * 60), id="into-what-is-not-kept"),
    ],
)
async def test_buffers_count_where_the_provider_is_asked(
    call: httpx.AsyncClient, stage: Stage, calendar: str, start: float, stretch: tuple[float, float]
):
    await stage.sync()
    wish = {"title": "Ours", "starts_at": at(stage, start), "ends_at": at(stage, start + 1), "buffer_before": 30}
    made = await call.post(f"/calendars/{calendar}/events", json={**wish, "buffer_after": 30})
    assert made.status_code == 201, made.text
    found = await ask(call, stage, *stretch)
    assert spans(stage, found["busy"]) == [(max(start - 0.5, stretch[0]), start + 1.5)]
    assert spans(stage, found["free"])[-1] == (start + 1.5, stretch[1])
    assert (await call.delete(f"/events/{made.json()['id']}")).status_code == 204
    assert (await ask(call, stage, *stretch))["busy"] == []


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


async def mark_connections(stage: Stage, **values: Any) -> None:
    """As a sign-in would."""
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(ConnectionRow.metadata.tables["connections"]).values(**values))


async def second(call: httpx.AsyncClient, stage: Stage, world: World) -> tuple[str, str]:
    """Another calendar of Ada's that is kept in step: its id, and its connection's."""
    team = world.add_calendar(ADA, "Team")
    (connection,) = (await call.get("/connections")).json()["data"]
    answer = await call.patch(f"/connections/{connection['id']}", json={"selected_calendars": [ADA, team]})
    assert answer.status_code == 200, answer.text
    await stage.sync()
    rows = (await call.get("/calendars")).json()["data"]
    return next(row["id"] for row in rows if row["raw_calendar_id"] == team), connection["id"]


@pytest.mark.parametrize("path", ["/availability", "/conflicts"])
@pytest.mark.parametrize("spelling", ["repeated", "commas", "both"])
async def test_a_list_of_calendars_is_taken_in_every_spelling(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str, spelling: str, path: str
):
    other, connection = await second(call, stage, world)
    world.add_meeting(ADA, "One", in_minutes=120, minutes=60)
    world.add_meeting((await stage.calendar(UUID(other))).raw_calendar_id, "Two", in_minutes=150, minutes=60)
    stage.clock.advance(600)
    await stage.sync()
    given: dict[str, Any] = {
        "repeated": [calendar, other],
        "commas": f"{calendar},{other}",
        "both": [f"{calendar}, {calendar}", other],
    }
    params = {"from": at(stage, 0), "until": at(stage, 8)}
    found = (await call.get(path, params={**params, "calendar_ids": given[spelling]})).json()
    if path == "/availability":
        assert {each["calendar_id"] for each in found["busy"]} == {calendar, other}
    else:
        assert [(each["first"]["title"], each["second"]["title"]) for each in found["data"]] == [("One", "Two")]
    refused = await call.get(path, params={**params, "connection_ids": [str(UUID(int=7)), connection]})
    assert refused.status_code == 404
    refused = await call.get(path, params={**params, "user_id": ["ada", "ben"]})
    assert [each["field"] for each in refused.json()["errors"]] == ["user_id"]


async def test_the_whole_project_is_asked_about_as_its_connections_say(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    team = world.add_calendar(ADA, "Team")
    (connection,) = (await call.get("/connections")).json()["data"]
    await call.patch(f"/connections/{connection['id']}", json={"busy_calendars": [team]})
    world.add_meeting(ADA, "Mine", in_minutes=60 * 5, minutes=60)
    world.add_meeting(team, "Theirs", in_minutes=120, minutes=60)
    await stage.sync()
    everybody = await ask(call, stage, 1, 8)
    assert spans(stage, everybody["busy"]) == [(2, 3)]
    assert everybody == await ask(call, stage, 1, 8, connection_ids=connection["id"])
    conflicts = await call.get("/conflicts", params={"from": at(stage, 0), "until": at(stage, 24)})
    assert conflicts.json()["unknown"] == [team]


async def test_of_a_user_whom_nobody_knows_nothing_is_free(call: httpx.AsyncClient, stage: Stage, calendar: str):
    await stage.sync()
    (connection,) = (await call.get("/connections")).json()["data"]
    await mark_connections(stage, user_id="ada")
    assert (await ask(call, stage, 1, 2, user_id="ada"))["free"] != []
    params = {"from": at(stage, 1), "until": at(stage, 2)}
    for path in ("/availability", "/conflicts"):
        for user in ("nobody", "ADA", ""):
            answer = await call.get(path, params={**params, "user_id": user})
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    await mark_connections(stage, is_kept=True)
    assert (await call.delete(f"/calendars/{calendar}")).status_code == 204
    for selector in ({"user_id": "ada"}, {"connection_ids": connection["id"]}):
        answer = await call.get("/availability", params={**params, **selector})
        assert answer.status_code == 404, answer.text
    assert (await ask(call, stage, 1, 2))["free"] == []


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
    assert (found["truncated"], found["next_cursor"], found["unknown"]) == (False, None, [])


async def test_all_is_known_of_the_time_that_is_asked_about_by_default(
    call: httpx.AsyncClient, stage: Stage, calendar: str
):
    stage.clock.advance(45 * 60)  # the window of the store begins and ends on whole hours
    await stage.sync()
    stage.clock.advance(10 * 60)
    for path in ("/conflicts", "/availability"):
        answer = await call.get(path)
        assert (answer.status_code, answer.json()["unknown"]) == (200, []), path


async def test_conflicts_come_in_pages(call: httpx.AsyncClient, stage: Stage, world: World, calendar: str):
    for number in range(5):
        world.add_meeting(ADA, f"Meeting {number}", in_minutes=120 + number, minutes=60)
    await stage.sync()
    params = {"from": at(stage, 0), "until": at(stage, 24)}
    whole = (await call.get("/conflicts", params=params)).json()["data"]
    assert len(whole) == 10
    found: list[Any] = []
    page = (await call.get("/conflicts", params={**params, "limit": 3})).json()
    while True:
        found += page["data"]
        assert page["truncated"] is (page["next_cursor"] is not None)
        if page["next_cursor"] is None:
            break
        page = (await call.get("/conflicts", params={**params, "limit": 3, "cursor": page["next_cursor"]})).json()
    assert found == whole
    for wrong in ({"limit": 1000}, {"limit": 0}, {"cursor": "forged"}):
        assert (await call.get("/conflicts", params={**params, **wrong})).status_code == 422


async def test_what_takes_time_is_not_told_by_what_is_written_in_it(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str
):
    texts = {"summary": '"is_busy":false', "description": 'x","is_busy":false,"event_type":"birthday"'}
    start, end = ({"dateTime": at(stage, hours)} for hours in (2, 3))
    world.add_event(ADA, {**texts, "start": start, "end": end})
    world.add_meeting(ADA, "Transparent", in_minutes=300, minutes=60, transparency="transparent")
    world.add_meeting(ADA, "At home", in_minutes=120, minutes=60, eventType="workingLocation")
    await stage.sync()
    assert spans(stage, (await ask(call, stage, 1, 8))["busy"]) == [(2, 3)]
    conflicts = await call.get("/conflicts", params={"from": at(stage, 0), "until": at(stage, 24)})
    assert conflicts.json()["data"] == []


@pytest.mark.parametrize("path", ["/availability", "/conflicts"])
async def test_more_events_than_one_answer_is_made_of_are_refused(
    call: httpx.AsyncClient, stage: Stage, world: World, calendar: str, path: str, monkeypatch: pytest.MonkeyPatch
):
    for number in range(3):
        world.add_meeting(ADA, f"Meeting {number}", in_minutes=120 + number, minutes=60)
    await stage.sync()
    params = {"from": at(stage, 0), "until": at(stage, 8)}
    monkeypatch.setattr(busy_times, "MOST_EVENTS", 3)
    assert (await call.get(path, params=params)).status_code == 200
    monkeypatch.setattr(busy_times, "MOST_EVENTS", 2)
    refused = await call.get(path, params=params)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert "shorter" in refused.json()["detail"]


async def test_whose_time_it_is(call: httpx.AsyncClient, stranger: httpx.AsyncClient, stage: Stage, calendar: str):
    await stage.sync()
    (connection,) = (await call.get("/connections")).json()["data"]
    assert (await ask(call, stage, 1, 2, calendar_ids=calendar))["unknown"] == []
    assert (await ask(call, stage, 1, 2, connection_ids=connection["id"]))["unknown"] == []
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
        pytest.param({"time_zone": "localtime"}, "time_zone", id="wherever"),
        pytest.param({"calendar_ids": "1,2"}, "calendar_ids", id="no-ids"),
        pytest.param({"working_hours": "always"}, "working_hours", id="no-hours"),
        pytest.param({"duration": "soon"}, "duration", id="no-length"),
        pytest.param({"buffer": "-5m"}, "buffer", id="no-buffer"),
        pytest.param({"duration": "99999999"}, "duration", id="too-long"),
    ],
)
async def test_a_question_that_makes_no_sense(call: httpx.AsyncClient, params: dict[str, str], field: str):
    answer = await call.get("/availability", params=params)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]
