"""What an event becomes in its owner's hands, a series or another text: followed or set right, and nothing is deleted."""

import httpx
import pytest
from api.desk import Desk, id_of, open_desk
from api.sites import EVENT, MARY, CaldavSite, Site
from flows.stage import Stage

pytestmark = pytest.mark.anyio
DAILY = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}


@pytest.fixture
def stage(site: Site) -> Stage:
    return site.stage


@pytest.fixture
async def desk(call: httpx.AsyncClient, site: Site) -> Desk:
    return await open_desk(call, site)


@pytest.mark.parametrize("direction", ["both", "outbound", "inbound"])
async def test_an_event_that_its_owner_has_come_again_is_a_series_from_then_on(desk: Desk, direction: str) -> None:
    event = await desk.write()
    await desk.set(sync_direction=direction)
    desk.site.repeat(id_of(event))
    await desk.settle()
    listed = await desk.listed()
    assert [each["starts_at"][:10] for each in listed] == ["2026-03-03", "2026-03-04", "2026-03-05"]
    assert {each["series_id"] for each in listed} == {id_of(event)}
    assert desk.site.ids() == [id_of(event)]
    await desk.rest()
    if direction != "inbound":
        renamed = await desk.change(listed[0], whole=True, title="All of them")
        assert (renamed["title"], renamed["id"]) == ("All of them", listed[0]["id"])
        assert {each["title"] for each in await desk.listed()} == {"All of them"}
        await desk.rest()


@pytest.mark.parametrize("direction", ["both", "outbound"])
async def test_a_series_that_its_owner_ends_is_one_event_from_then_on(desk: Desk, direction: str) -> None:
    first = await desk.write(**DAILY)
    await desk.set(sync_direction=direction)
    desk.site.end_repeating(id_of(first))
    await desk.settle()
    (left,) = await desk.listed()
    assert (left["series_id"], left["provider_event_id"]) == (None, id_of(first))
    await desk.rest()
    desk.site.rename(id_of(first), "Theirs")
    await desk.settle()
    (left,) = await desk.listed()
    assert left["title"] == ("Theirs" if direction == "both" else "Review"), "it is looked after as a single event"
    await desk.rest()


async def test_what_its_owner_deletes_in_another_form_stays_deleted(desk: Desk) -> None:
    event = await desk.write()
    desk.site.repeat(id_of(event))
    await desk.settle()
    desk.site.erase(id_of(event))
    await desk.settle()
    assert (await desk.listed(), desk.site.ids()) == ([], [])
    assert await desk.stage.count("managed_events") == 0


async def test_an_event_is_made_a_series_and_one_event_again(desk: Desk) -> None:
    event = await desk.write()
    first = await desk.change(event, **DAILY)
    assert (first["status"], first["series_id"], first["starts_at"]) == ("confirmed", id_of(event), EVENT["starts_at"])
    assert first["id"] != event["id"]
    assert (await desk.call.get(f"/events/{event['id']}")).json()["status"] == "cancelled"
    assert len(await desk.listed()) == 3
    await desk.rest()
    (again,) = [await desk.change(first, whole=True, recurrence=[])]
    assert (again["status"], again["series_id"], again["starts_at"]) == ("confirmed", None, EVENT["starts_at"])
    assert [each["id"] for each in await desk.listed()] == [again["id"]]
    await desk.rest()
    assert {cause for _, cause in await desk.changes()} == {"write"}
    assert await desk.news() == []
    renamed = await desk.change(again, title="Still ours")
    assert renamed["id"] == again["id"]
    desk.site.rename(id_of(again), "Theirs")
    await desk.settle()
    (left,) = await desk.listed()
    assert left["title"] == "Theirs"
    await desk.rest()


async def test_somebody_elses_event_is_made_a_series_and_one_event_again(desk: Desk) -> None:
    event = await desk.write()
    async with desk.stage.gateway.database.write() as conn:
        await conn.exec_driver_sql("DELETE FROM managed_events")
    first = await desk.change(event, **DAILY)
    assert first["series_id"] == id_of(event)
    assert len(await desk.listed()) == 3
    await desk.rest()
    again = await desk.change(first, whole=True, recurrence=[])
    assert again["series_id"] is None
    assert [each["id"] for each in await desk.listed()] == [again["id"]]
    await desk.rest()
    assert await desk.news() == []


async def test_one_occurrence_has_no_rule_of_its_own(desk: Desk) -> None:
    first = await desk.write(**DAILY)
    for lines in (["RRULE:FREQ=WEEKLY;COUNT=2"], []):
        problem = await desk.change(first, 422, recurrence=lines)
        assert "?series=true" in problem["detail"]
    assert len(await desk.listed()) == 3


@pytest.mark.parametrize("direction", ["both", "outbound"])
async def test_a_text_that_its_owner_goes_on_with_is_another_text(desk: Desk, direction: str) -> None:
    event = await desk.write(description="Hi")
    await desk.set(sync_direction=direction)
    desk.site.describe(id_of(event), "Hi there you all, bring money")
    await desk.settle()
    (left,) = await desk.listed()
    assert ("bring money" in left["description"]) == (direction == "both")
    assert "Hi" in left["description"]
    await desk.rest()
    if direction == "both":
        await desk.change(left, title="Another")
        assert "bring money" in (await desk.listed())[0]["description"]


async def test_a_moved_occurrence_when_its_series_moves(desk: Desk) -> None:
    first = await desk.write(**DAILY)
    second = (await desk.listed())[1]
    await desk.change(second, starts_at="2026-03-04T17:00:00Z", ends_at="2026-03-04T18:00:00Z")
    await desk.change(first, whole=True, starts_at="2026-03-03T13:00:00Z", ends_at="2026-03-03T14:00:00Z")
    starts = [each["starts_at"] for each in await desk.listed()]
    kept = "2026-03-04T17" if isinstance(desk.site, CaldavSite) else "2026-03-04T13"
    assert [start[:13] for start in starts] == ["2026-03-03T13", kept, "2026-03-05T13"]
    await desk.rest()


async def test_what_its_guest_has_declined_is_called_off_where_that_is_wanted(desk: Desk) -> None:
    event = await desk.write()
    await desk.set(cancel_if_declined_or_deleted=True)
    desk.site.decline(id_of(event), MARY)
    await desk.settle()
    assert (await desk.listed(), desk.site.ids()) == ([], [])


async def test_a_series_is_not_called_off_for_an_event_that_was_declined(desk: Desk) -> None:
    event = await desk.write()
    await desk.set(cancel_if_declined_or_deleted=True)
    desk.site.decline(id_of(event), MARY)
    desk.stage.clock.advance(600)
    await desk.stage.sync()
    desk.site.repeat(id_of(event))
    await desk.follow()
    assert desk.site.ids() == [id_of(event)]
    await desk.settle()
    assert len(await desk.listed()) == 3
    await desk.rest()
