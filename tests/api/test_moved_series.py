"""A whole series moved in calendars of every kind: all its occurrences move by as much, or it is refused and all stay."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from api.sites import CaldavSite, GoogleSite, MicrosoftSite, Site
from flows.stage import Stage

pytestmark = pytest.mark.anyio
ZONE = "Europe/Berlin"


@pytest.fixture
def stage(site: Site) -> Stage:
    return site.stage


class Desk:
    """The integrator's side of one calendar. Times are on the wall clock of ZONE in March 2026: `05T09`."""

    def __init__(self, call: httpx.AsyncClient, site: Site, calendar: str) -> None:
        self.call, self.site, self.calendar = call, site, calendar

    async def write(self, start: str, *lines: str) -> dict[str, Any]:
        begin = f"2026-03-{start}:00:00"
        wish = {"title": "Review", "starts_at": begin, "ends_at": f"2026-03-{start}:30:00", "time_zone": ZONE}
        return await self._written({**wish, "recurrence": list(lines)})

    async def write_days(self, first: int, *lines: str) -> dict[str, Any]:
        return await self._written(
            {"title": "Holidays", "start_date": f"2026-03-{first:02}", "recurrence": list(lines)}
        )

    async def _written(self, wish: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call.post(f"/calendars/{self.calendar}/events", json=wish)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def move(self, event: dict[str, Any], start: str, status: int = 200, **more: Any) -> dict[str, Any]:
        """The whole series, so that this occurrence begins then."""
        wish = {"starts_at": f"2026-03-{start}:00:00", "time_zone": ZONE, **more}
        answer = await self.call.patch(f"/events/{event['id']}?series=true", json=wish)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def of(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The live occurrences of a series."""
        query = {"series_id": event["series_id"], "status": "confirmed"}
        return (await self.call.get("/events", params=query)).json()["data"]

    async def starts(self, event: dict[str, Any]) -> list[str]:
        """When they begin; read once more, the provider says the same."""
        listed = await self.of(event)
        self.site.stage.clock.advance(600)
        await self.site.stage.sync()
        assert await self.of(event) == listed
        return [each["start_date"][8:] if each["is_all_day"] else _wall(each["starts_at"]) for each in listed]


def _wall(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(ZONE)):%dT%H}"


@pytest.fixture
async def desk(call: httpx.AsyncClient, site: Site) -> Desk:
    answer = await call.post("/calendars", json=site.account())
    assert answer.status_code == 201, answer.text
    await site.stage.sync()
    return Desk(call, site, answer.json()["id"])


async def test_a_series_keeps_all_its_occurrences(desk: Desk) -> None:
    daily = await desk.write("03T09", "RRULE:FREQ=DAILY;UNTIL=20260306T080000Z")
    daily = await desk.move(daily, "03T11")
    assert await desk.starts(daily) == ["03T11", "04T11", "05T11", "06T11"]
    daily = await desk.move(daily, "05T11")
    assert await desk.starts(daily) == ["05T11", "06T11", "07T11", "08T11"]
    sundays = await desk.write("08T09", "RRULE:FREQ=WEEKLY;BYDAY=SU;COUNT=3")
    mondays = await desk.move(sundays, "09T09")
    assert await desk.starts(mondays) == ["09T09", "16T09", "23T09"]
    twice = await desk.write("09T09", "RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4")
    twice = await desk.move(twice, "10T09")
    assert await desk.starts(twice) == ["10T09", "12T09", "17T09", "19T09"]
    days = await desk.write_days(10, "RRULE:FREQ=WEEKLY;BYDAY=TU;UNTIL=20260324")
    days = await desk.call.patch(f"/events/{days['id']}?series=true", json={"start_date": "2026-03-09"})
    assert await desk.starts(days.json()) == ["09", "16", "23"]


async def test_a_series_that_cannot_be_moved_exactly_stays_where_it_is(desk: Desk) -> None:
    second = await desk.write("09T09", "RRULE:FREQ=MONTHLY;BYDAY=2MO;COUNT=2")
    problem = await desk.move(second, "10T09", 422)
    assert "nothing was written" in problem["detail"]
    assert [each["field"] for each in problem["errors"]] == ["recurrence"]
    assert await desk.starts(second) == ["09T09"]
    second = await desk.move(second, "09T11")
    assert await desk.starts(second) == ["09T11"]
    tuesdays = await desk.move(second, "10T11", recurrence=["RRULE:FREQ=MONTHLY;BYDAY=2TU;COUNT=2"])
    assert await desk.starts(tuesdays) == ["10T11"]


async def test_what_does_not_take_place_moves_along(desk: Desk) -> None:
    if isinstance(desk.site, MicrosoftSite):
        lines = ["RRULE:FREQ=DAILY;COUNT=4"]
    else:
        lines = ["RRULE:FREQ=DAILY;COUNT=4", f"EXDATE;TZID={ZONE}:20260304T090000"]
    event = await desk.write("03T09", *lines)
    listed = await desk.of(event)
    assert (await desk.call.delete(f"/events/{listed[-1]['id']}")).status_code == 204
    event = await desk.move(event, "03T11")
    # Outlook forgets what was said of single occurrences when their series moves.
    kept = ["03T11", "04T11", "05T11", "06T11"] if isinstance(desk.site, MicrosoftSite) else ["03T11", "05T11"]
    assert await desk.starts(event) == kept
    if isinstance(desk.site, CaldavSite):
        event = await desk.move(event, "04T11")
        assert await desk.starts(event) == ["04T11", "06T11"]


@pytest.mark.parametrize("site", ["google"], indirect=True)
async def test_a_moment_that_was_taken_out_takes_no_other_occurrence_away(desk: Desk) -> None:
    """Google knows exceptions by the moments at which they were to begin."""
    assert isinstance(desk.site, GoogleSite)
    desk.site.world.settings.largest_page = 2
    event = await desk.write("03T09", "RRULE:FREQ=DAILY;COUNT=4")
    second = (await desk.of(event))[1]
    assert (await desk.call.delete(f"/events/{second['id']}")).status_code == 204
    problem = await desk.move(event, "04T09", 422)
    assert "recurrence" in problem["detail"]
    assert await desk.starts(event) == ["03T09", "05T09", "06T09"]
    event = await desk.move(event, "04T10")
    assert await desk.starts(event) == ["04T10", "06T10", "07T10"]
