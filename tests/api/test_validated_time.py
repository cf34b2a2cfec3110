"""`validate_availability`: one hour is given once, however many ask for it at the same time, and in whichever calendar."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from api.office import ADA, Office
from flows.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def office(call: httpx.AsyncClient, credentials: dict[str, Any], stage: Stage) -> Office:
    answer = await call.post("/calendars", json=credentials)
    await stage.sync()
    office = Office(call, stage, answer.json()["id"])
    await office.set(validate_availability=True)
    return office


async def team_of(office: Office) -> str:
    """Another calendar of Ada's connection, kept in step."""
    team = office.stage.world.add_calendar(ADA, "Team")
    await office.set(selected_calendars=[ADA, team])
    await office.stage.sync()
    rows = (await office.call.get("/calendars")).json()["data"]
    return next(str(row["id"]) for row in rows if row["raw_calendar_id"] == team)


async def race(office: Office, calendars: list[str], wishes: list[dict[str, Any]]) -> list[int]:
    """The statuses of requests that are sent at once."""
    answers = await asyncio.gather(
        *(
            office.call.post(f"/calendars/{calendar}/events", json={"title": f"Racer {number}", **wish})
            for number, (calendar, wish) in enumerate(zip(calendars, wishes, strict=True))
        )
    )
    return sorted(answer.status_code for answer in answers)


async def test_one_hour_is_given_once_in_one_calendar(office: Office):
    for day in range(3):
        wish = {"starts_at": office.at(24 * day + 5), "ends_at": office.at(24 * day + 6)}
        assert await race(office, [office.calendar] * 4, [wish] * 4) == [201, 409, 409, 409]


async def test_one_hour_is_given_once_in_two_calendars_of_a_connection(office: Office):
    team = await team_of(office)
    for day in range(3):
        wish = {"starts_at": office.at(24 * day + 5), "ends_at": office.at(24 * day + 6)}
        assert await race(office, [office.calendar, team], [wish] * 2) == [201, 409]


async def test_one_day_is_given_once(office: Office):
    for day in range(3):
        first = (office.stage.clock() + timedelta(days=day + 1)).date().isoformat()
        assert await race(office, [office.calendar] * 2, [{"start_date": first}] * 2) == [201, 409]


async def test_one_hour_is_given_once_to_a_move_and_a_new_event(office: Office):
    for day in range(3):
        event = await office.write(starts_at=office.at(24 * day + 9), ends_at=office.at(24 * day + 10))
        wish = {"title": "New", "starts_at": office.at(24 * day + 5), "ends_at": office.at(24 * day + 6)}
        answers = await asyncio.gather(
            office.call.patch(f"/events/{event['id']}", json={"starts_at": office.at(24 * day + 5)}),
            office.call.post(f"/calendars/{office.calendar}/events", json=wish),
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 409], [201, 409])


async def test_hours_that_do_not_meet_are_given_to_all(office: Office):
    wishes = [{"starts_at": office.at(hour), "ends_at": office.at(hour + 1)} for hour in (5, 6, 7)]
    assert await race(office, [office.calendar] * 3, wishes) == [201, 201, 201]


@pytest.mark.parametrize("days", [pytest.param(1, id="kept"), pytest.param(60, id="beyond-the-horizon")])
async def test_an_event_is_not_in_its_own_way(office: Office, days: int):
    start = 24 * days + 5
    event = await office.write(starts_at=office.at(start), ends_at=office.at(start + 1))
    await office.write(title="Next", starts_at=office.at(start + 2), ends_at=office.at(start + 3))
    await office.change(event, starts_at=office.at(start + 0.5))
    await office.change(event, 409, starts_at=office.at(start + 1.5))


async def test_a_series_is_not_in_its_own_way(office: Office):
    event = await office.write(recurrence=["RRULE:FREQ=DAILY;COUNT=3"], time_zone="Europe/Berlin")
    answer = await office.call.patch(f"/events/{event['id']}?series=true", json={"starts_at": office.at(5.5)})
    assert answer.status_code == 200, answer.text


async def test_a_change_that_takes_up_more_time_is_looked_at(office: Office):
    event = await office.write()
    await office.write(title="Before", starts_at=office.at(3), ends_at=office.at(4.5))
    await office.change(event, 409, buffer_before=60)
    await office.change(event, buffer_before=30)
    # Its buffer moves with it.
    await office.change(event, 409, starts_at=office.at(4.75))
    await office.change(event, title="Another title")
    shown = await office.write(title="Shown only", starts_at=office.at(5), ends_at=office.at(6), is_busy=False)
    await office.change(shown, 409, is_busy=True)
    await office.change(shown, starts_at=office.at(5.5))


async def test_a_buffer_beyond_the_horizon_is_in_the_way_of_others_alone(office: Office):
    start = 24 * 60
    event = await office.write(starts_at=office.at(start), ends_at=office.at(start + 1), buffer_after=30)
    await office.write(409, title="Next", starts_at=office.at(start + 1.25), ends_at=office.at(start + 1.45))
    await office.change(event, starts_at=office.at(start + 1.25))
