"""What others make of an event is told once, with its own cause, and acted upon, whether or not we write in between."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from api.office import ADA, GUEST, Office, moment
from flows.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture
async def calendar(call: httpx.AsyncClient, credentials: dict[str, Any], stage: Stage) -> str:
    answer = await call.post("/calendars", json=credentials)
    calendar_id: str = answer.json()["id"]
    await stage.sync()
    return calendar_id


@pytest.fixture
def office(call: httpx.AsyncClient, stage: Stage, calendar: str) -> Office:
    return Office(call, stage, calendar)


async def heard(office: Office) -> list[str]:
    """The types of what was sent of an event, sorted."""
    found = [kind for kind, _ in await office.stage.messages()]
    return sorted(kind for kind in found if kind.startswith("event."))


async def disturb(office: Office, event: dict[str, Any]) -> None:
    """The guest declines, and somebody moves the event."""
    office.stage.world.respond(ADA, event["provider_event_id"], GUEST, "declined")
    office.stage.world.move_event(ADA, event["provider_event_id"], by_minutes=30)


@pytest.mark.parametrize("writes", [True, False], ids=["written-in-between", "not"])
async def test_what_others_did_is_told_and_followed(office: Office, writes: bool):
    await office.stage.subscribe("event.declined", "event.updated", "calendar.sync_events")
    event = await office.write(attendees=[{"email": GUEST}])
    await disturb(office, event)
    if writes:
        changed = await office.change(event, description="The plan.")
        assert changed["description"] == "The plan."
    await office.settle()
    assert await heard(office) == ["event.declined", "event.updated"]
    changes = (await office.call.get("/changes")).json()["data"]
    told = [(each["cause"], sorted(each["fields"])) for each in changes if each["kind"] == "updated"]
    ours = [("write", ["description"])] if writes else []
    assert told == [("poll", ["attendees", "ends_at", "starts_at"]), *ours]
    # What they moved is what the event says from now on, so that a later change leaves it there.
    await office.change(event, title="Another")
    (row,) = office.rows().values()
    assert row["attendees"][0]["responseStatus"] == "declined"
    assert moment(row) == datetime.fromisoformat(event["starts_at"]) + timedelta(minutes=30)


@pytest.mark.parametrize("writes", [True, False], ids=["written-in-between", "not"])
async def test_what_all_guests_decline_is_cancelled(office: Office, writes: bool):
    await office.set(cancel_if_declined_or_deleted=True)
    event = await office.write(attendees=[{"email": GUEST}])
    await disturb(office, event)
    if writes:
        await office.change(event, description="The plan.")
    await office.settle()
    assert office.rows() == {}
    assert (await office.show(event))["status"] == "cancelled"


@pytest.mark.parametrize("direction", ["both", "outbound"])
async def test_the_part_that_we_did_not_write_is_followed_or_set_right(office: Office, direction: str):
    await office.set(sync_direction=direction, sync_buffers_to_calendar=True)
    event = await office.write(buffer_before=15)
    office.stage.world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.change(event, description="The plan.")
    await office.settle()
    expected = "Theirs" if direction == "both" else "Review"
    assert sorted(office.rows()) == ["Buffer", expected]
    shown = await office.show(event)
    assert (shown["title"], shown["description"]) == (expected, "The plan.")


async def test_the_later_write_of_a_field_wins(office: Office):
    await office.set(sync_direction="outbound")
    event = await office.write()
    office.stage.world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.change(event, title="Ours")
    await office.settle()
    assert list(office.rows()) == ["Ours"]
    told = [each for each in await office.told() if each[0] == "updated"]
    assert told == [("updated", "poll"), ("updated", "write")]


@pytest.mark.parametrize("deed", ["decline", "delete"])
async def test_what_others_did_before_a_removal_is_told(office: Office, deed: str):
    await office.stage.subscribe("event.declined", "event.cancelled")
    event = await office.write(attendees=[{"email": GUEST}])
    if deed == "decline":
        office.stage.world.respond(ADA, event["provider_event_id"], GUEST, "declined")
    else:
        office.stage.world.cancel_event(ADA, event["provider_event_id"])
    assert (await office.call.delete(f"/events/{event['id']}")).status_code == 204
    await office.settle()
    assert await heard(office) == ["event.declined" if deed == "decline" else "event.cancelled"]
    kinds = [each for each in await office.told() if each[0] != "created"]
    declined = [("updated", "poll"), ("cancelled", "write")]
    assert kinds == (declined if deed == "decline" else [("cancelled", "poll")])


async def test_what_others_did_to_a_series_is_told(office: Office):
    await office.stage.subscribe("event.updated")
    event = await office.write(recurrence=["RRULE:FREQ=DAILY;COUNT=3"], time_zone="Europe/Berlin")
    office.stage.world.edit_event(ADA, event["series_id"], {"location": "Room 5"})
    answer = await office.call.patch(f"/events/{event['id']}?series=true", json={"title": "Ours"})
    assert answer.status_code == 200, answer.text
    await office.settle()
    assert await heard(office) == ["event.updated"] * 3
    told = [each for each in await office.told() if each[0] == "updated"]
    assert told == [("updated", "poll")] * 3 + [("updated", "write")] * 3
